//! Values that look random and are the same in every run.

use burn::tensor::{Device, Tensor, TensorData};

/// Values between -1 and 1.
#[allow(dead_code)] // Not every test that has this module draws them.
pub fn uniform<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    tensor(shape, numbers(seed))
}

/// Values like those of a normal distribution: sums of four uniform ones.
#[allow(dead_code)] // Not every test that has this module draws them.
pub fn normal<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let mut uniform = numbers(seed);
    let sums = std::iter::repeat_with(move || {
        let four: f32 = uniform.by_ref().take(4).sum();
        four * 0.75_f32.sqrt()
    });
    tensor(shape, sums)
}

/// The generator of Knuth's MMIX.
fn numbers(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
}

fn tensor<const D: usize>(shape: [usize; D], numbers: impl Iterator<Item = f32>) -> Tensor<D> {
    let values: Vec<f32> = numbers.take(shape.iter().product()).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}
