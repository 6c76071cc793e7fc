#![doc = include_str!("../README.md")]
//!
//! # Shapes
//!
//! ```text
//! feature maps [batch, channels, frames] --pool over time--> [batch, features]
//!     --norm, hidden layer--> continuous [batch, P] in 0..1, and for each categorical parameter logits [batch, classes]
//! ```
//!
//! An encoder provides one [`FeatureMap`] or several, each with its own number of frames. Channels carry frequency; time is
//! pooled over the frames that are not padding. Continuous parameters are positions along their range.
//!
//! Left out on purpose: losses (they are in the crate `losses`) and names of parameters (heads use their order only).
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod bands;
mod config;
mod estimate;
mod heads;
mod linear_probe;
mod pooling;
mod summary_statistics;

pub use bands::{BandConfig, BandNetwork};
pub use config::{HeadsConfigError, ParameterHeadsConfig};
pub use estimate::ParameterEstimate;
pub use heads::ParameterHeads;
pub use linear_probe::LinearProbe;
pub use pooling::{FeatureMap, Pooling};
pub use summary_statistics::{summary_statistics, summary_statistics_parts};
