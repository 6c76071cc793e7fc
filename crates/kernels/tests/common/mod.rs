//! Values, comparisons and golden files of several tests.

#![allow(dead_code)] // No test uses all of this.

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

/// Pseudo-random values between -1 and 1, the same in every run.
pub fn uniform<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    tensor(shape, numbers(seed))
}

/// Approximately normal values, the same in every run: sums of four uniform ones.
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

/// The values of a tensor of any type of floats.
pub fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    data.try_to_vec().expect("f32 after conversion")
}

/// Each result is equal up to its tolerance, relative to its largest value or to `least`.
pub fn assert_close(got: &[Vec<f32>], expected: &[Vec<f32>], tolerances: &[f32], least: f32) {
    assert_eq!([got.len(), expected.len()], [tolerances.len(); 2]);
    for (which, &tolerance) in tolerances.iter().enumerate() {
        assert_values_close(&got[which], &expected[which], [tolerance, least], which);
    }
}

/// As [`assert_close`], for result number `which`.
pub fn assert_values_close(
    got: &[f32],
    expected: &[f32],
    [tolerance, least]: [f32; 2],
    which: usize,
) {
    assert_eq!(got.len(), expected.len(), "result {which}");
    let largest = expected.iter().fold(least, |max, x| max.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance * largest,
            "result {which}, value {i}: {got}, expected {expected}, the largest being {largest}"
        );
    }
}

/// The largest difference, relative to the largest value. A NaN differs by infinity.
pub fn difference(got: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(1e-3_f64, |m, x| m.max(x.abs()));
    got.iter()
        .zip(expected)
        .fold(0.0, |worst, (got, expected)| {
            let off = (got - expected).abs() / largest;
            if off >= 0.0 {
                worst.max(off)
            } else {
                f64::INFINITY
            }
        })
}

/// A golden file with values of PyTorch.
pub fn golden(text: &str) -> Value {
    serde_json::from_str(text).expect("golden values")
}

pub fn floats_of(values: &Value) -> Vec<f32> {
    let values = values.as_array().expect("a list").iter();
    values
        .map(|x| x.as_f64().expect("a number") as f32)
        .collect()
}
