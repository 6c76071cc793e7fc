//! Layers at the sizes that they have in the networks: the fused ones of `kernels` beside Burn's own, as
//! values alone and with all gradients. On all threads, as in a run; `RAYON_NUM_THREADS=2` sets how many.

mod shared;

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Distribution, Tensor, activation, module};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, criterion_group, criterion_main};
use kernels::Conv1dOptions;

/// A batch of the paper preset's U-Net; its levels are 128, 256, 512 and 1,024 channels on 345, 172, 86 and
/// 43 frames.
const BATCH: usize = 8;
const GROUPS: usize = 8;
/// Tokens and features of the small encoder, and of its wider layer.
const TOKENS: usize = 512;
const FEATURES: [usize; 2] = [256, 1024];
const EPSILON: f64 = 1e-5;

/// What a layer computes from its input and its parameters.
type Layer = fn(Tensor<3>, Vec<Parameter>) -> Tensor<3>;

/// A weight or a bias.
#[derive(Clone)]
enum Parameter {
    Vector(Tensor<1>),
    Matrix(Tensor<2>),
    Kernel(Tensor<3>),
}

fn convolutions(criterion: &mut Criterion) {
    let mut group = group(criterion, "conv1d");
    let same: [(&str, Layer); 2] = [("kernels", conv1d), ("burn", burns_conv1d)];
    for [c_in, c_out, frames] in [
        [513, 128, 345],
        [128, 128, 345],
        [512, 512, 86],
        [2048, 1024, 43],
    ] {
        let parameters = [kernel([c_out, c_in, 3]), vector(c_out)];
        let size = format!("{c_in}_to_{c_out}x{frames}");
        measure(&mut group, &size, same, [BATCH, c_in, frames], &parameters);
    }
    let halve: [(&str, Layer); 2] = [("kernels", halve), ("burn", burns_halve)];
    let double: [(&str, Layer); 2] = [("kernels", double), ("burn", burns_double)];
    for [channels, frames] in [[128, 345], [512, 86]] {
        let parameters = [kernel([channels, channels, 4]), vector(channels)];
        let size = format!("halve_{channels}x{frames}");
        let x = [BATCH, channels, frames];
        measure(&mut group, &size, halve, x, &parameters);
        let size = format!("double_{channels}x{}", frames / 2);
        let x = [BATCH, channels, frames / 2];
        measure(&mut group, &size, double, x, &parameters);
    }
    group.finish();
}

fn norms(criterion: &mut Criterion) {
    let mut group_ = group(criterion, "norms");
    let groups: [(&str, Layer); 2] = [
        ("kernels", group_norm_silu),
        ("burn", burns_group_norm_silu),
    ];
    for [channels, frames] in [[128, 345], [512, 86], [1024, 43]] {
        let parameters = [vector(channels), vector(channels)];
        let size = format!("group_norm_silu_{channels}x{frames}");
        let x = [BATCH, channels, frames];
        measure(&mut group_, &size, groups, x, &parameters);
    }
    let layer: [(&str, Layer); 2] = [("kernels", layer_norm), ("burn", burns_layer_norm)];
    let [d, _] = FEATURES;
    let parameters = [vector(d), vector(d)];
    let size = format!("layer_norm_{TOKENS}x{d}");
    measure(&mut group_, &size, layer, [BATCH, TOKENS, d], &parameters);
    group_.finish();
}

fn feed_forward(criterion: &mut Criterion) {
    let mut group = group(criterion, "feed_forward");
    let [d, wide] = FEATURES;
    let linear_: [(&str, Layer); 2] = [("kernels", linear), ("burn", burns_linear)];
    for [d_in, d_out] in [[d, d], [d, wide], [wide, d]] {
        let parameters = [matrix([d_in, d_out]), vector(d_out)];
        let size = format!("linear_{d_in}_to_{d_out}");
        let x = [BATCH, TOKENS, d_in];
        measure(&mut group, &size, linear_, x, &parameters);
    }
    let gelu_: [(&str, Layer); 2] = [("kernels", gelu), ("burn", burns_gelu)];
    measure(&mut group, "gelu", gelu_, [BATCH, TOKENS, wide], &[]);
    group.finish();
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    shared::as_the_program();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(3));
    group
}

/// Each layer's values, and its values with the gradients of input and parameters.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    size: &str,
    layers: [(&str, Layer); 2],
    shape: [usize; 3],
    parameters: &[Parameter],
) {
    let x = random(shape);
    for (name, layer) in layers {
        group.bench_function(format!("{size}/{name}/forward"), |bencher| {
            bencher.iter(|| layer(black_box(x.clone()), parameters.to_vec()));
        });
        group.bench_function(format!("{size}/{name}/forward_and_backward"), |bencher| {
            bencher.iter(|| {
                let x = black_box(x.clone()).autodiff().require_grad();
                let tracked = parameters.iter().cloned().map(Parameter::tracked);
                layer(x, tracked.collect()).sum().backward()
            });
        });
    }
}

impl Parameter {
    fn tracked(self) -> Self {
        match self {
            Self::Vector(values) => Self::Vector(values.autodiff().require_grad()),
            Self::Matrix(values) => Self::Matrix(values.autodiff().require_grad()),
            Self::Kernel(values) => Self::Kernel(values.autodiff().require_grad()),
        }
    }
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-0.1, 0.1), &Device::flex())
}

fn vector(len: usize) -> Parameter {
    Parameter::Vector(random([len]))
}

fn matrix(shape: [usize; 2]) -> Parameter {
    Parameter::Matrix(random(shape))
}

fn kernel(shape: [usize; 3]) -> Parameter {
    Parameter::Kernel(random(shape))
}

fn kernel_and_bias(parameters: Vec<Parameter>) -> (Tensor<3>, Option<Tensor<1>>) {
    match <[Parameter; 2]>::try_from(parameters) {
        Ok([Parameter::Kernel(kernel), Parameter::Vector(bias)]) => (kernel, Some(bias)),
        _ => panic!("expected a kernel and a bias"),
    }
}

fn matrix_and_bias(parameters: Vec<Parameter>) -> (Tensor<2>, Option<Tensor<1>>) {
    match <[Parameter; 2]>::try_from(parameters) {
        Ok([Parameter::Matrix(matrix), Parameter::Vector(bias)]) => (matrix, Some(bias)),
        _ => panic!("expected a matrix and a bias"),
    }
}

fn gamma_and_beta(parameters: Vec<Parameter>) -> [Tensor<1>; 2] {
    match <[Parameter; 2]>::try_from(parameters) {
        Ok([Parameter::Vector(gamma), Parameter::Vector(beta)]) => [gamma, beta],
        _ => panic!("expected a gain and an offset"),
    }
}

/// Windows of 4 frames, 2 apart, with a zero at both ends.
const HALVING: Conv1dOptions = Conv1dOptions {
    stride: 2,
    padding: [1, 1],
};

fn conv1d(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let (weight, bias) = kernel_and_bias(parameters);
    kernels::conv1d(x, weight, bias, Conv1dOptions::same(3))
}

fn burns_conv1d(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let (weight, bias) = kernel_and_bias(parameters);
    module::conv1d(x, weight, bias, ConvOptions::new([1], [1], [1], 1))
}

fn halve(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let (weight, bias) = kernel_and_bias(parameters);
    kernels::conv1d(x, weight, bias, HALVING)
}

fn burns_halve(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let (weight, bias) = kernel_and_bias(parameters);
    module::conv1d(x, weight, bias, ConvOptions::new([2], [1], [1], 1))
}

fn double(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let (weight, bias) = kernel_and_bias(parameters);
    kernels::conv_transpose1d(x, weight, bias, HALVING)
}

fn burns_double(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let (weight, bias) = kernel_and_bias(parameters);
    let options = ConvTransposeOptions::new([2], [1], [0], [1], 1);
    module::conv_transpose1d(x, weight, bias, options)
}

fn group_norm_silu(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let [gamma, beta] = gamma_and_beta(parameters);
    kernels::group_norm_silu(x, GROUPS, gamma, beta, EPSILON)
}

/// What `burn::nn::GroupNorm` does, on tensors.
fn burns_group_norm_silu(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let [gamma, beta] = gamma_and_beta(parameters);
    let [batch, channels, frames] = x.dims();
    let len = channels / GROUPS * frames;
    let x = x.reshape([batch, GROUPS, len]);
    let x = x.clone() - x.mean_dim(2);
    let deviation = (x.clone().square().mean_dim(2) + EPSILON).sqrt();
    let x = (x / deviation).reshape([batch, channels, frames]);
    let of_channel = |values: Tensor<1>| values.reshape([1, channels, 1]);
    activation::silu(x * of_channel(gamma) + of_channel(beta))
}

fn layer_norm(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let [gamma, beta] = gamma_and_beta(parameters);
    kernels::layer_norm(x, gamma, beta, EPSILON)
}

fn burns_layer_norm(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let [gamma, beta] = gamma_and_beta(parameters);
    module::layer_norm(x, gamma, Some(beta), EPSILON)
}

fn linear(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let (weight, bias) = matrix_and_bias(parameters);
    kernels::linear(x, weight, bias)
}

fn burns_linear(x: Tensor<3>, parameters: Vec<Parameter>) -> Tensor<3> {
    let (weight, bias) = matrix_and_bias(parameters);
    module::linear(x, weight, bias)
}

fn gelu(x: Tensor<3>, _: Vec<Parameter>) -> Tensor<3> {
    kernels::gelu(x)
}

fn burns_gelu(x: Tensor<3>, _: Vec<Parameter>) -> Tensor<3> {
    activation::gelu(x)
}

criterion_group!(all, convolutions, norms, feed_forward);
criterion_main!(all);
