#![doc = include_str!("../README.md")]
//!
//! # Reduction
//!
//! All losses share one reduction ([`mean_per_item`], [`mean_over_batch`]): first a mean within each example over
//! the elements that count, then a mean over the examples of the batch. A batch's loss is therefore the mean of its
//! items' losses, however the items are grouped, and a short clip weighs as much as a long one.
//!
//! Weights of 0 and 1 select the elements that count: [`valid_weights`] selects everything except padding,
//! [`hidden_weights`] what a masked autoencoder has to predict. For sounds, it is the number of valid samples. All
//! other elements may hold anything, including NaN and infinity: they change neither a value nor a gradient.
//!
//! # Configuration
//!
//! A loss whose settings are numbers is its own configuration: read it, check it with `validate` and use it.
//! A loss that needs a domain ([`CompositeConfig`]) or a device ([`MultiResolutionStftConfig`], [`Resolution`]) has
//! a configuration whose `init` checks and creates it.
//!
//! All spectrogram losses implement [`SpectrogramLoss`]:
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use losses::{MagnitudeLoss, Norm, SpectrogramLoss, valid_weights};
//!
//! let device = Device::flex();
//! let target = Tensor::<3>::zeros([2, 3, 4], &device); // [batch, bins, frames]
//! let prediction = target.clone() + 2.0;
//! // The first clip has 4 frames, the second has 1.
//! let weights = valid_weights([2, 3, 4], &[4, 1], &device);
//!
//! let loss = MagnitudeLoss { norm: Norm::L2 };
//! let per_item = loss.per_item(prediction.clone(), target.clone(), weights.clone());
//! assert_eq!(per_item.into_data().try_to_vec::<f32>().unwrap(), [4.0, 4.0]);
//! let mean = loss.forward(prediction, target, weights);
//! assert_eq!(mean.into_scalar::<f32>(), 4.0);
//! ```
//!
//! # Where this differs from auraloss
//!
//! For single sounds above its floor, the values are those of the Python package
//! [auraloss](https://github.com/csteinmetz1/auraloss) 0.4.0 to 1e-5; tests check this for STFT losses and
//! error-to-signal ratios. The differences are on purpose; `reference/losses_auraloss.py` measures each line.
//!
//! | | auraloss | here |
//! |---|---|---|
//! | spectral convergence of a batch | one norm for the whole batch: a loud item at 0.010 and a quiet one at 0.154 give 0.010 | 0.082, the mean of the items |
//! | quiet bins | power is floored at 1e-8, 80 dB below a bin of magnitude 1: a tone at -160 dB that is predicted 20 dB too loud costs 0 and has no gradient | `ln(x + epsilon)`; epsilon is a setting, and there is a gradient below it |
//! | silence | `SpectralConvergenceLoss` and `STFTMagnitudeLoss` of silence from silence are NaN, with a NaN gradient; in `STFTLoss` the floor prevents it | 0, with a gradient of 0 |
//! | padding | counts as signal: a sound of 4,000 samples costs 0.51 alone and 0.37 with as much padding | 0.51 both times |
//! | high-pass `1 - 0.85 z^-1` | runs backwards in time, and turns 9 samples into 107 | a causal filter; the length is kept |
//! | A-weighting at 44.1 kHz | by a bilinear transform: 6.7 dB low at 15 kHz, 24.1 dB low at 20 kHz | within 0.01 dB at both |
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod a_weighted;
mod candidates;
mod composite;
mod contrastive;
mod convergence;
mod domain;
mod error;
mod framing;
mod info_nce;
mod inverse_stft;
mod itakura_saito;
mod log_magnitude;
mod log_mel;
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
mod waveform_composite;

pub use a_weighted::AWeightedMagnitude;
pub use candidates::{NegativeSource, Negatives};
pub use composite::{BinFrequencies, Composite, CompositeConfig, CompositeScores};
pub use contrastive::{ContrastiveScores, ContrastiveTokens};
pub use convergence::SpectralConvergence;
pub use domain::Domain;
pub use error::LossError;
pub use info_nce::InfoNce;
pub use inverse_stft::Phases;
pub use itakura_saito::ItakuraSaito;
pub use log_magnitude::LogMagnitudeLoss;
pub use log_mel::{LogMelConfig, LogMelLoss};
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
pub use waveform_composite::{WaveformComposite, WaveformCompositeConfig};
