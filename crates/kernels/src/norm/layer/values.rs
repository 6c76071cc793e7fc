//! Output and gradients, token by token.

use crate::cpu::blocks::total;
use crate::cpu::blockwise::{self, Blockwise};
use crate::cpu::vectors::{map, sums as sum, update};
use crate::norm::affine::Operands;
use crate::norm::moments::Moments;
use pulp::Simd;
use std::ops::Range;

/// The gradients of gamma and beta are summed over at most so many parts of the tokens. The parts depend
/// only on the number of tokens, and so does the result.
const MAX_PARTS: usize = 64;

/// With fewer tokens in a part, adding up the parts would cost more than the tokens.
const LEAST_TOKENS: usize = 16;

pub(super) fn forward(operands: Operands, epsilon: f64) -> Vec<f32> {
    let tokens = Tokens { operands, epsilon };
    blockwise::forward(&tokens, operands.x, operands.gamma.len())
}

/// Turns the gradient of the output into the gradient of x; returns those of gamma and beta.
///
/// ```text
/// n = (x - m) / d,  y = gamma n + beta                    m, d: mean and deviation of the token
/// gamma' = sum y' n,  beta' = sum y'                      over tokens
/// x' = (gamma y' - mean(gamma y') - n mean(gamma y' n)) / d        means over the features
/// ```
pub(super) fn backward(operands: Operands, gradient: &mut [f32], epsilon: f64) -> [Vec<f32>; 2] {
    let Operands { x, gamma, .. } = operands;
    let features = gamma.len();
    if x.is_empty() {
        return [vec![0.0; features], vec![0.0; features]];
    }
    let tokens = x.len() / features;
    let tokens_each = tokens.div_ceil(MAX_PARTS).max(LEAST_TOKENS);
    let parts = tokens.div_ceil(tokens_each);
    let mut sums = vec![0.0; parts * 2 * features];
    let block = tokens_each * features;
    let tokens = Tokens { operands, epsilon };
    blockwise::backward(&tokens, x, gradient, block, &mut sums, 2 * features);
    let sums = total(&sums, 2 * features);
    let (gamma, beta) = sums.split_at(features);
    [gamma.to_vec(), beta.to_vec()]
}

struct Tokens<'a> {
    operands: Operands<'a>,
    epsilon: f64,
}

impl Blockwise for Tokens<'_> {
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
        let Operands { gamma, beta, .. } = self.operands;
        let tokens = x[range].chunks_exact(gamma.len());
        for (x, output) in tokens.zip(output.chunks_exact_mut(gamma.len())) {
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

    #[inline(always)]
    fn backward<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        range: Range<usize>,
        gradient: &mut [f32],
        sums: &mut [f32],
    ) {
        let Operands { gamma, .. } = self.operands;
        let features = gamma.len();
        let (gamma_sums, beta_sums) = sums.split_at_mut(features);
        let tokens = x[range].chunks_exact(features);
        for (x, gradient) in tokens.zip(gradient.chunks_exact_mut(features)) {
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
