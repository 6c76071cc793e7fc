//! Output and gradient, row by row.

use crate::cpu::blockwise::Blockwise;
use crate::cpu::vectors::{map, sums, update};
use pulp::Simd;
use std::ops::Range;

/// ```text
/// y  = x / |x|
/// x' = y' / |x| - x (x · y') / |x|^3        both 0 where |x| < shortest
/// ```
pub(super) struct UnitRows {
    pub(super) features: usize,
    pub(super) shortest: f64,
}

impl UnitRows {
    /// The factor of a row with this squared length.
    fn factor(&self, squared: f64) -> f64 {
        match squared < self.shortest * self.shortest {
            true => 0.0,
            false => squared.sqrt().recip(),
        }
    }
}

impl Blockwise for UnitRows {
    type Cache = ();

    #[inline(always)]
    fn forward<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        range: Range<usize>,
        output: &mut [f32],
        (): &mut (),
    ) {
        let rows = x[range].chunks_exact(self.features);
        for (x, output) in rows.zip(output.chunks_exact_mut(self.features)) {
            let [squared] = sums(
                simd,
                [x],
                #[inline(always)]
                |[sum], [x]| [simd.mul_add_e_f32s(x, x, sum)],
            );
            let factor = simd.splat_f32s(self.factor(squared) as f32);
            map(
                simd,
                [x],
                output,
                #[inline(always)]
                |[x]| simd.mul_f32s(x, factor),
            );
        }
    }

    #[inline(always)]
    fn backward<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        range: Range<usize>,
        gradient: &mut [f32],
        _: &mut [f32],
    ) {
        let rows = x[range].chunks_exact(self.features);
        for (x, gradient) in rows.zip(gradient.chunks_exact_mut(self.features)) {
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
            let factor = self.factor(squared);
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
