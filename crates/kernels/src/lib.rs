#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod adamw;
mod allocator;
mod attention;
mod autodiff;
mod conv;
#[cfg(feature = "flex")]
mod cpu;
mod gelu;
mod gradient_norm;
mod info_nce;
mod linear;
mod norm;
mod stft;
#[cfg(all(test, feature = "flex"))]
mod tests;
mod threads;

pub use adamw::{AdamWStep, adamw};
pub use allocator::keep_freed_memory;
pub use attention::{attention, self_attention};
pub use conv::{Conv1dOptions, conv_transpose1d, conv1d};
pub use gelu::gelu;
pub use gradient_norm::{scale, squared_norm};
pub use info_nce::{Contrast, ContrastGroup, ContrastScores, has_info_nce, info_nce};
pub use linear::linear;
pub use norm::{group_norm, group_norm_silu, layer_norm, unit_rows};
pub use stft::{StftPlan, has_stft_magnitude, stft_magnitude};
pub use threads::join_thread_pool;
