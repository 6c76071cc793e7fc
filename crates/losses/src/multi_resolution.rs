//! The multi-resolution STFT loss.

use crate::convergence::SpectralConvergence;
use crate::domain::Domain;
use crate::error::LossError;
use crate::log_magnitude::LogMagnitudeLoss;
use crate::loss::{Loss, SpectrogramLoss, WaveformLoss, assert_same_shape};
use crate::selection::valid_weights;
use crate::stft::{Resolution, Stft};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Resolutions and settings of a [`MultiResolutionStft`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MultiResolutionStftConfig {
    /// The transforms; the loss is the mean over them.
    pub resolutions: Vec<Resolution>,
    /// Settings of the spectral convergence.
    pub convergence: SpectralConvergence,
    /// Settings of the distance of log magnitudes.
    pub log_magnitude: LogMagnitudeLoss,
}

impl Default for MultiResolutionStftConfig {
    fn default() -> Self {
        let sizes = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)];
        let resolution = |(n_fft, hop_length, win_length)| Resolution {
            n_fft,
            hop_length,
            win_length,
        };
        Self {
            resolutions: sizes.map(resolution).to_vec(),
            convergence: SpectralConvergence::default(),
            log_magnitude: LogMagnitudeLoss::default(),
        }
    }
}

impl MultiResolutionStftConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`LossError::NoResolutions`] if there is none, [`LossError::OutOfRange`] if a number is out of range.
    pub fn validate(&self) -> Result<(), LossError> {
        let tables: [(&str, &dyn Loss); 2] = [
            ("convergence", &self.convergence),
            ("log_magnitude", &self.log_magnitude),
        ];
        for (table, loss) in tables {
            loss.validate().map_err(|error| error.within(table))?;
        }
        if self.resolutions.is_empty() {
            return Err(LossError::NoResolutions);
        }
        let mut resolutions = self.resolutions.iter().enumerate();
        resolutions.try_for_each(|(i, sizes)| {
            let checked = sizes.validate();
            checked.map_err(|error| error.within(&format!("resolutions[{i}]")))
        })
    }

    /// Plans the transforms on `device`.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, device: &Device) -> Result<MultiResolutionStft, LossError> {
        self.validate()?;
        let stfts = self.resolutions.iter().map(|sizes| sizes.init(device));
        Ok(MultiResolutionStft {
            stfts: stfts.collect::<Result<_, _>>()?,
            convergence: self.convergence,
            log_magnitude: self.log_magnitude,
        })
    }
}

/// Distance of two sounds by several short-time Fourier transforms.
///
/// ```text
/// l_b = mean_r [ SC_r(S_b, S^_b) + LOG_r(S_b, S^_b) ]
///
/// S, S^  magnitudes of target and prediction at resolution r,  b  item
/// SC     spectral convergence,  LOG  L1 of ln(x + eps)
/// ```
///
/// Yamamoto, Song and Kim, "Parallel WaveGAN: A Fast Waveform Generation Model Based on Generative
/// Adversarial Networks with Multi-Resolution Spectrogram", ICASSP 2020, section 2.2 and table 1.
///
/// Domain: waveform.
///
/// Differs from the paper: the terms are those of [`SpectralConvergence`] and [`LogMagnitudeLoss`], per
/// item and with configurable `eps`; an item is transformed without its padding.
#[derive(Clone, Debug)]
pub struct MultiResolutionStft {
    stfts: Vec<Stft>,
    convergence: SpectralConvergence,
    log_magnitude: LogMagnitudeLoss,
}

impl Loss for MultiResolutionStft {
    fn name(&self) -> &'static str {
        "multi_resolution_stft"
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Waveform]
    }
}

impl WaveformLoss for MultiResolutionStft {
    fn per_item(
        &self,
        prediction: Tensor<2>,
        target: Tensor<2>,
        valid_samples: &[usize],
    ) -> Tensor<1> {
        assert_same_shape(&prediction, &target);
        let at = |stft: &Stft| {
            let prediction = stft.magnitude(prediction.clone(), valid_samples);
            let target = stft.magnitude(target.clone(), valid_samples);
            let weights = frame_weights(stft.resolution(), target.dims(), valid_samples, &target);
            let convergence =
                self.convergence
                    .per_item(prediction.clone(), target.clone(), weights.clone());
            convergence + self.log_magnitude.per_item(prediction, target, weights)
        };
        let sum = self.stfts.iter().map(at).reduce(|sum, loss| sum + loss);
        let sum = sum.expect("a configuration without resolutions is refused");
        sum * (1.0 / self.stfts.len() as f64)
    }
}

/// Weights that select the frames of each item without its padding; an item without samples has none.
fn frame_weights(
    resolution: Resolution,
    shape: [usize; 3],
    valid_samples: &[usize],
    like: &Tensor<3>,
) -> Tensor<3> {
    let frames = |&samples: &usize| match samples {
        0 => 0,
        samples => resolution.frames(samples),
    };
    let valid_frames: Vec<usize> = valid_samples.iter().map(frames).collect();
    valid_weights(shape, &valid_frames, &like.device())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_named_with_its_table_and_no_resolution_has_its_own_error() {
        let refusal = |change: fn(&mut MultiResolutionStftConfig)| {
            let mut config = MultiResolutionStftConfig::default();
            change(&mut config);
            config.init(&Device::flex()).unwrap_err()
        };
        let none = refusal(|config| config.resolutions.clear());
        assert_eq!(none, LossError::NoResolutions);
        assert!(none.to_string().starts_with("`resolutions` is empty: "));
        let named = [
            (
                "convergence.epsilon",
                refusal(|config| config.convergence.epsilon = 0.0),
            ),
            (
                "log_magnitude.epsilon",
                refusal(|config| config.log_magnitude.epsilon = 0.0),
            ),
            (
                "resolutions[1].hop_length",
                refusal(|config| config.resolutions[1].hop_length = 0),
            ),
        ];
        for (name, refusal) in named {
            let LossError::OutOfRange { field, .. } = refusal else {
                panic!("{name} has to be refused, got {refusal:?}");
            };
            assert_eq!(field, name);
        }
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let read = |text| toml::from_str::<MultiResolutionStftConfig>(text);
        assert_eq!(read("").unwrap(), MultiResolutionStftConfig::default());
        let refusal = read("resolution = []").unwrap_err().to_string();
        assert!(refusal.contains("unknown field"), "{refusal}");
    }
}
