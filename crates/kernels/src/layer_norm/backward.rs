//! The backward pass, in place of the output's gradient.

use crate::blocks::{total, update as update_blocks};
use crate::moments::Moments;
use crate::simd::arch;
use crate::vectors::{sums as sum, update};
use pulp::{Simd, WithSimd};

/// At most so many sums are made of each gradient of gamma and beta, by so many parts of the tokens.
/// They depend on the number of tokens alone, and so does the result.
const MAX_PARTS: usize = 64;

/// Tokens of which the sums are at least worth the additions of one token.
const LEAST_TOKENS: usize = 16;

/// Makes of the gradient of the output that of `x`; returns those of gamma and beta.
///
/// ```text
/// n = (x - m) / d,  y = gamma n + beta                    m, d: mean and deviation of the token
/// gamma' = sum y' n,  beta' = sum y'                      over tokens
/// x' = (gamma y' - mean(gamma y') - n mean(gamma y' n)) / d        means over the features
/// ```
pub(super) fn backward(
    x: &[f32],
    gamma: &[f32],
    gradient: &mut [f32],
    epsilon: f64,
) -> [Vec<f32>; 2] {
    let features = gamma.len();
    if x.is_empty() {
        return [vec![0.0; features], vec![0.0; features]];
    }
    let tokens = x.len() / features;
    let tokens_each = tokens.div_ceil(MAX_PARTS).max(LEAST_TOKENS);
    let parts = tokens.div_ceil(tokens_each);
    let mut sums = vec![0.0; parts * 2 * features];
    let arch = arch();
    update_blocks(
        gradient,
        tokens_each * features,
        &mut sums,
        2 * features,
        &|range, gradient, sums| {
            arch.dispatch(Tokens {
                x: &x[range],
                gamma,
                gradient,
                sums,
                epsilon,
            });
        },
    );
    let sums = total(&sums, 2 * features);
    let (gamma, beta) = sums.split_at(features);
    [gamma.to_vec(), beta.to_vec()]
}

struct Tokens<'a> {
    x: &'a [f32],
    gamma: &'a [f32],
    gradient: &'a mut [f32],
    /// The gradients of gamma and beta, of these tokens alone.
    sums: &'a mut [f32],
    epsilon: f64,
}

impl WithSimd for Tokens<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let gamma = self.gamma;
        let features = gamma.len();
        let (gamma_sums, beta_sums) = self.sums.split_at_mut(features);
        let tokens = self.x.chunks_exact(features);
        for (x, gradient) in tokens.zip(self.gradient.chunks_exact_mut(features)) {
            let moments = Moments::of(simd, x, self.epsilon);
            let mean = simd.splat_f32s(moments.mean);
            let factor = simd.splat_f32s(moments.inverse_deviation);
            let normalized = |x| simd.mul_f32s(simd.sub_f32s(x, mean), factor);
            let means = sum(
                simd,
                [gradient, x, gamma],
                #[inline(always)]
                |[total, products], [gradient, x, gamma]| {
                    let scaled = simd.mul_f32s(gradient, gamma);
                    [
                        simd.add_f32s(total, scaled),
                        simd.mul_add_e_f32s(scaled, normalized(x), products),
                    ]
                },
            );
            // x' = gamma y' / d + n slope + offset
            let inverse_deviation = f64::from(moments.inverse_deviation);
            let [offset, slope] = means
                .map(|sum| simd.splat_f32s((-inverse_deviation * sum / features as f64) as f32));
            update(
                simd,
                [gradient, gamma_sums, beta_sums],
                [x, gamma],
                #[inline(always)]
                |[gradient, gamma_sum, beta_sum], [x, gamma]| {
                    let n = normalized(x);
                    let others = simd.mul_add_e_f32s(n, slope, offset);
                    let own = simd.mul_f32s(gamma, factor);
                    [
                        simd.mul_add_e_f32s(gradient, own, others),
                        simd.mul_add_e_f32s(gradient, n, gamma_sum),
                        simd.add_f32s(beta_sum, gradient),
                    ]
                },
            );
        }
    }
}
