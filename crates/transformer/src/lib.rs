#![doc = include_str!("../README.md")]
//!
//! # The networks
//!
//! ```text
//! spectrogram -> Patches --(hidden)--> Encoder -> Memory -> Decoder -> prediction -> spectrogram
//!                   |                                |
//!                   |                                +----> (predictor) -> queries
//!                   +--(content, no position, no gradient)--------------> keys
//! ```
//!
//! A mask is true where something is hidden. Padded frames are ignored: tokens without a valid frame are never
//! attended to, and the padded values of other tokens are set to 0.
//!
//! [`PatchGrid::hidden_tokens`] turns a mask over bins into one over tokens:
//!
//! ```
//! use burn::tensor::{Bool, Device, Tensor};
//! use transformer::{ContrastiveConfig, EncoderConfig};
//!
//! let device = Device::flex();
//! let encoder = EncoderConfig {
//!     bins: 33,
//!     patch_frames: 4,
//!     d_model: 16,
//!     n_heads: 2,
//!     d_ff: 32,
//!     n_layers: 1,
//!     ..EncoderConfig::default()
//! };
//! encoder.validate()?;
//! let model = ContrastiveConfig::default().init(&encoder, &device);
//!
//! let (x, valid_frames) = (Tensor::<3>::zeros([2, 33, 13], &device), [13, 6]);
//! let mask = Tensor::<3, Bool>::full([2, 33, 13], false, &device)
//!     .slice_fill([0..2, 10..15, 0..4], true);
//! let patches = model.encoder.patchify(x, &valid_frames);
//! assert_eq!(patches.values.dims(), [2, 7 * 4, 5 * 4]);
//! let hidden = patches.grid.hidden_tokens(mask, &valid_frames);
//! assert_eq!(patches.hidden_weights(hidden.clone()).sum().into_scalar::<f32>(), 40.0);
//!
//! let contrast = model.forward(&patches, hidden);
//! assert_eq!(contrast.queries.dims(), [2, 28, 256]);
//! # Ok::<(), transformer::TransformerConfigError>(())
//! ```
//!
//! Left out on purpose: a class token (features are pooled over tokens), losses (models and losses don't depend on
//! each other), and dropout on attention weights (tiled attention never stores them).
//!
//! # Weight decay
//!
//! Decay matrices only. All other parameters have one axis (biases, norms, mask vectors), except learned positions,
//! which have three axes and `positions` in their path.
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
mod contrastive;
mod decoder;
mod encoder;
mod error;
mod linear;
mod masked;
mod memory;
mod norm;
mod patchify;
mod position;
mod target;

pub use config::{
    ContrastiveConfig, DecoderConfig, EncoderConfig, EncoderTokens, KeyGradient, Keys,
    TransformerConfig,
};
pub use contrastive::{ContrastiveTransformer, QueriesAndKeys};
pub use decoder::Decoder;
pub use encoder::{Encoder, Features, Memory};
pub use error::TransformerConfigError;
pub use masked::MaskedTransformer;
pub use memory::StepSize;
pub use patchify::{PatchGrid, Patches};
pub use position::PositionKind;
pub use target::Targets;
