//! Norms and scaling on the CPU.

use crate::backend::{contiguous, is_fused, mutable, tensor, values};
use crate::simd::arch;
use crate::vectors;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Values that a thread takes at a time. With fewer than two such shares there is one thread.
const SHARE: usize = 1 << 15;

pub(super) fn takes<const D: usize>(x: &Tensor<D>) -> bool {
    is_fused(x) && !x.device().is_autodiff()
}

pub(super) fn squared_norm<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let x = primitive(x);
    let x = values(&x);
    let of_share = |x: &[f32]| arch().dispatch(Squares(x));
    let sum: f64 = if x.len() < 2 * SHARE {
        x.chunks(SHARE).map(of_share).sum()
    } else {
        // Collected first: rayon's own sum would depend on who took what.
        let sums: Vec<f64> = x.par_chunks(SHARE).map(of_share).collect();
        sums.iter().sum()
    };
    Tensor::from_primitive::<Flex>(tensor(vec![sum as f32], [1]))
}

pub(super) fn scale<const D: usize>(x: Tensor<D>, factor: f32) -> Tensor<D> {
    if factor == 1.0 {
        return x;
    }
    let mut x = primitive(x);
    let values = mutable(&mut x);
    let scale = |values: &mut [f32]| arch().dispatch(Scale { values, factor });
    if values.len() < 2 * SHARE {
        scale(values);
    } else {
        values.par_chunks_mut(SHARE).for_each(scale);
    }
    Tensor::from_primitive::<Flex>(x)
}

fn primitive<const D: usize>(x: Tensor<D>) -> FlexTensor {
    let x = x.try_into_primitive::<Flex>();
    contiguous(x.expect("the tensor lies on the CPU backend"))
}

struct Squares<'a>(&'a [f32]);

impl WithSimd for Squares<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let add = |[sum]: [S::f32s; 1], [x]: [S::f32s; 1]| [simd.mul_add_e_f32s(x, x, sum)];
        let [sum] = vectors::sums(simd, [self.0], add);
        sum
    }
}

struct Scale<'a> {
    values: &'a mut [f32],
    factor: f32,
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factor = simd.splat_f32s(self.factor);
        vectors::update(
            simd,
            [self.values],
            [],
            |[x], []| [simd.mul_f32s(x, factor)],
        );
    }
}
