//! Layers at the sizes that they have in the networks: the fused ones of `kernels` next to Burn's own, values alone
//! and with all gradients.

mod shared;

use std::hint::black_box;

use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Distribution, Tensor, activation, module};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use kernels::Conv1dOptions;

/// A batch of the paper preset's U-Net, whose levels are 128, 256, 512 and 1,024 channels on 345, 172, 86 and 43
/// frames.
const BATCH: usize = 8;
const GROUPS: usize = 8;
/// Tokens and features of the small encoder, and of its wider layer.
const TOKENS: usize = 512;
const FEATURES: [usize; 2] = [256, 1024];
const EPSILON: f64 = 1e-5;

/// A layer's output from its input, its weight (or gain) and its bias. The weight is flat and reshaped by the layer.
type Layer = fn(Tensor<3>, Tensor<1>, Tensor<1>) -> Tensor<3>;

/// `[c_out, c_in, taps]`
fn kernel(x: &Tensor<3>, weight: Tensor<1>, bias: &Tensor<1>) -> Tensor<3> {
    weight.reshape([bias.dims()[0] as i32, x.dims()[1] as i32, -1])
}

/// `[d_in, d_out]`
fn matrix(x: &Tensor<3>, weight: Tensor<1>) -> Tensor<2> {
    weight.reshape([x.dims()[2] as i32, -1])
}

const SAME: [Layer; 2] = [
    |x, weight, bias| {
        let weight = kernel(&x, weight, &bias);
        kernels::conv1d(x, weight, Some(bias), Conv1dOptions::same(3))
    },
    |x, weight, bias| {
        let weight = kernel(&x, weight, &bias);
        module::conv1d(x, weight, Some(bias), ConvOptions::new([1], [1], [1], 1))
    },
];

/// Windows of 4 frames, 2 apart, with a zero at both ends.
const HALVING: Conv1dOptions = Conv1dOptions {
    stride: 2,
    padding: [1, 1],
};

const HALVE: [Layer; 2] = [
    |x, weight, bias| {
        let weight = kernel(&x, weight, &bias);
        kernels::conv1d(x, weight, Some(bias), HALVING)
    },
    |x, weight, bias| {
        let weight = kernel(&x, weight, &bias);
        module::conv1d(x, weight, Some(bias), ConvOptions::new([2], [1], [1], 1))
    },
];

/// Channels in and out are as many, so that the kernel's axes can be swapped.
const DOUBLE: [Layer; 2] = [
    |x, weight, bias| {
        let weight = kernel(&x, weight, &bias);
        kernels::conv_transpose1d(x, weight, Some(bias), HALVING)
    },
    |x, weight, bias| {
        let weight = kernel(&x, weight, &bias);
        let options = ConvTransposeOptions::new([2], [1], [0], [1], 1);
        module::conv_transpose1d(x, weight, Some(bias), options)
    },
];

const GROUP_NORM_SILU: [Layer; 2] = [
    |x, gain, bias| kernels::group_norm_silu(x, GROUPS, gain, bias, EPSILON),
    // As `burn::nn::GroupNorm`, on tensors.
    |x, gain, bias| {
        let [batch, channels, frames] = x.dims();
        let len = channels / GROUPS * frames;
        let x = x.reshape([batch, GROUPS, len]);
        let x = x.clone() - x.mean_dim(2);
        let deviation = (x.clone().square().mean_dim(2) + EPSILON).sqrt();
        let x = (x / deviation).reshape([batch, channels, frames]);
        let of_channel = |values: Tensor<1>| values.reshape([1, channels, 1]);
        activation::silu(x * of_channel(gain) + of_channel(bias))
    },
];

const LAYER_NORM: [Layer; 2] = [
    |x, gain, bias| kernels::layer_norm(x, gain, bias, EPSILON),
    |x, gain, bias| module::layer_norm(x, gain, Some(bias), EPSILON),
];

const LINEAR: [Layer; 2] = [
    |x, weight, bias| {
        let weight = matrix(&x, weight);
        kernels::linear(x, weight, Some(bias))
    },
    |x, weight, bias| {
        let weight = matrix(&x, weight);
        module::linear(x, weight, Some(bias))
    },
];

const GELU: [Layer; 2] = [|x, _, _| kernels::gelu(x), |x, _, _| activation::gelu(x)];

fn convolutions(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "conv1d", 3);
    for [c_in, c_out, frames] in [
        [513, 128, 345],
        [128, 128, 345],
        [512, 512, 86],
        [2048, 1024, 43],
    ] {
        let size = format!("{c_in}_to_{c_out}x{frames}");
        let parameters = [c_out * c_in * 3, c_out];
        measure(&mut group, &size, SAME, [BATCH, c_in, frames], parameters);
    }
    for [channels, frames] in [[128, 345], [512, 86]] {
        let parameters = [channels * channels * 4, channels];
        for (name, layers, frames) in [("halve", HALVE, frames), ("double", DOUBLE, frames / 2)] {
            let size = format!("{name}_{channels}x{frames}");
            let x = [BATCH, channels, frames];
            measure(&mut group, &size, layers, x, parameters);
        }
    }
    group.finish();
}

fn norms(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "norms", 3);
    for [channels, frames] in [[128, 345], [512, 86], [1024, 43]] {
        let size = format!("group_norm_silu_{channels}x{frames}");
        let x = [BATCH, channels, frames];
        measure(&mut group, &size, GROUP_NORM_SILU, x, [channels; 2]);
    }
    let [d, _] = FEATURES;
    let size = format!("layer_norm_{TOKENS}x{d}");
    measure(&mut group, &size, LAYER_NORM, [BATCH, TOKENS, d], [d; 2]);
    group.finish();
}

fn feed_forward(criterion: &mut Criterion) {
    let mut group = shared::group(criterion, "feed_forward", 3);
    let [d, wide] = FEATURES;
    for [d_in, d_out] in [[d, d], [d, wide], [wide, d]] {
        let size = format!("linear_{d_in}_to_{d_out}");
        let x = [BATCH, TOKENS, d_in];
        measure(&mut group, &size, LINEAR, x, [d_in * d_out, d_out]);
    }
    measure(&mut group, "gelu", GELU, [BATCH, TOKENS, wide], [1; 2]);
    group.finish();
}

/// Values, and values with the gradients of input and parameters, of `kernels` and of Burn.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    size: &str,
    layers: [Layer; 2],
    x: [usize; 3],
    [weight, bias]: [usize; 2],
) {
    let x = random(x);
    let [weight, bias] = [random([weight]), random([bias])];
    for (name, layer) in std::iter::zip(["kernels", "burn"], layers) {
        group.bench_function(format!("{size}/{name}/forward"), |bencher| {
            bencher.iter(|| layer(black_box(x.clone()), weight.clone(), bias.clone()));
        });
        group.bench_function(format!("{size}/{name}/forward_and_backward"), |bencher| {
            bencher.iter(|| {
                let x = black_box(x.clone()).autodiff().require_grad();
                let [weight, bias] =
                    [&weight, &bias].map(|values| values.clone().autodiff().require_grad());
                layer(x, weight, bias).sum().backward()
            });
        });
    }
}

fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::random(shape, Distribution::Uniform(-0.1, 0.1), &Device::flex())
}

criterion_group!(all, convolutions, norms, feed_forward);
criterion_main!(all);
