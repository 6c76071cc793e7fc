//! The two kinds of convolution blocks.

use crate::conv::{convolve, init_same_conv, same_conv};
use crate::norm::normalize_silu;
use burn::module::{Initializer, Module};
use burn::nn::conv::Conv1d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Kind of convolution block; `"plain"` or `"residual"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockKind {
    /// Convolution, group norm, SiLU; twice.
    ///
    /// ```text
    /// h = silu(norm(conv(x)))        y = silu(norm(conv(h)))
    /// ```
    ///
    /// The block of Ronneberger et al. 2015 (U-Net), with group norm (Wu & He 2018) and SiLU.
    #[default]
    Plain,
    /// Pre-activation residual block.
    ///
    /// ```text
    /// h = conv(silu(norm(x)))        y = shortcut(x) + conv(silu(norm(h)))
    /// ```
    ///
    /// `shortcut` is a convolution with a kernel of one frame if the channels change, otherwise the
    /// identity. The last convolution starts at zero, so a newly initialised block returns its shortcut.
    /// Dhariwal & Nichol 2021 ("Diffusion Models Beat GANs", appendix; `zero_module` in their code).
    ///
    /// Differs from the paper: no dropout and no embedding; frames are halved between levels rather
    /// than inside blocks.
    Residual,
}

/// A block of either kind.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)] // A network holds a few dozen of them.
pub(crate) enum ConvBlock {
    Plain(PlainBlock),
    Residual(ResidualBlock),
}

impl ConvBlock {
    pub(crate) fn init(
        kind: BlockKind,
        [c_in, c_out]: [usize; 2],
        norm_groups: usize,
        device: &Device,
    ) -> Self {
        match kind {
            BlockKind::Plain => Self::Plain(PlainBlock::init([c_in, c_out], norm_groups, device)),
            BlockKind::Residual => {
                Self::Residual(ResidualBlock::init([c_in, c_out], norm_groups, device))
            }
        }
    }

    /// # Shapes
    /// - x: `[batch, c_in, frames]`
    /// - output: `[batch, c_out, frames]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Plain(block) => block.forward(x),
            Self::Residual(block) => block.forward(x),
        }
    }
}

/// See [`BlockKind::Plain`].
#[derive(Module, Debug)]
pub(crate) struct PlainBlock {
    conv_1: Conv1d,
    norm_1: GroupNorm,
    conv_2: Conv1d,
    norm_2: GroupNorm,
}

impl PlainBlock {
    fn init([c_in, c_out]: [usize; 2], norm_groups: usize, device: &Device) -> Self {
        Self {
            conv_1: init_same_conv(c_in, c_out, 3, device),
            norm_1: GroupNormConfig::new(norm_groups, c_out).init(device),
            conv_2: init_same_conv(c_out, c_out, 3, device),
            norm_2: GroupNormConfig::new(norm_groups, c_out).init(device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let h = normalize_silu(&self.norm_1, convolve(&self.conv_1, x));
        normalize_silu(&self.norm_2, convolve(&self.conv_2, h))
    }
}

/// See [`BlockKind::Residual`].
#[derive(Module, Debug)]
pub(crate) struct ResidualBlock {
    norm_1: GroupNorm,
    conv_1: Conv1d,
    norm_2: GroupNorm,
    conv_2: Conv1d,
    shortcut: Option<Conv1d>,
}

impl ResidualBlock {
    fn init([c_in, c_out]: [usize; 2], norm_groups: usize, device: &Device) -> Self {
        Self {
            norm_1: GroupNormConfig::new(norm_groups, c_in).init(device),
            conv_1: init_same_conv(c_in, c_out, 3, device),
            norm_2: GroupNormConfig::new(norm_groups, c_out).init(device),
            conv_2: same_conv(c_out, c_out, 3)
                .with_initializer(Initializer::Zeros)
                .init(device),
            shortcut: (c_in != c_out).then(|| init_same_conv(c_in, c_out, 1, device)),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let h = convolve(&self.conv_1, normalize_silu(&self.norm_1, x.clone()));
        let h = convolve(&self.conv_2, normalize_silu(&self.norm_2, h));
        match &self.shortcut {
            Some(shortcut) => convolve(shortcut, x) + h,
            None => x + h,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn a_new_residual_block_is_its_shortcut() {
        let device = Device::flex();
        let x = Tensor::<3>::random([2, 4, 7], Distribution::Default, &device);
        let same = ResidualBlock::init([4, 4], 2, &device);
        assert_eq!(same.forward(x.clone()).into_data(), x.clone().into_data());

        let wider = ResidualBlock::init([4, 6], 2, &device);
        let shortcut = convolve(wider.shortcut.as_ref().unwrap(), x.clone());
        assert_eq!(wider.forward(x).into_data(), shortcut.into_data());
    }

    #[test]
    fn kinds_are_written_in_lower_case() {
        for (kind, name) in [
            (BlockKind::Plain, "\"plain\""),
            (BlockKind::Residual, "\"residual\""),
        ] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), name);
            assert_eq!(serde_json::from_str::<BlockKind>(name).unwrap(), kind);
        }
    }
}
