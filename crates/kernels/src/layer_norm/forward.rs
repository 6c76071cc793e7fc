//! The forward pass: a token stays in the nearest cache between its moments and its output.

use crate::blocks::{block_of_rows, filled};
use crate::moments::Moments;
use crate::simd::arch;
use crate::vectors::map;
use pulp::{Simd, WithSimd};

pub(super) fn forward(x: &[f32], affine: [&[f32]; 2], epsilon: f64) -> Vec<f32> {
    if x.is_empty() {
        return Vec::new();
    }
    let features = affine[0].len();
    let arch = arch();
    filled(
        x.len(),
        block_of_rows(features),
        || (),
        |(), range, output| {
            arch.dispatch(Tokens {
                x: &x[range],
                affine,
                output,
                epsilon,
            });
        },
    )
}

struct Tokens<'a> {
    x: &'a [f32],
    affine: [&'a [f32]; 2],
    output: &'a mut [f32],
    epsilon: f64,
}

impl WithSimd for Tokens<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let [gamma, beta] = self.affine;
        let tokens = self.x.chunks_exact(gamma.len());
        for (x, output) in tokens.zip(self.output.chunks_exact_mut(gamma.len())) {
            let moments = Moments::of(simd, x, self.epsilon);
            let mean = simd.splat_f32s(moments.mean);
            let factor = simd.splat_f32s(moments.inverse_deviation);
            map(
                simd,
                [x, gamma, beta],
                output,
                #[inline(always)]
                |[x, gamma, beta]| {
                    let normalized = simd.mul_f32s(simd.sub_f32s(x, mean), factor);
                    simd.mul_add_e_f32s(normalized, gamma, beta)
                },
            );
        }
    }
}
