#![doc = include_str!("../README.md")]
//!
//! # The network
//!
//! ```text
//! x -> stem -> encoder.0 ---------------------------------(skip)--> decoder.0 -> head -> y
//!                 |                                                     ^
//!              halve.0 -> encoder.1 ----------------(skip)--> decoder.1 -> double.0
//!                            |                                    ^
//!                            +--------> middle -> (bottleneck) ---+
//! ```
//!
//! Left out on purpose: dropout (masking the input already regularises) and embeddings (there is nothing
//! to condition on).
//!
//! # Reproducible weights
//!
//! Burn draws a parameter when it is first used. For weights that depend on the seed alone, call
//! `device.seed(..)` before `init`, then visit every parameter (a `ModuleVisitor` that calls `Param::val`)
//! before anything else draws random numbers.
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
