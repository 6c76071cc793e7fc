//! AdamW on the CPU, in one pass.

use super::Factors;
use crate::cpu::backend::{contiguous, mutable, primitive, values};
use crate::cpu::simd::arch;
use crate::cpu::vectors;
use burn::backend::Flex;
use burn::tensor::Tensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Values that a thread takes at a time. With fewer than two such shares one thread does it all.
const SHARE: usize = 1 << 15;

pub(super) fn adamw<const D: usize>(
    factors: &Factors,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    [mean, square]: [Tensor<D>; 2],
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let [mut parameter, gradient, mut mean, mut square] =
        [parameter, gradient, mean, square].map(|tensor| contiguous(primitive(tensor)));
    let states = [&mut parameter, &mut mean, &mut square].map(mutable);
    update(factors, values(&gradient), states);
    let [parameter, mean, square] = [parameter, mean, square].map(Tensor::from_primitive::<Flex>);
    (parameter, [mean, square])
}

/// `states` are the parameter and its moments.
fn update(factors: &Factors, gradient: &[f32], states: [&mut [f32]; 3]) {
    let update = |gradient: &[f32], states: [&mut [f32]; 3]| {
        arch().dispatch(Update {
            factors: *factors,
            gradient,
            states,
        });
    };
    if gradient.len() < 2 * SHARE {
        update(gradient, states);
        return;
    }
    let [parameter, mean, square] = states.map(|values| values.par_chunks_mut(SHARE));
    gradient
        .par_chunks(SHARE)
        .zip(parameter)
        .zip(mean)
        .zip(square)
        .for_each(|(((gradient, parameter), mean), square)| {
            update(gradient, [parameter, mean, square]);
        });
}

struct Update<'a> {
    factors: Factors,
    gradient: &'a [f32],
    states: [&'a mut [f32]; 3],
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factors = self.factors;
        vectors::update(
            simd,
            self.states,
            [self.gradient],
            // Without this, each step would be a call.
            #[inline(always)]
            |state, [gradient]| moved(simd, &factors, state, gradient),
        );
    }
}

/// Parameter, mean and square after the step.
#[inline(always)]
fn moved<S: Simd>(
    simd: S,
    factors: &Factors,
    [parameter, mean, square]: [S::f32s; 3],
    gradient: S::f32s,
) -> [S::f32s; 3] {
    let splat = |value| simd.splat_f32s(value);
    let [keep, keep_mean, keep_square] = factors.keep.map(splat);
    let [add, add_square] = factors.add.map(splat);
    let mean = simd.mul_add_e_f32s(gradient, add, simd.mul_f32s(mean, keep_mean));
    let squared = simd.mul_f32s(gradient, gradient);
    let square = simd.mul_add_e_f32s(squared, add_square, simd.mul_f32s(square, keep_square));
    let root = simd.sqrt_f32s(simd.mul_f32s(square, splat(factors.square_rate)));
    let delta = simd.div_f32s(
        simd.mul_f32s(mean, splat(factors.rate)),
        simd.add_f32s(root, splat(factors.epsilon)),
    );
    let parameter = simd.sub_f32s(simd.mul_f32s(parameter, keep), delta);
    [parameter, mean, square]
}
