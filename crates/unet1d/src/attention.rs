//! Self-attention over the frames of one level.

use crate::conv::{convolve, init_same_conv, same_conv};
use crate::norm::normalize;
use burn::module::{Initializer, Module};
use burn::nn::conv::Conv1d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{Device, Tensor};

/// Residual, pre-norm multi-head self-attention.
///
/// ```text
/// q, k, v = split(qkv(norm(x)))          each [batch, heads, frames, d], d = channels / heads
/// y       = x + out(softmax(q k^T / sqrt(d)) v)
/// ```
///
/// `qkv` and `out` are convolutions with a kernel of one frame. `out` starts at zero, so a newly
/// initialised block returns `x`. Ho et al. 2020, Dhariwal & Nichol 2021 (`AttentionBlock` in their code).
/// There is no positional encoding: the convolutions around the block see neighbouring frames. The
/// full score matrix is never stored ([`kernels::attention`]).
#[derive(Module, Debug)]
pub(crate) struct SelfAttention {
    norm: GroupNorm,
    qkv: Conv1d,
    out: Conv1d,
    heads: usize,
}

impl SelfAttention {
    pub(crate) fn init(channels: usize, heads: usize, norm_groups: usize, device: &Device) -> Self {
        Self {
            norm: GroupNormConfig::new(norm_groups, channels).init(device),
            qkv: init_same_conv(channels, 3 * channels, 1, device),
            out: same_conv(channels, channels, 1)
                .with_initializer(Initializer::Zeros)
                .init(device),
            heads,
        }
    }

    /// # Shapes
    /// - x, output: `[batch, channels, frames]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, channels, frames] = x.dims();
        let qkv = convolve(&self.qkv, normalize(&self.norm, x.clone()));
        let per_head = |i: usize| {
            qkv.clone()
                .narrow(1, i * channels, channels)
                .reshape([batch, self.heads, channels / self.heads, frames])
                .swap_dims(2, 3)
        };
        let mixed = kernels::attention(per_head(0), per_head(1), per_head(2), None)
            .swap_dims(2, 3)
            .reshape([batch, channels, frames]);
        x + convolve(&self.out, mixed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::activation::softmax;
    use burn::tensor::{Distribution, TensorData, Tolerance};

    #[test]
    fn new_attention_changes_nothing() {
        let device = Device::flex();
        let x = Tensor::<3>::random([2, 6, 5], Distribution::Default, &device);
        let attention = SelfAttention::init(6, 3, 2, &device);
        assert_eq!(attention.forward(x.clone()).into_data(), x.into_data());
    }

    /// The output, and the gradients of x and of the weights.
    fn run(
        attention: &SelfAttention,
        [x, slopes]: &[Tensor<3>; 2],
        forward: fn(&SelfAttention, Tensor<3>) -> Tensor<3>,
    ) -> Vec<TensorData> {
        let x = x.clone().autodiff().require_grad();
        let y = forward(attention, x.clone());
        let gradients = (y.clone() * slopes.clone().autodiff()).sum().backward();
        let weights = [&attention.qkv, &attention.out].map(|conv| conv.weight.val());
        let of_weights = weights.map(|weight| weight.grad(&gradients).expect("a gradient"));
        let of_x = x.grad(&gradients).expect("a gradient");
        let results = [y.inner(), of_x].into_iter().chain(of_weights);
        results.map(Tensor::into_data).collect()
    }

    /// The formula, with the full score matrix.
    fn plain(attention: &SelfAttention, x: Tensor<3>) -> Tensor<3> {
        let [batch, channels, frames] = x.dims();
        let qkv = convolve(&attention.qkv, normalize(&attention.norm, x.clone()));
        let d = channels / attention.heads;
        let [q, k, v] = qkv
            .reshape([batch, 3, attention.heads, d, frames])
            .chunk(3, 1)
            .try_into()
            .map(|parts: [Tensor<5>; 3]| parts.map(|part| part.squeeze_dim::<4>(1)))
            .expect("queries, keys and values");
        let scores = q.swap_dims(2, 3).matmul(k) / (d as f64).sqrt();
        let mixed = v.matmul(softmax(scores, 3).swap_dims(2, 3));
        x + convolve(&attention.out, mixed.reshape([batch, channels, frames]))
    }

    #[test]
    fn output_and_gradients_are_those_of_the_formula() {
        let device = Device::flex();
        let random = || Tensor::<3>::random([2, 12, 70], Distribution::Normal(0.0, 1.0), &device);
        let mut attention = SelfAttention::init(12, 3, 2, &device.clone().autodiff());
        // `out` starts at zero, which would hide the attention.
        attention.out = init_same_conv(12, 12, 1, &device.clone().autodiff());
        let operands = [random(), random()];
        let got = run(&attention, &operands, SelfAttention::forward);
        let expected = run(&attention, &operands, plain);
        assert_eq!([got.len(), expected.len()], [4, 4]);
        for ((got, expected), tolerance) in got.iter().zip(&expected).zip([1e-5, 1e-4, 1e-4, 1e-4])
        {
            let largest = expected
                .iter::<f32>()
                .fold(0.0_f32, |max, x| max.max(x.abs()));
            got.assert_approx_eq::<f32>(expected, Tolerance::absolute(tolerance * largest));
        }
    }
}
