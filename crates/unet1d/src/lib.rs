//! A 1-D U-Net on spectrograms: frequency bins as channels, convolution over time.
//!
//! The network takes `[batch, bins, frames]` and gives back the same shape, for any number of frames.
//! It was made to reconstruct masked spectrograms; for whatever comes after that, [`UNet1d::encode`] hands out the
//! bottleneck, and [`UNet1d::into_encoder`] the way down, with the features of each level.
//!
//! ```text
//! x -> stem -> encoder.0 ---------------------------------(skip)--> decoder.0 -> head -> y
//!                 |                                                     ^
//!              halve.0 -> encoder.1 ----------------(skip)--> decoder.1 -> double.0
//!                            |                                    ^
//!                            +--------> middle -> (bottleneck) ---+
//! ```
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use unet1d::UNet1dConfig;
//!
//! let device = Device::flex();
//! let config = UNet1dConfig {
//!     in_channels: 33, // n_fft 64
//!     base_channels: 8,
//!     channel_mults: vec![1, 2],
//!     ..UNet1dConfig::default()
//! };
//! config.validate()?;
//! let model = config.init(&device);
//!
//! let x = Tensor::<3>::zeros([2, 33, 13], &device);
//! assert_eq!(model.forward(x.clone()).dims(), [2, 33, 13]);
//! assert_eq!(model.encode(x).dims(), [2, 16, 6]);
//! # Ok::<(), unet1d::UNetConfigError>(())
//! ```
//!
//! A U-Net that is fresh from `init` has no numbers in it yet: Burn draws a parameter when it is
//! first used. Whoever wants the weights to follow from a seed sets the seed and then touches every
//! parameter (a `ModuleVisitor` that calls `Param::val`) before anything else draws.
//!
//! Absent, with the reason: no dropout (the objective hides input already), no time or class
//! embedding (nothing to condition on), no padding mask (the loss leaves padded frames out; a
//! convolution cannot).
//!
//! # Features
//!
//! `flex`, `wgpu` and `cuda` switch on the operations of `kernels` for the device of that name; without it they are
//! Burn's own, which on the CPU take several times as long.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod attention;
mod block;
mod config;
mod conv;
mod level;
mod memory;
mod norm;
mod resample;
mod unet;

pub use block::BlockKind;
pub use config::{UNet1dConfig, UNetConfigError};
pub use unet::{UNet1d, UNet1dEncoder};
