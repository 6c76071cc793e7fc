//! The backward pass, in place of the output's gradient.

use super::{Activation, Settings};
use crate::blocks::{total, update as update_blocks};
use crate::moments::Moments;
use crate::sigmoid::sigmoid;
use crate::simd::arch;
use crate::vectors::{sums as sum, update, update_and_sum};
use pulp::{Simd, WithSimd};

/// Makes of the gradient of the output that of `x`; returns those of gamma and beta.
///
/// ```text
/// n = (x - m) / d,  z = gamma n + beta,  y = a(z)         m, d: mean and deviation of the group
/// z' = a'(z) y'
/// gamma' = sum z' n,  beta' = sum z'                      over items and frames
/// x' = (gamma z' - mean(gamma z') - n mean(gamma z' n)) / d        means over the group
/// ```
pub(super) fn backward(
    x: &[f32],
    affine: [&[f32]; 2],
    gradient: &mut [f32],
    [batch, channels, frames]: [usize; 3],
    settings: Settings,
) -> [Vec<f32>; 2] {
    let mut sums = vec![0.0; batch * channels * 2];
    if !x.is_empty() {
        let rows = channels / settings.groups;
        let arch = arch();
        update_blocks(
            gradient,
            rows * frames,
            &mut sums,
            rows * 2,
            &|range, gradient, sums| {
                let first_channel = range.start / frames % channels;
                arch.dispatch(Group {
                    x: &x[range],
                    affine: affine.map(|values| &values[first_channel..][..rows]),
                    gradient,
                    sums,
                    frames,
                    settings,
                });
            },
        );
    }
    let sums = total(&sums, channels * 2);
    [0, 1].map(|which| sums[which..].iter().step_by(2).copied().collect())
}

/// One group of one item.
struct Group<'a> {
    x: &'a [f32],
    affine: [&'a [f32]; 2],
    gradient: &'a mut [f32],
    /// The gradients of gamma and beta of each channel, of this item alone.
    sums: &'a mut [f32],
    frames: usize,
    settings: Settings,
}

impl WithSimd for Group<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            x,
            affine: [gamma, beta],
            gradient,
            sums,
            frames,
            settings,
        } = self;
        let Moments {
            mean,
            inverse_deviation,
        } = Moments::of(simd, x, settings.epsilon);
        let [means, factors] = [mean, inverse_deviation].map(|value| simd.splat_f32s(value));

        let mut mean_gradient = 0.0;
        let mut mean_product = 0.0;
        let rows = x
            .chunks_exact(frames)
            .zip(gradient.chunks_exact_mut(frames));
        for (channel, ((x, gradient), sums)) in rows.zip(sums.chunks_exact_mut(2)).enumerate() {
            let normalized = |x| simd.mul_f32s(simd.sub_f32s(x, means), factors);
            let add = |[products, gradients]: [S::f32s; 2], gradient, n| {
                [
                    simd.mul_add_e_f32s(gradient, n, products),
                    simd.add_f32s(gradients, gradient),
                ]
            };
            let [products, gradients] = match settings.activation {
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
            };
            sums.copy_from_slice(&[products as f32, gradients as f32]);
            mean_gradient += f64::from(gamma[channel]) * gradients;
            mean_product += f64::from(gamma[channel]) * products;
        }
        mean_gradient /= x.len() as f64;
        mean_product /= x.len() as f64;

        // x' = gamma / d * z' + (x - m) * slope + offset
        let inverse_deviation = f64::from(inverse_deviation);
        let slope = simd.splat_f32s((-inverse_deviation.powi(2) * mean_product) as f32);
        let offset = simd.splat_f32s((-inverse_deviation * mean_gradient) as f32);
        let rows = x
            .chunks_exact(frames)
            .zip(gradient.chunks_exact_mut(frames));
        for ((x, gradient), &gamma) in rows.zip(gamma) {
            let factor = simd.mul_f32s(factors, simd.splat_f32s(gamma));
            update(
                simd,
                [gradient],
                [x],
                #[inline(always)]
                |[gradient], [x]| {
                    let centred = simd.sub_f32s(x, means);
                    let others = simd.mul_add_e_f32s(centred, slope, offset);
                    [simd.mul_add_e_f32s(gradient, factor, others)]
                },
            );
        }
    }
}
