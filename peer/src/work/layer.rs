//! Single layers of the networks.

use burn::tensor::{Device, Tensor};
use kernels::{Conv1dOptions, conv1d, gelu, group_norm_silu, layer_norm, linear};
use serde::Serialize;

use super::{Pass, gradient, on_graph};
use crate::formula::noise;

/// Which layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum LayerKind {
    /// A convolution with a bias, padded so that the number of frames stays.
    Conv1d {
        /// Channels of its output.
        out: usize,
        /// Frames under the kernel.
        taps: usize,
    },
    /// Group normalisation followed by SiLU.
    GroupNormSilu {
        /// Into how many the channels are divided.
        groups: usize,
    },
    /// Normalisation of each token.
    LayerNorm,
    /// The exact GELU.
    Gelu,
    /// A linear layer with a bias.
    Linear {
        /// Features of its output.
        out: usize,
    },
}

const EPSILON: f64 = 1e-5;

impl LayerKind {
    /// The output, or the gradient of its sum with respect to the weight (of GELU, to the input). The gradients of the
    /// other operands are computed too.
    pub(super) fn call(
        self,
        shape: [usize; 3],
        pass: Pass,
        device: &Device,
    ) -> impl Fn() -> Tensor<1> + use<> {
        let [_, channels, features] = shape;
        // GELU has no weight and reads neither of the two.
        let (weight, bias) = match self {
            Self::Conv1d { out, taps } => (out * channels * taps, out),
            Self::Linear { out } => (features * out, out),
            Self::GroupNormSilu { .. } => (channels, channels),
            Self::LayerNorm | Self::Gelu => (features, features),
        };
        let x = noise(shape, 0, device);
        let parameters = [noise([weight], 1, device), noise([bias], 2, device)];
        move || {
            let x = on_graph(&x, pass);
            let [weight, bias] = parameters.each_ref().map(|values| on_graph(values, pass));
            let output = match self {
                Self::Conv1d { out, taps } => {
                    let weight = weight.clone().reshape([out, channels, taps]);
                    conv1d(x.clone(), weight, Some(bias), Conv1dOptions::same(taps))
                }
                Self::GroupNormSilu { groups } => {
                    group_norm_silu(x.clone(), groups, weight.clone(), bias, EPSILON)
                }
                Self::LayerNorm => layer_norm(x.clone(), weight.clone(), bias, EPSILON),
                Self::Gelu => gelu(x.clone()),
                Self::Linear { out } => {
                    let weight = weight.clone().reshape([features, out]);
                    linear(x.clone(), weight, Some(bias))
                }
            };
            match (pass, self) {
                (Pass::Forward, _) => output.flatten(0, 2),
                (Pass::Step, Self::Gelu) => gradient(&x, output.sum()).flatten(0, 2),
                (Pass::Step, _) => gradient(&weight, output.sum()),
            }
        }
    }

    /// Makes the layer and its input tiny.
    pub(super) fn shrink(&mut self, shape: &mut [usize; 3]) {
        let [batch, mut channels, features] = [2, 3, shape[2].min(7)];
        match self {
            Self::Conv1d { out, .. } | Self::Linear { out } => *out = 5,
            Self::GroupNormSilu { groups } => channels = *groups,
            Self::LayerNorm | Self::Gelu => {}
        }
        *shape = [batch, channels, features];
    }
}
