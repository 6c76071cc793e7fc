//! Output and gradient, value by value.

use crate::blocks::{BLOCK_VALUES, filled, update as update_blocks};
use crate::error_function::normal_distribution;
use crate::simd::arch;
use crate::vectors::{map, update};
use pulp::{Simd, WithSimd};

/// `y = x P(x)`
pub(super) fn forward(x: &[f32]) -> Vec<f32> {
    let arch = arch();
    filled(
        x.len(),
        BLOCK_VALUES,
        || (),
        |(), range, output| {
            arch.dispatch(Forward {
                x: &x[range],
                output,
            });
        },
    )
}

/// Makes of the gradient of the output that of `x`.
///
/// ```text
/// x' = (P(x) + x exp(-x^2 / 2) / sqrt(2 pi)) y'
/// ```
pub(super) fn backward(x: &[f32], gradient: &mut [f32]) {
    let arch = arch();
    update_blocks(gradient, BLOCK_VALUES, &mut [], 0, &|range, gradient, _| {
        arch.dispatch(Backward {
            x: &x[range],
            gradient,
        });
    });
}

struct Forward<'a> {
    x: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        map(
            simd,
            [self.x],
            self.output,
            #[inline(always)]
            |[x]| {
                let (below, _) = normal_distribution(simd, x);
                simd.mul_f32s(x, below)
            },
        );
    }
}

struct Backward<'a> {
    x: &'a [f32],
    gradient: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        /// 1 / sqrt(2 pi)
        const HEIGHT: f32 = 0.398_942_3;
        let height = simd.splat_f32s(HEIGHT);
        update(
            simd,
            [self.gradient],
            [self.x],
            #[inline(always)]
            |[gradient], [x]| {
                let (below, bell) = normal_distribution(simd, x);
                let slope = simd.mul_add_e_f32s(simd.mul_f32s(x, height), bell, below);
                [simd.mul_f32s(gradient, slope)]
            },
        );
    }
}
