//! Norms and scaling on the CPU.

use crate::cpu::backend::{contiguous, mutable, primitive, tensor, values};
use crate::cpu::simd::arch;
use crate::cpu::vectors;
use burn::backend::Flex;
use burn::tensor::Tensor;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

/// Values that a thread takes at a time. With fewer than two such shares one thread does it all.
const SHARE: usize = 1 << 15;

pub(super) fn squared_norm<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let x = contiguous(primitive(x));
    let x = values(&x);
    let of_share = |x: &[f32]| arch().dispatch(Squares(x));
    let sum: f64 = if x.len() < 2 * SHARE {
        x.chunks(SHARE).map(of_share).sum()
    } else {
        // Collected first: the order of rayon's own sum depends on the threads.
        let sums: Vec<f64> = x.par_chunks(SHARE).map(of_share).collect();
        sums.iter().sum()
    };
    Tensor::from_primitive::<Flex>(tensor(vec![sum as f32], [1]))
}

pub(super) fn scale<const D: usize>(x: Tensor<D>, factor: f32) -> Tensor<D> {
    if factor == 1.0 {
        return x;
    }
    let mut x = contiguous(primitive(x));
    let values = mutable(&mut x);
    let scale = |values: &mut [f32]| arch().dispatch(Scale { values, factor });
    if values.len() < 2 * SHARE {
        scale(values);
    } else {
        values.par_chunks_mut(SHARE).for_each(scale);
    }
    Tensor::from_primitive::<Flex>(x)
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
