//! Heads that estimate synthesizer parameters from the feature maps of any encoder.
//!
//! ```text
//! feature maps [batch, channels, frames] --pool over time--> [batch, features]
//!     --norm, hidden layer--> continuous [batch, P] in 0..1, and for each categorical parameter logits [batch, classes]
//! ```
//!
//! An encoder hands over one [`FeatureMap`] or several, each with its own number of frames. What it knows about frequency
//! is in the channels; time is pooled here, over the frames that are no padding. Continuous parameters are positions
//! along their range, as networks predict them; what they mean, and how a prediction is judged, is not known here.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use heads::{FeatureMap, ParameterHeadsConfig, Pooling};
//!
//! let device = Device::flex();
//! let pooling = Pooling { segments: 4 };
//! // Two sounds of 10 and of 7 frames, as an encoder with 24 channels hears them.
//! let map = FeatureMap {
//!     values: Tensor::ones([2, 24, 10], &device),
//!     valid_frames: vec![10, 7],
//! };
//! let features = pooling.forward(&[map]);
//! assert_eq!(features.dims(), [2, pooling.features(&[24])]);
//!
//! // Three continuous parameters, a choice of 2 and one of 5.
//! let config = ParameterHeadsConfig { hidden: 16, dropout: 0.1 };
//! config.validate()?;
//! let heads = config.init(pooling.features(&[24]), 3, &[2, 5], &device);
//! let estimate = heads.forward(features);
//! assert_eq!(estimate.continuous.dims(), [2, 3]);
//! let classes: Vec<_> = estimate.logits.iter().map(|logits| logits.dims()).collect();
//! assert_eq!(classes, [[2, 2], [2, 5]]);
//! # Ok::<(), heads::HeadsConfigError>(())
//! ```
//!
//! A [`BandNetwork`] makes a feature map of its own, from the spectrogram itself, beside those of an encoder. A [`LinearProbe`]
//! tells parameters by itself, from statistics of the spectrogram over time.
//!
//! Absent, with the reason: no loss (that is the crate `losses`'), no names of parameters (heads know an order, whoever
//! has the specification knows the names).
//!
//! # Features
//!
//! `flex`, `wgpu` and `cuda` switch on the operations of `kernels` for the device of that name.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod bands;
mod config;
mod description;
mod estimate;
mod heads;
mod linear_map;
mod pooling;

pub use bands::{BandConfig, BandNetwork};
pub use config::{HeadsConfigError, ParameterHeadsConfig};
pub use description::{description, description_parts};
pub use estimate::ParameterEstimate;
pub use heads::ParameterHeads;
pub use linear_map::LinearProbe;
pub use pooling::{FeatureMap, Pooling};
