//! Products of small matrices on one thread, for tiles that stay in the caches.
//!
//! The crate `gemm` rearranges operands, although these already lie as its kernel needs them, and the sums of
//! its AVX-512 kernel of 64 rows don't stay in registers. On these shapes it reaches a third of the speed (52
//! against 180 GFLOP/s on one core of a Sapphire Rapids Xeon, rustc 1.95).

use crate::cpu::matrix::Matrix;
use crate::cpu::simd::arch;
use pulp::{Simd, WithSimd};

/// The length of a column is a multiple of this: a whole number of the widest vectors.
pub(crate) const LANE_MULTIPLE: usize = 16;

/// A whole number of the widest vectors: `size`, rounded up.
pub(crate) fn padded(size: usize) -> usize {
    size.next_multiple_of(LANE_MULTIPLE)
}

/// What happens to the values at the destination of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Onto {
    /// They are overwritten.
    Nothing,
    /// The product is added to them.
    Sum,
}

impl Onto {
    /// The first of several products overwrites, the others are added.
    pub(crate) fn nth(index: usize) -> Self {
        if index == 0 { Self::Nothing } else { Self::Sum }
    }
}

/// `destination = factor * left * right`, or added to what is there.
///
/// The columns of `left` and `destination` lie one after the other. `destination` has as many columns as
/// `right`, and their length follows from that of `left`: a multiple of [`LANE_MULTIPLE`]. Either the rows or
/// the columns of `right` must be without gaps. If `right` has no rows, the product is zeros.
///
/// # Panics
/// If the shapes don't fit together, or a value of `right` lies beyond its slice.
pub(crate) fn product(
    destination: &mut [f32],
    onto: Onto,
    left: &[f32],
    right: Matrix,
    factor: f32,
) {
    if right.rows == 0 {
        if onto == Onto::Nothing {
            destination.fill(0.0);
        }
        return;
    }
    let height = left.len() / right.rows;
    assert_eq!(
        height * right.columns,
        destination.len(),
        "the shapes of a matrix product must fit"
    );
    product_apart(destination, height, onto, left, right, factor);
}

/// As [`product`], where the columns of `destination` begin `stride` values apart: a multiple of
/// [`LANE_MULTIPLE`] too.
///
/// # Panics
/// As [`product`]; and if `right` has no rows and the product is not added, since the length of a column is
/// unknown then.
pub(crate) fn product_apart(
    destination: &mut [f32],
    stride: usize,
    onto: Onto,
    left: &[f32],
    right: Matrix,
    factor: f32,
) {
    if right.rows == 0 {
        assert_eq!(onto, Onto::Sum, "a product over nothing has no height");
        return;
    }
    if right.columns == 0 {
        return;
    }
    right.check();
    let height = left.len() / right.rows;
    assert_eq!(
        height * right.rows,
        left.len(),
        "the shapes of a matrix product must fit"
    );
    let reach = (right.columns - 1) * stride + height;
    assert!(
        height <= stride && reach <= destination.len(),
        "columns of {height} values, {stride} apart, up to {reach}, got {}",
        destination.len()
    );
    assert_eq!(
        [height % LANE_MULTIPLE, stride % LANE_MULTIPLE],
        [0, 0],
        "columns of {height} values, {stride} apart"
    );
    assert!(
        right.row_stride == 1 || right.column_stride == 1 && right.row_stride >= right.columns,
        "strides [{}, {}]",
        right.row_stride,
        right.column_stride
    );
    arch().dispatch(Product {
        destination: &mut destination[..reach],
        stride,
        onto,
        left,
        right,
        factor,
        height,
    });
}

struct Product<'a> {
    destination: &'a mut [f32],
    stride: usize,
    onto: Onto,
    left: &'a [f32],
    right: Matrix<'a>,
    factor: f32,
    height: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut vectors = Vectors {
            simd,
            destination: S::as_mut_simd_f32s(self.destination).0,
            stride: self.stride / S::F32_LANES,
            onto: self.onto,
            left: S::as_simd_f32s(self.left).0,
            right: self.right,
            factor: self.factor,
            height: self.height / S::F32_LANES,
        };
        let mut row = 0;
        // Four by six sums and their factors fit into 32 registers, two by six into 16.
        if S::REGISTER_COUNT >= 32 {
            while row + 4 <= vectors.height {
                vectors.rows::<4>(row);
                row += 4;
            }
        }
        while row + 2 <= vectors.height {
            vectors.rows::<2>(row);
            row += 2;
        }
        if row < vectors.height {
            vectors.rows::<1>(row);
        }
    }
}

/// A [`Product`] in vectors: `height` of them are a column.
struct Vectors<'a, S: Simd> {
    simd: S,
    destination: &'a mut [S::f32s],
    stride: usize,
    onto: Onto,
    left: &'a [S::f32s],
    right: Matrix<'a>,
    factor: f32,
    height: usize,
}

impl<S: Simd> Vectors<'_, S> {
    /// `R` vectors of every column, from vector `row` on.
    #[inline(always)]
    fn rows<const R: usize>(&mut self, row: usize) {
        let mut column = 0;
        while column + 6 <= self.right.columns {
            self.block::<R, 6>(row, column);
            column += 6;
        }
        while column + 2 <= self.right.columns {
            self.block::<R, 2>(row, column);
            column += 2;
        }
        if column < self.right.columns {
            self.block::<R, 1>(row, column);
        }
    }

    /// `R` vectors of `C` columns, with the sums in registers. All arrays have a known length, so that every
    /// loop over them is unrolled.
    #[inline(always)]
    fn block<const R: usize, const C: usize>(&mut self, row: usize, column: usize) {
        let Self { simd, right, .. } = *self;
        let mut sums = [[simd.splat_f32s(0.0); R]; C];
        let lefts = self.left.chunks_exact(self.height);
        if right.row_stride == 1 {
            let columns: [&[f32]; C] = std::array::from_fn(|c| {
                &right.data[(column + c) * right.column_stride..][..right.rows]
            });
            for (k, left) in lefts.enumerate().take(right.rows) {
                let right = std::array::from_fn(|c| columns[c][k]);
                add_step(simd, &mut sums, &left[row..], right);
            }
        } else {
            let rows = right.data[column..].chunks(right.row_stride);
            for (left, right) in lefts.zip(rows) {
                let right = <&[f32; C]>::try_from(&right[..C]).expect("as many as were taken");
                add_step(simd, &mut sums, &left[row..], *right);
            }
        }

        let factor = simd.splat_f32s(self.factor);
        for (c, sums) in sums.iter().enumerate() {
            let to = &mut self.destination[(column + c) * self.stride + row..][..R];
            for (to, &sum) in to.iter_mut().zip(sums) {
                *to = match self.onto {
                    Onto::Nothing => simd.mul_f32s(sum, factor),
                    Onto::Sum => simd.mul_add_e_f32s(sum, factor, *to),
                };
            }
        }
    }
}

/// Adds the product of a column's first `R` vectors and the values of `C` columns.
#[inline(always)]
fn add_step<S: Simd, const R: usize, const C: usize>(
    simd: S,
    sums: &mut [[S::f32s; R]; C],
    left: &[S::f32s],
    right: [f32; C],
) {
    let left = left.first_chunk::<R>().expect("as many as were taken");
    for (sums, right) in sums.iter_mut().zip(right) {
        let right = simd.splat_f32s(right);
        for (sum, &left) in sums.iter_mut().zip(left) {
            *sum = simd.mul_add_e_f32s(left, right, *sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::for_each_arch;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_product_is_that_of_double_precision(
            height in 1_usize..6,
            depth in 1_usize..40,
            columns in 1_usize..30,
            by_rows: bool,
            adds: bool,
        ) {
            let height = LANE_MULTIPLE * height;
            let value = |i: usize| ((i * 2_654_435_761 % 1000) as f32 - 500.0) / 500.0;
            let left: Vec<f32> = (0..height * depth).map(value).collect();
            let right: Vec<f32> = (7..7 + depth * columns).map(value).collect();
            let before: Vec<f32> = (3..3 + height * columns).map(value).collect();

            let view = if by_rows {
                Matrix::by_columns(&right, columns, depth).transposed()
            } else {
                Matrix::by_columns(&right, depth, columns)
            };
            let onto = if adds { Onto::Sum } else { Onto::Nothing };
            for_each_arch(|arch| {
                let mut got = before.clone();
                product(&mut got, onto, &left, view, 0.5);

                for (i, (&got, &before)) in got.iter().zip(&before).enumerate() {
                    let (row, column) = (i % height, i / height);
                    let sum: f64 = (0..depth)
                        .map(|k| {
                            let right = right[if by_rows { k * columns + column } else { column * depth + k }];
                            f64::from(left[k * height + row]) * f64::from(right)
                        })
                        .sum();
                    let expected = 0.5 * sum + if adds { f64::from(before) } else { 0.0 };
                    assert!((f64::from(got) - expected).abs() < 1e-5, "{got}, expected {expected}, {arch:?}");
                }
            });
        }
    }

    #[test]
    fn a_product_over_nothing_is_zeros() {
        let nothing = Matrix::by_columns(&[], 0, 3);
        let mut got = [7.0; 3 * LANE_MULTIPLE];
        product(&mut got, Onto::Sum, &[], nothing, 1.0);
        assert_eq!(got, [7.0; 3 * LANE_MULTIPLE]);
        product(&mut got, Onto::Nothing, &[], nothing, 1.0);
        assert_eq!(got, [0.0; 3 * LANE_MULTIPLE]);
    }

    #[test]
    #[should_panic(expected = "reaches over 6 values, got 5")]
    fn a_right_side_beyond_its_slice_is_refused() {
        let right = Matrix {
            data: &[1.0; 5],
            rows: 3,
            columns: 2,
            row_stride: 2,
            column_stride: 1,
        };
        let left = [1.0; 3 * LANE_MULTIPLE];
        product(&mut [0.0; 2 * LANE_MULTIPLE], Onto::Sum, &left, right, 1.0);
    }

    #[test]
    #[should_panic(expected = "the shapes of a matrix product must fit")]
    fn a_destination_of_another_width_is_refused() {
        let right = Matrix::by_columns(&[1.0; 6], 3, 2);
        let left = [1.0; 3 * LANE_MULTIPLE];
        product(&mut [0.0; 3 * LANE_MULTIPLE], Onto::Sum, &left, right, 1.0);
    }
}
