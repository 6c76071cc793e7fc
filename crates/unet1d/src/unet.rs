//! The U-Net and its encoder.

use crate::config::UNet1dConfig;
use crate::conv::{convolve, init_same_conv};
use crate::level::Level;
use crate::norm::normalize_silu;
use crate::resample::{Double, Halve};
use burn::module::Module;
use burn::nn::conv::Conv1d;
use burn::nn::{GroupNorm, GroupNormConfig};
use burn::tensor::{Device, Tensor};

/// A 1-D U-Net (Ronneberger et al., "U-Net", MICCAI 2015, over time instead of over an image).
///
/// ```text
/// h_0 = encoder_0(stem(x))      h_i = encoder_i(halve_{i-1}(h_{i-1}))       i = 1..n-1
/// z   = middle(h_{n-1})         the bottleneck
/// g_{n-1} = decoder_{n-1}([z, h_{n-1}] / sqrt 2)
/// g_i     = decoder_i([double_i(g_{i+1}), h_i] / sqrt 2)                    i = n-2..0
/// y   = head(g_0)               group norm, SiLU, convolution
/// ```
///
/// `[a, b]` concatenates channels. The factor `1 / sqrt 2` compensates for the channels of the skip, over
/// which a decoder level sums as well (Song et al. 2021, "Score-Based Generative Modeling through SDEs";
/// scaled skips of Saharia et al. 2022, "Imagen", appendix).
///
/// The output has as many frames as the input, for any number. Below a level with an odd number of
/// frames, the next level has half of it, rounded down; in the expanding path a frame of zeros is
/// appended before the skip is concatenated.
///
/// Differs from the paper: strided convolutions for pooling, zero padding for cropping, group norm
/// and SiLU, one skip per level.
#[derive(Module, Debug)]
pub struct UNet1d {
    in_channels: usize,
    stem: Conv1d,
    /// By level, full time resolution first, like `halve`, `double` and `decoder`.
    encoder: Vec<Level>,
    /// `halve[i]` leads from level i to level i + 1.
    halve: Vec<Halve>,
    middle: Level,
    /// `double[i]` leads from level i + 1 to level i.
    double: Vec<Double>,
    decoder: Vec<Level>,
    head_norm: GroupNorm,
    head: Conv1d,
}

impl UNet1dConfig {
    /// Initialises the network on `device`. Burn draws each parameter when it is first used.
    ///
    /// # Panics
    /// If [`validate`](UNet1dConfig::validate) returns an error.
    pub fn init(&self, device: &Device) -> UNet1d {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let channels = self.level_channels();
        let n_levels = channels.len();
        let deepest = channels[n_levels - 1];
        let blocks = self.blocks_per_level;
        UNet1d {
            in_channels: self.in_channels,
            stem: init_same_conv(self.in_channels, self.base_channels, 3, device),
            encoder: (0..n_levels)
                .map(|i| {
                    let c_in = if i == 0 {
                        self.base_channels
                    } else {
                        channels[i - 1]
                    };
                    Level::init(self, i, c_in, blocks, device)
                })
                .collect(),
            halve: channels[..n_levels - 1]
                .iter()
                .map(|&channels| Halve::init(channels, device))
                .collect(),
            middle: Level::init(self, n_levels - 1, deepest, MIDDLE_BLOCKS, device),
            double: channels[1..]
                .iter()
                .map(|&channels| Double::init(channels, device))
                .collect(),
            decoder: (0..n_levels)
                .map(|i| {
                    let below = channels.get(i + 1).unwrap_or(&deepest);
                    Level::init(self, i, below + channels[i], blocks, device)
                })
                .collect(),
            head_norm: GroupNormConfig::new(self.norm_groups, channels[0]).init(device),
            head: init_same_conv(channels[0], self.in_channels, 3, device),
        }
    }
}

/// Blocks between encoder and decoder.
pub(crate) const MIDDLE_BLOCKS: usize = 2;

impl UNet1d {
    /// Reconstructs spectrograms.
    ///
    /// # Shapes
    /// - x, output: `[batch, in_channels, frames]`, at least one frame
    ///
    /// # Panics
    /// If `x` has another number of channels, or no frames.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let (bottleneck, skips) = self.encode_with_skips(x);
        self.decode(bottleneck, skips)
    }

    /// Bottleneck features: the output of the middle blocks.
    ///
    /// # Shapes
    /// - x: `[batch, in_channels, frames]`, at least one frame
    /// - output: `[batch, base_channels * last of channel_mults, last of level_frames(frames)]`
    ///
    /// # Panics
    /// As [`forward`](UNet1d::forward).
    pub fn encode(&self, x: Tensor<3>) -> Tensor<3> {
        let (bottleneck, _) = self.encode_with_skips(x);
        bottleneck
    }

    /// The encoder alone, with its weights, for downstream models.
    pub fn into_encoder(self) -> UNet1dEncoder {
        UNet1dEncoder {
            in_channels: self.in_channels,
            stem: self.stem,
            encoder: self.encoder,
            halve: self.halve,
            middle: self.middle,
        }
    }

    /// Name and number of parameters of each part, in the order of the forward pass.
    pub fn parameters_per_block(&self) -> Vec<(String, usize)> {
        let mut rows = self.contracting_path().parameters_per_block();
        for (i, level) in self.decoder.iter().enumerate().rev() {
            if let Some(double) = self.double.get(i) {
                rows.push((format!("double.{i}"), double.num_params()));
            }
            rows.push((format!("decoder.{i}"), level.num_params()));
        }
        let head = self.head_norm.num_params() + self.head.num_params();
        rows.push(("head".to_owned(), head));
        rows
    }

    fn encode_with_skips(&self, x: Tensor<3>) -> (Tensor<3>, Vec<Tensor<3>>) {
        self.contracting_path().forward(x)
    }

    fn contracting_path(&self) -> ContractingPath<'_> {
        ContractingPath {
            in_channels: self.in_channels,
            stem: &self.stem,
            encoder: &self.encoder,
            halve: &self.halve,
            middle: &self.middle,
        }
    }

    fn decode(&self, bottleneck: Tensor<3>, skips: Vec<Tensor<3>>) -> Tensor<3> {
        let mut h = bottleneck;
        for (i, (level, skip)) in self.decoder.iter().zip(skips).enumerate().rev() {
            if let Some(double) = self.double.get(i) {
                let [_, _, frames] = skip.dims();
                h = double.forward(h, frames);
            }
            h = level.forward(Tensor::cat(vec![h, skip], 1) * 0.5_f64.sqrt());
        }
        convolve(&self.head, normalize_silu(&self.head_norm, h))
    }
}

/// The encoder of a [`UNet1d`]: the network without its decoder and head.
#[derive(Module, Debug)]
pub struct UNet1dEncoder {
    in_channels: usize,
    stem: Conv1d,
    /// By level, full time resolution first.
    encoder: Vec<Level>,
    halve: Vec<Halve>,
    middle: Level,
}

impl UNet1dEncoder {
    /// Features of every level, full time resolution first, followed by the bottleneck.
    ///
    /// # Shapes
    /// - x: `[batch, in_channels, frames]`, at least one frame
    /// - output: `[batch, level_channels()[i], level_frames(frames)[i]]` for each level i; the bottleneck has
    ///   the shape of the deepest level
    ///
    /// # Panics
    /// As [`UNet1d::forward`].
    pub fn levels(&self, x: Tensor<3>) -> Vec<Tensor<3>> {
        let (bottleneck, mut levels) = self.contracting_path().forward(x);
        levels.push(bottleneck);
        levels
    }

    /// Name and number of parameters of each part, in the order of the forward pass.
    pub fn parameters_per_block(&self) -> Vec<(String, usize)> {
        self.contracting_path().parameters_per_block()
    }

    fn contracting_path(&self) -> ContractingPath<'_> {
        ContractingPath {
            in_channels: self.in_channels,
            stem: &self.stem,
            encoder: &self.encoder,
            halve: &self.halve,
            middle: &self.middle,
        }
    }
}

/// The contracting path (Ronneberger et al. 2015) of a [`UNet1d`] or a [`UNet1dEncoder`].
struct ContractingPath<'a> {
    in_channels: usize,
    stem: &'a Conv1d,
    encoder: &'a [Level],
    halve: &'a [Halve],
    middle: &'a Level,
}

impl ContractingPath<'_> {
    /// The bottleneck and the output of each encoder level, full time resolution first.
    fn forward(&self, x: Tensor<3>) -> (Tensor<3>, Vec<Tensor<3>>) {
        let [_, channels, frames] = x.dims();
        assert_eq!(
            channels, self.in_channels,
            "this U-Net takes spectrograms of {} bins, got {channels}",
            self.in_channels
        );
        assert!(frames > 0, "a U-Net needs at least one frame, got none");
        let mut h = convolve(self.stem, x);
        let mut skips = Vec::with_capacity(self.encoder.len());
        for (i, level) in self.encoder.iter().enumerate() {
            h = level.forward(h);
            skips.push(h.clone());
            if let Some(halve) = self.halve.get(i) {
                h = halve.forward(h);
            }
        }
        (self.middle.forward(h), skips)
    }

    fn parameters_per_block(&self) -> Vec<(String, usize)> {
        let mut rows = vec![("stem".to_owned(), self.stem.num_params())];
        for (i, level) in self.encoder.iter().enumerate() {
            rows.push((format!("encoder.{i}"), level.num_params()));
            if let Some(halve) = self.halve.get(i) {
                rows.push((format!("halve.{i}"), halve.num_params()));
            }
        }
        rows.push(("middle".to_owned(), self.middle.num_params()));
        rows
    }
}
