//! A patch Transformer on spectrograms: contrastive and reconstructive pretraining.
//!
//! A spectrogram is cut into patches, some are hidden, and two networks with the same encoder learn from what
//! is missing: [`ContrastiveTransformer`] to tell which hidden patch is which, [`MaskedTransformer`] to draw
//! it. [`Encoder::encode`] hands out features of whole spectrograms for whatever comes after that.
//!
//! ```text
//! spectrogram -> Patches --(hidden)--> Encoder -> Memory -> Decoder -> prediction -> spectrogram
//!                   |                                |
//!                   |                                +----> (predictor) -> queries
//!                   +--(content, no position, no gradient)--------------> keys
//! ```
//!
//! ```
//! use burn::tensor::{Bool, Device, Tensor};
//! use transformer::{DecoderConfig, EncoderConfig, TransformerConfig};
//!
//! let device = Device::flex();
//! let config = TransformerConfig {
//!     encoder: EncoderConfig {
//!         bins: 33, // n_fft 64
//!         patch_bins: 5,
//!         patch_frames: 4,
//!         d_model: 16,
//!         n_heads: 2,
//!         d_ff: 32,
//!         n_layers: 2,
//!         ..EncoderConfig::default()
//!     },
//!     decoder: DecoderConfig { d_model: 8, n_heads: 2, d_ff: 16, n_layers: 1, dropout: 0.1 },
//!     ..TransformerConfig::default()
//! };
//! config.validate()?;
//!
//! // Two spectrograms of 13 frames, the second of which ends after 6. A mask over bins becomes one over tokens.
//! let (x, valid_frames) = (Tensor::<3>::zeros([2, 33, 13], &device), [13, 6]);
//! let mask = Tensor::<3, Bool>::full([2, 33, 13], false, &device)
//!     .slice_fill([0..2, 10..15, 0..4], true);
//! let model = config.init(&device);
//! let patches = model.patchify(x, &valid_frames);
//! assert_eq!(patches.values.dims(), [2, 7 * 4, 5 * 4]);
//! let hidden = patches.grid.hidden_tokens(mask, &valid_frames);
//!
//! // A loss compares prediction and targets where these weights are 1.
//! let predicted = model.forward(&patches, hidden.clone());
//! assert_eq!(predicted.dims(), model.targets(&patches).dims());
//! assert_eq!(patches.hidden_weights(hidden.clone()).sum().into_scalar::<f32>(), 40.0);
//! assert_eq!(model.unpatchify(predicted, &patches).dims(), [2, 33, 13]);
//!
//! let contrast = config.init_contrastive(&device).forward(&patches, hidden);
//! assert_eq!(contrast.queries.dims(), [2, 28, 256]);
//! assert_eq!(model.encoder.encode(&patches).pooled.dims(), [2, 16]);
//! # Ok::<(), transformer::TransformerConfigError>(())
//! ```
//!
//! A mask is true where something is hidden, everywhere. Padded frames count as nothing: tokens without a
//! valid frame are never attended to, and the values of the others are blanked behind the end.
//!
//! A network that is fresh from `init` has no numbers in it yet: Burn draws a parameter when it is first
//! used. Whoever wants the weights to follow from a seed sets the seed and then touches every parameter
//! before anything else draws.
//!
//! Weight decay is for matrices alone. All other parameters have one axis (biases, norms, mask vectors),
//! but for learned positions, which have three and `positions` in their path.
//!
//! Absent, with the reason: no class token (features are pooled over tokens), no losses (they know no
//! models, and models no losses), no dropout on attention weights (a tiled attention never holds them).
//!
//! # Features
//!
//! `flex`, `wgpu` and `cuda` switch on the operations of `kernels` for the device of that name. Name the one you
//! train on: without it, attention keeps a score for each pair of tokens as soon as a gradient is wanted.
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod attention;
mod block;
mod config;
mod contrastive;
mod decoder;
mod encoder;
mod linear;
mod masked;
mod memory;
mod norm;
mod patchify;
mod position;
mod target;

pub use config::{
    ContrastiveConfig, DecoderConfig, EncoderConfig, TransformerConfig, TransformerConfigError,
};
pub use contrastive::{ContrastiveTransformer, KeyGradient, Keys, QueriesAndKeys};
pub use decoder::Decoder;
pub use encoder::{Encoder, EncoderTokens, Features, Memory};
pub use masked::MaskedTransformer;
pub use memory::StepSize;
pub use patchify::{PatchGrid, Patches};
pub use position::PositionKind;
pub use target::Targets;
