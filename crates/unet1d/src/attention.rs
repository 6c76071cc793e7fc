//! Self-attention over the frames of a level.

use crate::conv::{convolve, init_same_conv, same_conv};
use crate::norm::normalize;
use burn::module::{Initializer, Module};
use burn::nn::conv::Conv1d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::activation::softmax;
use burn::tensor::{DType, Device, Tensor};

/// Residual, pre-norm multi-head self-attention.
///
/// ```text
/// q, k, v = split(qkv(norm(x)))          each [batch, heads, frames, d], d = channels / heads
/// y       = x + out(softmax(q k^T / sqrt(d)) v)
/// ```
///
/// `qkv` and `out` are convolutions of one frame. `out` starts at zero, so a new attention passes `x`
/// on unchanged. Ho et al. 2020, Dhariwal & Nichol 2021 (`AttentionBlock` in their code).
/// There are no positions: the convolutions around it know which frames are neighbours.
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
        let mixed = attend(per_head(0), per_head(1), per_head(2))
            .swap_dims(2, 3)
            .reshape([batch, channels, frames]);
        x + convolve(&self.out, mixed)
    }
}

/// `softmax(q k^T / sqrt(d)) v`, the softmax in f32 whatever the inputs are.
///
/// The one place where a fused kernel would go.
///
/// # Shapes
/// - q, k, v, output: `[batch, heads, frames, d]`
fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let [_, _, _, d] = q.dims();
    let dtype = v.dtype();
    let q = q * (d as f64).powf(-0.5);
    let scores = q.matmul(k.swap_dims(2, 3)).cast(DType::F32);
    softmax(scores, 3).cast(dtype).matmul(v)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn new_attention_changes_nothing() {
        let device = Device::flex();
        let x = Tensor::<3>::random([2, 6, 5], Distribution::Default, &device);
        let attention = SelfAttention::init(6, 3, 2, &device);
        assert_eq!(attention.forward(x.clone()).into_data(), x.into_data());
    }

    #[test]
    fn equal_keys_average_the_values() {
        let device = Device::flex();
        let random = || Tensor::<4>::random([2, 3, 5, 4], Distribution::Default, &device);
        let (q, v) = (random(), random());
        let mean = v.clone().mean_dim(2).expand([2, 3, 5, 4]);
        let got = attend(q, Tensor::ones([2, 3, 5, 4], &device), v);
        got.into_data()
            .assert_approx_eq::<f32>(&mean.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn a_query_finds_the_key_that_is_like_it() {
        let device = Device::flex();
        let keys = Tensor::<2>::eye(4, &device).reshape([1, 1, 4, 4]) * 100.0;
        let v = Tensor::<4>::random([1, 1, 4, 4], Distribution::Default, &device);
        let got = attend(keys.clone().flip([2]), keys, v.clone());
        got.into_data()
            .assert_approx_eq::<f32>(&v.flip([2]).into_data(), Tolerance::absolute(1e-6));
    }
}
