//! Output and gradients, group by group.

use super::{Activation, Settings};
use crate::cpu::blocks::total;
use crate::cpu::blockwise::{self, Blockwise};
use crate::cpu::sigmoid::sigmoid;
use crate::cpu::vectors::{map, sums as sum, update, update_and_sum};
use crate::norm::affine::Operands;
use crate::norm::moments::Moments;
use pulp::Simd;
use std::ops::Range;

pub(super) fn forward(operands: Operands, settings: Settings) -> Vec<f32> {
    let groups = Groups { operands, settings };
    // Whole rows, so that gamma and beta change between vectors only.
    blockwise::forward(&groups, operands.x, groups.frames())
}

/// Turns the gradient of the output into the gradient of x; returns those of gamma and beta.
///
/// ```text
/// n = (x - m) / d,  z = gamma n + beta,  y = a(z)         m, d: mean and deviation of the group
/// z' = a'(z) y'
/// gamma' = sum z' n,  beta' = sum z'                      over items and frames
/// x' = (gamma z' - mean(gamma z') - n mean(gamma z' n)) / d        means over the group
/// ```
pub(super) fn backward(
    operands: Operands,
    gradient: &mut [f32],
    settings: Settings,
) -> [Vec<f32>; 2] {
    let groups = Groups { operands, settings };
    let Operands { x, shape, .. } = operands;
    let [batch, channels, frames] = shape;
    let mut sums = vec![0.0; batch * channels * 2];
    if !x.is_empty() {
        let rows = groups.rows();
        blockwise::backward(&groups, x, gradient, rows * frames, &mut sums, rows * 2);
    }
    let sums = total(&sums, channels * 2);
    [0, 1].map(|which| sums[which..].iter().step_by(2).copied().collect())
}

struct Groups<'a> {
    operands: Operands<'a>,
    settings: Settings,
}

impl Groups<'_> {
    fn channels(&self) -> usize {
        self.operands.shape[1]
    }

    /// Values of a row: a channel of an item.
    fn frames(&self) -> usize {
        self.operands.shape[2]
    }

    /// Rows of a group.
    fn rows(&self) -> usize {
        self.channels() / self.settings.groups
    }

    /// The moments of group number `index`, counted through all items.
    #[inline(always)]
    fn moments<S: Simd>(&self, simd: S, index: usize) -> Moments {
        let length = self.rows() * self.frames();
        let values = &self.operands.x[index * length..][..length];
        Moments::of(simd, values, self.settings.epsilon)
    }

    /// Turns the gradient of the output into the gradient of z, and returns the sums of z' n and of z', all
    /// for one row.
    #[inline(always)]
    fn sum_row<S: Simd>(
        &self,
        simd: S,
        moments: Moments,
        channel: usize,
        x: &[f32],
        gradient: &mut [f32],
    ) -> [f64; 2] {
        let Operands { gamma, beta, .. } = self.operands;
        let mean = simd.splat_f32s(moments.mean);
        let factor = simd.splat_f32s(moments.inverse_deviation);
        let normalized = |x| simd.mul_f32s(simd.sub_f32s(x, mean), factor);
        let add = |[products, gradients]: [S::f32s; 2], gradient, n| {
            [
                simd.mul_add_e_f32s(gradient, n, products),
                simd.add_f32s(gradients, gradient),
            ]
        };
        match self.settings.activation {
            Activation::None => sum(
                simd,
                [&*gradient, x],
                #[inline(always)]
                |sums, [gradient, x]| add(sums, gradient, normalized(x)),
            ),
            Activation::Silu => {
                let [gamma, beta] = [gamma, beta].map(|x| simd.splat_f32s(x[channel]));
                let one = simd.splat_f32s(1.0);
                update_and_sum(
                    simd,
                    gradient,
                    [x],
                    #[inline(always)]
                    |sums, gradient, [x]| {
                        let n = normalized(x);
                        let z = simd.mul_add_e_f32s(gamma, n, beta);
                        let s = sigmoid(simd, z);
                        // The derivative of z s(z): s + z s (1 - s).
                        let slope = simd.mul_add_e_f32s(z, simd.sub_f32s(one, s), one);
                        let gradient = simd.mul_f32s(gradient, simd.mul_f32s(s, slope));
                        (add(sums, gradient, n), gradient)
                    },
                )
            }
        }
    }
}

impl Blockwise for Groups<'_> {
    /// The last group's number and moments.
    type Cache = Option<(usize, Moments)>;

    #[inline(always)]
    fn forward<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        range: Range<usize>,
        output: &mut [f32],
        cache: &mut Self::Cache,
    ) {
        let Operands { gamma, beta, .. } = self.operands;
        let [channels, frames, rows_per_group] = [self.channels(), self.frames(), self.rows()];
        let first_row = range.start / frames;
        let rows = x[range].chunks_exact(frames);
        for (i, (x, output)) in rows.zip(output.chunks_exact_mut(frames)).enumerate() {
            let row = first_row + i;
            let index = row / rows_per_group;
            let moments = match *cache {
                Some((last, moments)) if last == index => moments,
                _ => {
                    let moments = self.moments(simd, index);
                    *cache = Some((index, moments));
                    moments
                }
            };
            let channel = row % channels;
            let mean = simd.splat_f32s(moments.mean);
            let factor = simd.splat_f32s(moments.inverse_deviation * gamma[channel]);
            let beta = simd.splat_f32s(beta[channel]);
            let z = |x| simd.mul_add_e_f32s(simd.sub_f32s(x, mean), factor, beta);
            match self.settings.activation {
                Activation::None => map(
                    simd,
                    [x],
                    output,
                    #[inline(always)]
                    |[x]| z(x),
                ),
                Activation::Silu => map(
                    simd,
                    [x],
                    output,
                    #[inline(always)]
                    |[x]| {
                        let z = z(x);
                        simd.mul_f32s(z, sigmoid(simd, z))
                    },
                ),
            }
        }
    }

    /// A block is one group of one item. `sums` are the gradients of gamma and beta of each channel.
    #[inline(always)]
    fn backward<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        range: Range<usize>,
        gradient: &mut [f32],
        sums: &mut [f32],
    ) {
        let frames = self.frames();
        let first_channel = range.start / frames % self.channels();
        let moments = self.moments(simd, range.start / range.len());
        let x = &x[range];
        let gamma = &self.operands.gamma[first_channel..][..self.rows()];

        let mut mean_gradient = 0.0;
        let mut mean_product = 0.0;
        let rows = x
            .chunks_exact(frames)
            .zip(gradient.chunks_exact_mut(frames));
        for (i, ((x, gradient), sums)) in rows.zip(sums.chunks_exact_mut(2)).enumerate() {
            let channel = first_channel + i;
            let [products, gradients] = self.sum_row(simd, moments, channel, x, gradient);
            sums.copy_from_slice(&[products as f32, gradients as f32]);
            mean_gradient += f64::from(gamma[i]) * gradients;
            mean_product += f64::from(gamma[i]) * products;
        }
        mean_gradient /= x.len() as f64;
        mean_product /= x.len() as f64;

        // x' = gamma / d * z' + (x - m) * slope + offset
        let mean = simd.splat_f32s(moments.mean);
        let inverse_deviation = f64::from(moments.inverse_deviation);
        let slope = simd.splat_f32s((-inverse_deviation.powi(2) * mean_product) as f32);
        let offset = simd.splat_f32s((-inverse_deviation * mean_gradient) as f32);
        let rows = x
            .chunks_exact(frames)
            .zip(gradient.chunks_exact_mut(frames));
        for ((x, gradient), &gamma) in rows.zip(gamma) {
            let factor = simd.splat_f32s(moments.inverse_deviation);
            let factor = simd.mul_f32s(factor, simd.splat_f32s(gamma));
            update(
                simd,
                [gradient],
                [x],
                #[inline(always)]
                |[gradient], [x]| {
                    let centred = simd.sub_f32s(x, mean);
                    let others = simd.mul_add_e_f32s(centred, slope, offset);
                    [simd.mul_add_e_f32s(gradient, factor, others)]
                },
            );
        }
    }
}
