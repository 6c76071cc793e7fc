//! Output and gradient, row by row.

use crate::blocks::{block_of_rows, filled, update as update_blocks};
use crate::simd::arch;
use crate::vectors::{map, sums, update};
use pulp::{Simd, WithSimd};

pub(super) fn forward(x: &[f32], features: usize, shortest: f64) -> Vec<f32> {
    if x.is_empty() {
        return Vec::new();
    }
    let arch = arch();
    filled(
        x.len(),
        block_of_rows(features),
        || (),
        |(), range, output| {
            arch.dispatch(Forward {
                x: &x[range],
                output,
                features,
                shortest,
            });
        },
    )
}

/// Makes of the gradient of the output that of `x`.
pub(super) fn backward(x: &[f32], gradient: &mut [f32], features: usize, shortest: f64) {
    if x.is_empty() {
        return;
    }
    let arch = arch();
    update_blocks(
        gradient,
        block_of_rows(features),
        &mut [],
        0,
        &|range, gradient, _| {
            arch.dispatch(Backward {
                x: &x[range],
                gradient,
                features,
                shortest,
            });
        },
    );
}

/// What a row of this squared length is multiplied by.
fn factor(squared: f64, shortest: f64) -> f64 {
    match squared < shortest * shortest {
        true => 0.0,
        false => squared.sqrt().recip(),
    }
}

struct Forward<'a> {
    x: &'a [f32],
    output: &'a mut [f32],
    features: usize,
    shortest: f64,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.x.chunks_exact(self.features);
        for (x, output) in rows.zip(self.output.chunks_exact_mut(self.features)) {
            let [squared] = sums(
                simd,
                [x],
                #[inline(always)]
                |[sum], [x]| [simd.mul_add_e_f32s(x, x, sum)],
            );
            let factor = simd.splat_f32s(factor(squared, self.shortest) as f32);
            map(
                simd,
                [x],
                output,
                #[inline(always)]
                |[x]| simd.mul_f32s(x, factor),
            );
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    gradient: &'a mut [f32],
    features: usize,
    shortest: f64,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.x.chunks_exact(self.features);
        for (x, gradient) in rows.zip(self.gradient.chunks_exact_mut(self.features)) {
            let [squared, product] = sums(
                simd,
                [x, gradient],
                #[inline(always)]
                |[squared, product], [x, gradient]| {
                    [
                        simd.mul_add_e_f32s(x, x, squared),
                        simd.mul_add_e_f32s(x, gradient, product),
                    ]
                },
            );
            // dx = dy / |x| - x (x · dy) / |x|^3
            let factor = factor(squared, self.shortest);
            let slope = simd.splat_f32s((-product * factor.powi(3)) as f32);
            let factor = simd.splat_f32s(factor as f32);
            update(
                simd,
                [gradient],
                [x],
                #[inline(always)]
                |[gradient], [x]| {
                    let along = simd.mul_f32s(x, slope);
                    [simd.mul_add_e_f32s(gradient, factor, along)]
                },
            );
        }
    }
}
