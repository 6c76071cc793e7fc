//! Rows that become columns, eight by eight in registers.

use crate::matrix::Matrix;

/// Rows and columns of a block: a vector of 256 bits.
const SIDE: usize = 8;

/// Columns that are taken at once: a cache line of every row.
const LINE: usize = 2 * SIDE;

type Block = [[f32; SIDE]; SIDE];

/// Writes `factor` times a matrix whose rows lie without gaps column after column, each column `height` long.
/// What is below the last row stays as it was.
pub(crate) fn write_columns(matrix: Matrix, factor: f32, height: usize, destination: &mut [f32]) {
    assert!(
        matrix.column_stride == 1 && matrix.rows <= height,
        "{} rows of step {} into columns of {height}",
        matrix.rows,
        matrix.column_stride
    );
    let write = Write {
        matrix,
        factor,
        height,
        destination,
    };
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V3::try_new() {
        simd.vectorize(x86::With(write, simd));
        return;
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
            // What no whole block covers: the last rows, and the last columns.
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

    /// Work for vectors of 256 bits. No closure, because only what is inlined has them.
    pub(super) struct With<'a>(pub(super) Write<'a>, pub(super) V3);

    impl NullaryFnOnce for With<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Self(write, simd) = self;
            write.each_block(|block| turned(simd, block));
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
            let mut destination = vec![-1.0; height * columns];
            let matrix = Matrix { data: &data, rows, columns, row_stride: stride, column_stride: 1 };
            if height > 0 {
                write_columns(matrix, 0.5, height, &mut destination);
            }
            for (place, &value) in destination.iter().enumerate() {
                let [j, i] = [place / height, place % height];
                let expected = if i < rows { 0.5 * (i * stride + j) as f32 } else { -1.0 };
                prop_assert_eq!(value, expected);
            }
        }
    }
}
