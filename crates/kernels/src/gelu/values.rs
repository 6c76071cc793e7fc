//! Output and gradient, value by value.

use crate::cpu::blockwise::Blockwise;
use crate::cpu::error_function::normal_distribution;
use crate::cpu::vectors::{map, update};
use pulp::Simd;
use std::ops::Range;

/// ```text
/// y  = x P(x)
/// x' = (P(x) + x exp(-x^2 / 2) / sqrt(2 pi)) y'
/// ```
pub(super) struct Gelu;

impl Blockwise for Gelu {
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
        map(
            simd,
            [&x[range]],
            output,
            #[inline(always)]
            |[x]| {
                let (below, _) = normal_distribution(simd, x);
                simd.mul_f32s(x, below)
            },
        );
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
        /// 1 / sqrt(2 pi)
        const HEIGHT: f32 = 0.398_942_3;
        let height = simd.splat_f32s(HEIGHT);
        update(
            simd,
            [gradient],
            [&x[range]],
            #[inline(always)]
            |[gradient], [x]| {
                let (below, bell) = normal_distribution(simd, x);
                let slope = simd.mul_add_e_f32s(simd.mul_f32s(x, height), bell, below);
                [simd.mul_f32s(gradient, slope)]
            },
        );
    }
}
