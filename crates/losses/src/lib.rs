//! Losses on spectrograms and waveforms.
//!
//! Every loss here obeys one rule, kept in one file (`reduction`): first a mean within each example,
//! over the elements that count, then a mean over the examples of the batch. A batch's loss is
//! therefore the mean of its items' losses, however the items are grouped, and a short clip weighs
//! as much as a long one.
//!
//! Which elements count is said by a tensor of 0 and 1 made by [`valid_weights`] (everything but
//! padding) or [`hidden_weights`] (what a masked autoencoder has to guess).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use losses::{MagnitudeLoss, Norm, valid_weights};
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
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod magnitude;
mod reduction;
mod selection;

pub use magnitude::{MagnitudeLoss, Norm};
pub use reduction::{mean_over_batch, mean_per_item};
pub use selection::{hidden_weights, valid_weights};
