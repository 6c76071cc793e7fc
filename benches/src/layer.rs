//! Single layers of the networks.

use burn::tensor::{Device, Tensor};
use kernels::{Conv1dOptions, conv1d, gelu, group_norm_silu, layer_norm, linear};
use serde::{Deserialize, Serialize};

use crate::noise::noise;
use crate::work::{Pass, gradient};

/// A layer and what it is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// Which.
    pub layer: LayerKind,
    /// `[batch, channels, frames]` of convolutions and group norms, `[batch, tokens, features]` of the others.
    pub shape: [usize; 3],
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum LayerKind {
    /// A convolution with a bias, padded so that the frames stay.
    Conv1d {
        /// Channels of its output.
        out: usize,
        /// Frames under the kernel.
        taps: usize,
    },
    /// Group normalisation with SiLU after it.
    GroupNormSilu {
        /// Into how many the channels are divided.
        groups: usize,
    },
    /// Normalisation of each token.
    LayerNorm,
    /// The exact one.
    Gelu,
    /// A map with a bias.
    Linear {
        /// Features of its output.
        out: usize,
    },
}

const EPSILON: f64 = 1e-5;

impl Layer {
    /// The output; or the gradient of its sum by the weight, where there is one, with that by the input computed too.
    pub(crate) fn call(&self, pass: Pass, device: &Device) -> impl Fn() -> Tensor<1> + use<> {
        let Layer { layer, shape } = self.clone();
        let [_, channels, features] = shape;
        let vector = |len: usize, stream| noise([len], stream, device);
        let x = noise(shape, 0, device);
        // Of a kind that has no weight, the second is never read.
        let (weight, weight_shape, bias) = match layer {
            LayerKind::Conv1d { out, taps } => {
                let len = out * channels * taps;
                (vector(len, 1), [out, channels, taps], vector(out, 2))
            }
            LayerKind::Linear { out } => (
                vector(features * out, 1),
                [1, features, out],
                vector(out, 2),
            ),
            LayerKind::GroupNormSilu { .. } => {
                (vector(channels, 1), [1, 1, channels], vector(channels, 2))
            }
            LayerKind::LayerNorm | LayerKind::Gelu => {
                (vector(features, 1), [1, 1, features], vector(features, 2))
            }
        };
        move || {
            let on_graph = |tensor: Tensor<1>| match pass {
                Pass::Forward => tensor,
                Pass::Step => tensor.autodiff().require_grad(),
            };
            let [weight, bias] = [weight.clone(), bias.clone()].map(on_graph);
            let x = match pass {
                Pass::Forward => x.clone(),
                Pass::Step => x.clone().autodiff().require_grad(),
            };
            let output = match layer {
                LayerKind::Conv1d { taps, .. } => {
                    let weight = weight.clone().reshape(weight_shape);
                    conv1d(x.clone(), weight, Some(bias), Conv1dOptions::same(taps))
                }
                LayerKind::GroupNormSilu { groups } => {
                    group_norm_silu(x.clone(), groups, weight.clone(), bias, EPSILON)
                }
                LayerKind::LayerNorm => layer_norm(x.clone(), weight.clone(), bias, EPSILON),
                LayerKind::Gelu => gelu(x.clone()),
                LayerKind::Linear { .. } => {
                    let [_, d_in, d_out] = weight_shape;
                    linear(x.clone(), weight.clone().reshape([d_in, d_out]), Some(bias))
                }
            };
            match (pass, layer) {
                (Pass::Forward, _) => output.flatten(0, 2),
                (Pass::Step, LayerKind::Gelu) => gradient(&x, output.sum()).flatten(0, 2),
                (Pass::Step, _) => gradient(&weight, output.sum()),
            }
        }
    }

    /// The same in small.
    pub(crate) fn tiny(&self) -> Self {
        let Layer { layer, shape } = self.clone();
        let (layer, shape) = match layer {
            LayerKind::Conv1d { taps, .. } => (LayerKind::Conv1d { out: 5, taps }, [2, 3, 7]),
            LayerKind::GroupNormSilu { groups } => (layer, [2, groups, 7]),
            LayerKind::Linear { .. } => (LayerKind::Linear { out: 5 }, [2, 3, 7]),
            LayerKind::LayerNorm | LayerKind::Gelu => (layer, [2, 3, shape[2].min(7)]),
        };
        Self { layer, shape }
    }

    /// Operations of one call: those of products.
    pub(crate) fn flop(&self, pass: Pass) -> f64 {
        let [batch, channels, features] = self.shape;
        let weights = match self.layer {
            LayerKind::Conv1d { out, taps } => out * channels * taps * features,
            LayerKind::Linear { out } => channels * features * out,
            _ => 0,
        };
        let passes = match pass {
            Pass::Forward => 1.0,
            Pass::Step => 3.0,
        };
        2.0 * (batch * weights) as f64 * passes
    }
}
