//! Copies of matrices column by column. Rows become columns eight by eight, in registers.

use crate::cpu::matrix::Matrix;

/// Rows and columns of a block: a vector of 256 bits.
const SIDE: usize = 8;

/// Columns that are processed together: a cache line of every row.
const LINE: usize = 2 * SIDE;

type Block = [[f32; SIDE]; SIDE];

impl Matrix<'_> {
    /// Writes `factor` times the matrix, column after column, each `height` values long. Zeros follow the last
    /// row.
    pub(crate) fn copy_columns(self, factor: f32, height: usize, destination: &mut [f32]) {
        assert!(
            self.rows <= height && destination.len() == height * self.columns,
            "[{}, {}] into {} values, columns of {height}",
            self.rows,
            self.columns,
            destination.len()
        );
        if height == 0 {
            return;
        }
        for column in destination.chunks_exact_mut(height) {
            column[self.rows..].fill(0.0);
        }
        if self.rows == 0 || self.columns == 0 {
            return;
        }
        if self.column_stride == 1 && self.row_stride != 1 {
            write_columns(self, factor, height, destination);
            return;
        }
        for (j, column) in destination.chunks_exact_mut(height).enumerate() {
            let source = &self.data[j * self.column_stride..];
            let column = &mut column[..self.rows];
            match (self.row_stride, factor) {
                (1, 1.0) => column.copy_from_slice(&source[..self.rows]),
                (step, _) => {
                    for (to, &from) in column.iter_mut().zip(source.iter().step_by(step)) {
                        *to = factor * from;
                    }
                }
            }
        }
    }
}

/// Writes `factor` times a matrix whose rows have no gaps, column after column, each `height` values long.
/// Values below the last row stay as they were.
///
/// # Panics
/// If values of the matrix lie beyond its slice, or `destination` has another number of columns.
pub(crate) fn write_columns(matrix: Matrix, factor: f32, height: usize, destination: &mut [f32]) {
    assert!(
        matrix.column_stride == 1 && matrix.rows <= height,
        "{} rows of step {} into columns of {height}",
        matrix.rows,
        matrix.column_stride
    );
    matrix.check();
    assert_eq!(
        destination.len(),
        height * matrix.columns,
        "values of {} columns of {height}",
        matrix.columns
    );
    if destination.is_empty() {
        return;
    }
    let write = Write {
        matrix,
        factor,
        height,
        destination,
    };
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = crate::cpu::simd::narrow() {
        return simd.vectorize(x86::With(write, simd));
    }
    write.each_block(|rows| std::array::from_fn(|j| std::array::from_fn(|i| rows[i][j])));
}

struct Write<'a> {
    matrix: Matrix<'a>,
    factor: f32,
    height: usize,
    destination: &'a mut [f32],
}

impl Write<'_> {
    #[inline(always)]
    fn each_block(self, turned: impl Fn(Block) -> Block) {
        let Self { matrix, height, .. } = self;
        let Matrix { rows, columns, .. } = matrix;
        let [whole_rows, whole_columns] = [rows, columns].map(|size| size - size % SIDE);
        let lines = self.destination.chunks_mut(LINE * height);
        for (line, destination) in lines.enumerate() {
            let line = line * LINE..(line * LINE + LINE).min(columns);
            for i in (0..whole_rows).step_by(SIDE) {
                for j in (line.start..line.end.min(whole_columns)).step_by(SIDE) {
                    let mut block: Block = [[0.0; SIDE]; SIDE];
                    for (r, to) in block.iter_mut().enumerate() {
                        let from = &matrix.data[(i + r) * matrix.row_stride + j..];
                        *to = *from.first_chunk().expect("columns of a whole block");
                    }
                    let block = turned(block);
                    let to = destination[(j - line.start) * height + i..].chunks_mut(height);
                    for (to, column) in to.zip(&block) {
                        let to: &mut [f32; SIDE] =
                            to.first_chunk_mut().expect("rows of a whole block");
                        for (to, &from) in to.iter_mut().zip(column) {
                            *to = self.factor * from;
                        }
                    }
                }
            }
            // The last rows and columns, which no whole block covers.
            for (j, to) in line.zip(destination.chunks_mut(height)) {
                let covered = if j < whole_columns { whole_rows } else { 0 };
                for (i, to) in to.iter_mut().enumerate().take(rows).skip(covered) {
                    *to = self.factor * matrix.data[i * matrix.row_stride + j];
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Block, SIDE, Write};
    use pulp::NullaryFnOnce;
    use pulp::x86::V3;
    use std::arch::x86_64::__m256;

    /// Work for vectors of 256 bits. Not a closure, because only inlined code gets to use them.
    pub(super) struct With<'a>(pub(super) Write<'a>, pub(super) V3);

    impl NullaryFnOnce for With<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self(write, simd) = self;
            // Without this, each exchange would be a call.
            write.each_block(
                #[inline(always)]
                |block| turned(simd, block),
            );
        }
    }

    /// The block's columns, by three rounds of exchanges: of single values, of pairs and of halves.
    #[inline(always)]
    pub(super) fn turned(simd: V3, block: Block) -> Block {
        let avx = simd.avx;
        let rows: [__m256; SIDE] = pulp::cast(block);
        let mut pairs = rows;
        for i in (0..SIDE).step_by(2) {
            pairs[i] = avx._mm256_unpacklo_ps(rows[i], rows[i + 1]);
            pairs[i + 1] = avx._mm256_unpackhi_ps(rows[i], rows[i + 1]);
        }
        let mut fours = pairs;
        for i in [0, 4] {
            for j in [0, 1] {
                let [a, b] = [pairs[i + j], pairs[i + j + 2]];
                fours[i + 2 * j] = avx._mm256_shuffle_ps::<0x44>(a, b);
                fours[i + 2 * j + 1] = avx._mm256_shuffle_ps::<0xee>(a, b);
            }
        }
        let mut columns = fours;
        for i in 0..4 {
            columns[i] = avx._mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]);
            columns[i + 4] = avx._mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]);
        }
        pulp::cast(columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::for_each_arch;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_value_arrives_in_its_column_and_nothing_else_is_touched(
            rows in 0_usize..40,
            columns in 0_usize..40,
            gap in 0_usize..5,
            below in 0_usize..5,
        ) {
            let stride = columns + gap;
            let data: Vec<f32> = (0..rows * stride).map(|i| i as f32).collect();
            let height = rows + below;
            let matrix = Matrix { data: &data, rows, columns, row_stride: stride, column_stride: 1 };
            for_each_arch(|arch| {
                let mut destination = vec![-1.0; height * columns];
                write_columns(matrix, 0.5, height, &mut destination);
                for (place, &value) in destination.iter().enumerate() {
                    let [j, i] = [place / height, place % height];
                    let expected = if i < rows { 0.5 * (i * stride + j) as f32 } else { -1.0 };
                    assert_eq!(value, expected, "row {i} of column {j}, {arch:?}");
                }
            });
        }
    }

    #[test]
    #[should_panic(expected = "values of 3 columns of 4")]
    fn a_destination_that_is_too_short_is_refused() {
        let matrix = Matrix::by_columns(&[1.0; 12], 3, 4).transposed();
        write_columns(matrix, 1.0, 4, &mut [0.0; 11]);
    }

    #[test]
    #[should_panic(
        expected = "a matrix of [4, 3] with strides [3, 1] reaches over 12 values, got 11"
    )]
    fn a_matrix_beyond_its_slice_is_refused() {
        let matrix = Matrix {
            data: &[1.0; 11],
            rows: 4,
            columns: 3,
            row_stride: 3,
            column_stride: 1,
        };
        write_columns(matrix, 1.0, 4, &mut [0.0; 12]);
    }
}
