//! A small network on the bands of a spectrogram, with the same weights for every band.

use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{GroupNorm, GroupNormConfig, PaddingConfig1d};
use burn::tensor::{Device, Tensor};
use kernels::Conv1dOptions;
use serde::{Deserialize, Serialize};

use crate::config::HeadsConfigError;
use crate::pooling::FeatureMap;

/// Groups of each layer's norm.
const GROUPS: usize = 8;

/// Kernel and stride of each layer, in frames.
const KERNEL: usize = 3;
const STRIDE: usize = 2;

/// Sizes of a [`BandNetwork`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandConfig {
    /// Bins of a band; 0 for all bins in one band.
    pub bins: usize,
    /// Bins from the start of a band to the start of the next.
    pub step: usize,
    /// Channels of each layer, multiples of 8. Each layer halves the frames.
    pub channels: Vec<usize>,
}

/// Convolutions over time, each of which halves the frames, with the same weights for every band.
///
/// ```text
/// x_k    = bins step k to step k + bins                        silence above the highest bin
/// h_l    = SiLU(norm(conv(h_{l-1})))      h_0 = x_k            kernel 3, stride 2
/// output = mean over the bands k of h_L
/// ```
///
/// The temporal behaviour of a partial (its decay, its vibrato) looks alike at every frequency, so weights shared
/// by all bands can be learned from few sounds. An encoder whose channels are bins has to learn it for each bin.
/// The mean loses the frequency of a partial; a network with a single band of all bins keeps it.
///
/// Group norm (Wu & He 2018), since batches may be small.
#[derive(Module, Debug)]
pub struct BandNetwork {
    layers: Vec<Layer>,
    bins: usize,
    step: usize,
}

#[derive(Module, Debug)]
struct Layer {
    conv: Conv1d,
    norm: GroupNorm,
}

impl BandConfig {
    /// Checks that a network can be built from this configuration.
    ///
    /// # Errors
    /// The step is 0 or larger than a band, there is no layer, or channels aren't a positive multiple of 8.
    pub fn validate(&self) -> Result<(), HeadsConfigError> {
        let refuse = |field, expected, got: usize| {
            let got = got as f64;
            Err(HeadsConfigError {
                field,
                expected,
                got,
            })
        };
        if self.step == 0 {
            return refuse("step", "at least 1", 0);
        }
        if self.bins > 0 && self.step > self.bins {
            return refuse(
                "step",
                "no more than `bins`, so that every bin is read",
                self.step,
            );
        }
        if self.channels.is_empty() {
            return refuse("channels", "those of at least one layer", 0);
        }
        let is_odd = |&&count: &&usize| count == 0 || !count.is_multiple_of(GROUPS);
        match self.channels.iter().find(is_odd) {
            Some(&count) => refuse("channels", "positive multiples of 8", count),
            None => Ok(()),
        }
    }

    /// Initialises a network for spectrograms of `bins` bins on `device`. Burn draws each parameter when it is
    /// first used.
    ///
    /// # Panics
    /// If [`validate`](Self::validate) returns an error, or `bins` is 0.
    pub fn init(&self, bins: usize, device: &Device) -> BandNetwork {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        assert!(bins > 0, "a spectrogram needs bins, got 0");
        let band = self.band_of(bins);
        let inputs = std::iter::once(&band).chain(&self.channels);
        let layers = std::iter::zip(inputs, &self.channels);
        BandNetwork {
            layers: layers
                .map(|(&c_in, &c_out)| Layer {
                    conv: Conv1dConfig::new(c_in, c_out, KERNEL)
                        .with_stride(STRIDE)
                        .with_padding(PaddingConfig1d::Explicit(KERNEL / 2, KERNEL / 2))
                        .init(device),
                    norm: GroupNormConfig::new(GROUPS, c_out).init(device),
                })
                .collect(),
            bins: band,
            step: self.step,
        }
    }

    /// Bins of a band, for spectrograms of `bins` bins.
    fn band_of(&self, bins: usize) -> usize {
        match self.bins {
            0 => bins,
            band => band.min(bins),
        }
    }

    /// Channels of the output.
    pub fn n_channels(&self) -> usize {
        self.channels.last().copied().unwrap_or(0)
    }

    /// Estimates the number of f32 values that one training step keeps for its backward pass: the inputs of each
    /// convolution and each norm.
    pub fn activation_elements(&self, batch: usize, [bins, frames]: [usize; 2]) -> usize {
        let band = self.band_of(bins);
        let mut frames = frames;
        let (mut c_in, mut sum) = (band, 0);
        for &channels in &self.channels {
            sum += c_in * frames;
            frames = frames.div_ceil(STRIDE);
            sum += 2 * channels * frames;
            c_in = channels;
        }
        batch * n_bands(bins, band, self.step) * sum
    }
}

/// Number of bands that cover all bins.
fn n_bands(bins: usize, band: usize, step: usize) -> usize {
    1 + (bins - band).div_ceil(step)
}

impl BandNetwork {
    /// The mean of the bands' feature maps.
    ///
    /// # Shapes
    /// - loudness: `[batch, bins, frames]`, with silence at 0
    /// - output: `[batch, channels, frames / 2^layers]`, rounded up
    ///
    /// # Panics
    /// If there are fewer bins than a band has, or `valid_frames` doesn't fit the items.
    pub fn forward(&self, loudness: Tensor<3>, valid_frames: &[usize]) -> FeatureMap {
        let [batch, bins, frames] = loudness.dims();
        assert!(
            bins >= self.bins && valid_frames.len() == batch,
            "bands of {} bins and the valid frames of each item expected, got {bins} bins, {} items with valid frames of {batch}",
            self.bins,
            valid_frames.len()
        );
        let n_bands = n_bands(bins, self.bins, self.step);
        let missing = self.bins + (n_bands - 1) * self.step - bins;
        let loudness = match missing {
            0 => loudness,
            _ => {
                let silence = Tensor::zeros([batch, missing, frames], &loudness.device());
                Tensor::cat(vec![loudness, silence], 1)
            }
        };
        let bands = (0..n_bands).map(|k| loudness.clone().narrow(1, k * self.step, self.bins));
        let mut h = Tensor::cat(bands.collect(), 0);
        for layer in &self.layers {
            h = layer.forward(h);
        }
        let [_, channels, frames] = h.dims();
        let values = h
            .reshape([n_bands, batch, channels, frames])
            .mean_dim(0)
            .squeeze_dim(0);
        let halved = |&valid: &usize| {
            let halve = |valid: usize, _: &Layer| valid.div_ceil(STRIDE);
            self.layers.iter().fold(valid, halve)
        };
        FeatureMap {
            values,
            valid_frames: valid_frames.iter().map(halved).collect(),
        }
    }
}

impl Layer {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let bias = self.conv.bias.as_ref().map(|bias| bias.val());
        let options = Conv1dOptions {
            stride: STRIDE,
            padding: [KERNEL / 2; 2],
        };
        let h = kernels::conv1d(x, self.conv.weight.val(), bias, options);
        let [gamma, beta] = [&self.norm.gamma, &self.norm.beta]
            .map(|parameter| parameter.as_ref().expect("the norm is affine").val());
        kernels::group_norm_silu(h, GROUPS, gamma, beta, self.norm.epsilon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::activation::silu;
    use burn::tensor::{Distribution, Tolerance};

    fn config() -> BandConfig {
        BandConfig {
            bins: 4,
            step: 3,
            channels: vec![8, 16],
        }
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Uniform(0.0, 3.0), &Device::flex())
    }

    #[test]
    fn output_is_the_mean_of_burns_modules_on_each_band() {
        let network = config().init(9, &Device::flex());
        let x = random([2, 9, 11]);
        let map = network.forward(x.clone(), &[11, 5]);
        // Bins 0 to 3, 3 to 6, and 6 to 9. Bin 9 is silence above the highest bin.
        let silence = Tensor::zeros([2, 1, 11], &Device::flex());
        let x = Tensor::cat(vec![x, silence], 1);
        let of_band = |first: usize| {
            network
                .layers
                .iter()
                .fold(x.clone().narrow(1, first, 4), |h, layer| {
                    silu(layer.norm.forward(layer.conv.forward(h)))
                })
        };
        let mean = (of_band(0) + of_band(3) + of_band(6)) / 3.0;
        map.values
            .into_data()
            .assert_approx_eq::<f32>(&mean.into_data(), Tolerance::absolute(1e-5));
        assert_eq!(map.valid_frames, [3, 2]);
    }

    #[test]
    fn without_a_width_there_is_one_band_of_all_bins() {
        let all = BandConfig {
            bins: 0,
            ..config()
        };
        let network = all.init(9, &Device::flex());
        assert_eq!(network.layers[0].conv.weight.dims(), [8, 9, 3]);
        assert_eq!(
            network.forward(random([1, 9, 4]), &[4]).values.dims(),
            [1, 16, 1]
        );
    }

    #[test]
    fn fewer_bins_than_a_band_has_are_one_band() {
        let network = config().init(3, &Device::flex());
        let map = network.forward(random([1, 3, 5]), &[5]);
        assert_eq!(map.values.dims(), [1, 16, 2]);
    }

    #[test]
    fn memory_is_counted_over_bands_and_layers() {
        // Three bands of 4 bins and 11 frames, 6 after the first layer, 3 after the second.
        let per_band = 4 * 11 + 2 * 8 * 6 + 8 * 6 + 2 * 16 * 3;
        assert_eq!(config().activation_elements(5, [9, 11]), 5 * 3 * per_band);
    }

    #[test]
    fn invalid_sizes_are_refused_by_name() {
        let with = |step, channels: &[usize]| BandConfig {
            bins: 4,
            step,
            channels: channels.to_vec(),
        };
        for (config, field) in [
            (with(0, &[8]), "step"),
            (with(5, &[8]), "step"),
            (with(1, &[]), "channels"),
            (with(1, &[8, 0]), "channels"),
            (with(1, &[8, 12]), "channels"),
        ] {
            assert_eq!(config.validate().unwrap_err().field, field);
        }
        assert_eq!(config().validate(), Ok(()));
    }
}
