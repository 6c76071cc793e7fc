//! Losses on spectrograms, waveforms, tokens and synthesizer parameters.
//!
//! Every loss here obeys one rule, kept in one file (`reduction`): first a mean within each example,
//! over the elements that count, then a mean over the examples of the batch. A batch's loss is
//! therefore the mean of its items' losses, however the items are grouped, and a short clip weighs
//! as much as a long one.
//!
//! Which elements count is said by a tensor of 0 and 1 made by [`valid_weights`] (everything but
//! padding) or [`hidden_weights`] (what a masked autoencoder has to guess); of sounds, by the number of
//! valid samples. The others may hold anything, NaN and infinity included: they change neither a value nor
//! a gradient.
//!
//! | loss | compares | domain |
//! |---|---|---|
//! | [`MagnitudeLoss`] | absolute or squared error | magnitude, log1p, normalised |
//! | [`SpectralConvergence`] | error relative to the target's norm | magnitude |
//! | [`LogMagnitudeLoss`] | logarithms | magnitude |
//! | [`LowMagnitudeLoss`] | squared error, quiet bins first | magnitude, log1p |
//! | [`ItakuraSaito`] | power spectra | magnitude |
//! | [`Composite`] | a weighted sum of the first four rows, by configuration | as its terms |
//! | [`MultiResolutionStft`] | sounds through several STFTs | waveform |
//! | [`EsrDcLoss`] | sounds through a pre-emphasis filter | waveform |
//! | [`InfoNce`] | context vectors with the content of their tokens | |
//! | [`ParameterLoss`] | estimated with true synthesizer parameters | |
//!
//! A loss whose settings are numbers is its own configuration: it is read, checked by `validate` and used.
//! One that has to be made first, from a domain ([`CompositeConfig`]) or for a device
//! ([`MultiResolutionStftConfig`], [`Resolution`]), has a configuration whose `init` checks and makes it in
//! one step.
//!
//! All spectrogram losses have one face, [`SpectrogramLoss`]:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use losses::{MagnitudeLoss, Norm, SpectrogramLoss, valid_weights};
//!
//! let device = Device::flex();
//! let target = Tensor::<3>::zeros([2, 3, 4], &device); // [batch, bins, frames]
//! let prediction = target.clone() + 2.0;
//! // The first clip fills its 4 frames, the second ends after 1.
//! let weights = valid_weights([2, 3, 4], &[4, 1], &device);
//!
//! let loss = MagnitudeLoss { norm: Norm::L2 };
//! let per_item = loss.per_item(prediction.clone(), target.clone(), weights.clone());
//! assert_eq!(per_item.into_data().try_to_vec::<f32>().unwrap(), [4.0, 4.0]);
//! let mean = loss.forward(prediction, target, weights);
//! assert_eq!(mean.into_scalar::<f32>(), 4.0);
//! ```
//!
//! A loss knows the [`Domain`]s that it is defined on, and a configuration that puts it on another is
//! refused with the conversion that is missing:
//!
//! ```
//! use losses::{CompositeConfig, Domain};
//!
//! let config = CompositeConfig::default(); // spec_l1, spec_sc, spec_log and lowmag
//! assert!(config.init(Domain::Magnitude).is_ok());
//! let refusal = config.init(Domain::Normalised).err().unwrap();
//! assert_eq!(
//!     refusal.to_string(),
//!     "spec_sc is defined on magnitudes, not on normalised spectrograms: \
//!      undo the normalisation and take exp(x) - 1 first"
//! );
//! ```
//!
//! # Where this differs from auraloss
//!
//! One sound at a time, and above its floor, the values are those of the Python package
//! [auraloss](https://github.com/csteinmetz1/auraloss) 0.4.0 to 1e-5, as the tests hold for STFT losses and
//! error-to-signal ratios. Elsewhere they are not, on purpose; `reference/losses_auraloss.py` measures each line.
//!
//! | | auraloss | here |
//! |---|---|---|
//! | spectral convergence of a batch | one norm for the whole batch: a loud item at 0.010 and a quiet one at 0.154 give 0.010 | 0.082, the mean of the items |
//! | quiet bins | power is floored at 1e-8, 80 dB below a bin of magnitude 1, out of sight: a tone at -160 dB that is predicted 20 dB too loud costs 0 and has no gradient | `ln(x + epsilon)`; the epsilon is a setting, and a gradient remains below it |
//! | silence | `SpectralConvergenceLoss` and `STFTMagnitudeLoss` of silence from silence are NaN, with a NaN gradient; in `STFTLoss` the floor saves them | 0, with a gradient of 0 |
//! | padding | counts as signal: a sound of 4,000 samples costs 0.51 alone and 0.37 with as much padding | 0.51 both times |
//! | high-pass `1 - 0.85 z^-1` | runs backwards in time, and makes 107 samples out of 9 | a causal filter; lengths stay |
//! | A-weighting at 44.1 kHz | through a bilinear transform: 6.7 dB low at 15 kHz, 24.1 dB low at 20 kHz | within 0.01 dB at both |
//!
//! # Features
//!
//! `flex`, `wgpu` and `cuda` switch on the operations of `kernels` for the device of that name. In f32 on the CPU,
//! InfoNCE is one of them; everywhere else it runs in chunks ([`InfoNce::per_item_in_chunks`]), and the tests hold
//! one against the other.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod candidates;
mod composite;
mod contrastive;
mod convergence;
mod domain;
mod error;
mod framing;
mod itakura_saito;
mod log_magnitude;
mod loss;
mod low_magnitude;
mod magnitude;
mod multi_resolution;
mod parameter;
mod pre_emphasis;
mod reduction;
mod root;
mod selection;
mod similarity;
mod stft;
mod waveform;

pub use candidates::Negatives;
pub use composite::{Composite, CompositeConfig, CompositeScores};
pub use contrastive::{ContrastiveScores, ContrastiveTokens, InfoNce};
pub use convergence::SpectralConvergence;
pub use domain::Domain;
pub use error::LossError;
pub use itakura_saito::ItakuraSaito;
pub use log_magnitude::LogMagnitudeLoss;
pub use loss::{Loss, SpectrogramLoss, WaveformLoss};
pub use low_magnitude::LowMagnitudeLoss;
pub use magnitude::{MagnitudeLoss, Norm};
pub use multi_resolution::{MultiResolutionStft, MultiResolutionStftConfig};
pub use parameter::{ParameterLoss, ParameterPrediction, ParameterScores, ParameterTarget};
pub use pre_emphasis::PreEmphasis;
pub use reduction::{mean_over_batch, mean_per_item};
pub use selection::{hidden_weights, valid_weights};
pub use stft::{Resolution, Stft};
pub use waveform::EsrDcLoss;
