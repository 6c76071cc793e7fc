//! Fused tensor operations for spectrogram models.
//!
//! Each operation is one function on Burn tensors, which any backend runs ([`info_nce`] and [`stft_magnitude`] alone are
//! fused or not at all: [`has_info_nce`] and [`has_stft_magnitude`] tell), and knows its own gradient:
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use burn::tensor::{Bool, Device, Distribution, Tensor};
//!
//! let device = Device::flex().autodiff();
//! let random = |tokens| {
//!     Tensor::<4>::random([2, 8, tokens, 32], Distribution::Default, &device).require_grad()
//! };
//! let (query, key, value) = (random(50), random(70), random(70));
//! // The last 20 keys are padding.
//! let hidden_keys = Tensor::<1, burn::tensor::Int>::arange(0..70, &device)
//!     .greater_equal_elem(50)
//!     .unsqueeze::<2>()
//!     .expand([2, 70]);
//!
//! let mixed = kernels::attention(query.clone(), key, value, Some(hidden_keys));
//! assert_eq!(mixed.dims(), [2, 8, 50, 32]);
//! let gradients = mixed.sum().backward();
//! assert!(query.grad(&gradients).is_some());
//! # }
//! ```
//!
//! # Features
//!
//! - `flex`: fused versions for the CPU. They run on all threads of rayon's pool, and their results
//!   don't depend on how many there are.
//! - `wgpu`, `cuda`: attention's own gradient, made of Burn's operations, which keeps one number a token in place of a
//!   table of scores. All else is Burn's there, gradients included. Without the feature of its backend, attention is, too.
#![warn(missing_docs)]

mod adamw;
mod allocator;
mod attention;
#[cfg(feature = "flex")]
mod backend;
#[cfg(feature = "flex")]
mod blocks;
mod conv;
#[cfg(feature = "flex")]
mod error_function;
#[cfg(feature = "flex")]
mod exponential;
mod gelu;
mod gradient_norm;
mod group_norm;
mod info_nce;
mod layer_norm;
mod linear;
#[cfg(feature = "flex")]
mod matrix;
#[cfg(feature = "flex")]
mod moments;
#[cfg(feature = "flex")]
mod product;
#[cfg(feature = "flex")]
mod rows;
#[cfg(feature = "flex")]
mod scratch;
#[cfg(feature = "flex")]
mod sigmoid;
#[cfg(feature = "flex")]
mod simd;
mod stft;
mod threads;
#[cfg(feature = "flex")]
mod transpose;
mod unit_rows;
#[cfg(feature = "flex")]
mod vectors;

pub use adamw::{AdamWStep, adamw};
pub use allocator::keep_freed_memory;
pub use attention::{attention, self_attention};
pub use conv::{Conv1dOptions, conv_transpose1d, conv1d};
pub use gelu::gelu;
pub use gradient_norm::{scale, squared_norm};
pub use group_norm::{group_norm, group_norm_silu};
pub use info_nce::{Contrast, ContrastGroup, ContrastScores, has_info_nce, info_nce};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use stft::{StftPlan, has_stft_magnitude, stft_magnitude};
pub use threads::join_thread_pool;
pub use unit_rows::unit_rows;
