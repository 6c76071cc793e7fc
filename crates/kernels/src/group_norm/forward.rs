//! The forward pass: groups stay in the cache between their moments and their output.

use super::{Activation, Settings};
use crate::blocks::{block_of_rows, filled};
use crate::moments::Moments;
use crate::sigmoid::sigmoid;
use crate::simd::arch;
use crate::vectors::map;
use pulp::{Simd, WithSimd};
use std::ops::Range;

pub(super) fn forward(
    x: &[f32],
    affine: [&[f32]; 2],
    [_, channels, frames]: [usize; 3],
    settings: Settings,
) -> Vec<f32> {
    if x.is_empty() {
        return Vec::new();
    }
    // Whole rows, so that gamma and beta change between vectors only.
    let block = block_of_rows(frames);
    let arch = arch();
    filled(
        x.len(),
        block,
        || None,
        |group, range, output| {
            arch.dispatch(Rows {
                x,
                affine,
                channels,
                frames,
                settings,
                group,
                range,
                output,
            });
        },
    )
}

/// The output of some rows.
struct Rows<'a> {
    x: &'a [f32],
    affine: [&'a [f32]; 2],
    channels: usize,
    frames: usize,
    settings: Settings,
    /// The group that was gone through last.
    group: &'a mut Option<(usize, Moments)>,
    range: Range<usize>,
    output: &'a mut [f32],
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            x,
            affine: [gamma, beta],
            channels,
            frames,
            settings,
            ..
        } = self;
        let rows_per_group = channels / settings.groups;
        let group_values = rows_per_group * frames;
        let first_row = self.range.start / frames;
        let rows = x[self.range].chunks_exact(frames);
        for (i, (x_row, output)) in rows.zip(self.output.chunks_exact_mut(frames)).enumerate() {
            let row = first_row + i;
            let index = row / rows_per_group;
            let moments = match *self.group {
                Some((last, moments)) if last == index => moments,
                _ => {
                    let values = &x[index * group_values..][..group_values];
                    let moments = Moments::of(simd, values, settings.epsilon);
                    *self.group = Some((index, moments));
                    moments
                }
            };
            let channel = row % channels;
            let mean = simd.splat_f32s(moments.mean);
            let factor = simd.splat_f32s(moments.inverse_deviation * gamma[channel]);
            let beta = simd.splat_f32s(beta[channel]);
            let z = |x| simd.mul_add_e_f32s(simd.sub_f32s(x, mean), factor, beta);
            match settings.activation {
                Activation::None => map(
                    simd,
                    [x_row],
                    output,
                    #[inline(always)]
                    |[x]| z(x),
                ),
                Activation::Silu => map(
                    simd,
                    [x_row],
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
}
