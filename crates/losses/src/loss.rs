//! The traits of losses.

use crate::domain::Domain;
use crate::error::LossError;
use crate::reduction::{at_least_f32, mean_over_batch};
use burn::tensor::Tensor;

/// A loss with a name and the domains that it is defined on.
pub trait Loss {
    /// Its name in reports, such as `spec_l1`.
    fn name(&self) -> &'static str;

    /// The domains it is defined on.
    fn domains(&self) -> &[Domain];

    /// Checks the settings. A loss made by a configuration's `init` is already checked.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] for the first number out of range.
    fn validate(&self) -> Result<(), LossError> {
        Ok(())
    }

    /// Checks that the loss is defined on `domain`.
    ///
    /// # Errors
    /// [`LossError::WrongDomain`], which names the missing conversion.
    fn check_domain(&self, domain: Domain) -> Result<(), LossError> {
        if self.domains().contains(&domain) {
            return Ok(());
        }
        Err(LossError::WrongDomain {
            loss: self.name(),
            expected: self.domains().to_vec(),
            got: domain,
        })
    }
}

/// A loss between spectrograms.
///
/// All of them have these properties, which `tests/laws.rs` checks:
///
/// - An item's loss depends only on the selected bins of that item. The others may hold anything,
///   including NaN and infinity.
/// - An item without selected bins has a loss of 0 and a gradient of 0.
/// - An exact prediction has a loss of 0 and a gradient of 0.
/// - Values and gradients are finite at silence.
pub trait SpectrogramLoss: Loss {
    /// The loss of each item.
    ///
    /// # Shapes
    /// - prediction, target: `[batch, bins, frames]`
    /// - weights: `[batch, bins, frames]`, 1 where a bin counts, 0 elsewhere
    /// - output: `[batch]`
    ///
    /// # Panics
    /// If the shapes differ.
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1>;

    /// The loss of the batch: the mean of its items' losses.
    ///
    /// # Shapes
    /// - prediction, target, weights: as [`per_item`](Self::per_item)
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`per_item`](Self::per_item).
    fn forward(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        mean_over_batch(self.per_item(prediction, target, weights))
    }
}

/// A loss between sounds.
pub trait WaveformLoss: Loss {
    /// The loss of each item. The samples after an item's valid ones never matter, even if they are NaN or
    /// infinite.
    ///
    /// # Shapes
    /// - prediction, target: `[batch, samples]`
    /// - valid_samples: how many samples each item fills, from the left; `batch` entries
    /// - output: `[batch]`
    ///
    /// # Panics
    /// If the shapes differ, there are no samples, or an entry of `valid_samples` exceeds their number.
    fn per_item(
        &self,
        prediction: Tensor<2>,
        target: Tensor<2>,
        valid_samples: &[usize],
    ) -> Tensor<1>;

    /// The loss of the batch: the mean of its items' losses.
    ///
    /// # Shapes
    /// - prediction, target, valid_samples: as [`per_item`](Self::per_item)
    /// - output: `[1]`
    ///
    /// # Panics
    /// As [`per_item`](Self::per_item).
    fn forward(
        &self,
        prediction: Tensor<2>,
        target: Tensor<2>,
        valid_samples: &[usize],
    ) -> Tensor<1> {
        mean_over_batch(self.per_item(prediction, target, valid_samples))
    }
}

/// Prediction and target in at least f32, and set to 0 where `weights` is 0: a NaN there would survive a
/// multiplication by 0, in the value and in the gradient.
pub(crate) fn counted(
    prediction: Tensor<3>,
    target: Tensor<3>,
    weights: &Tensor<3>,
) -> [Tensor<3>; 2] {
    assert_same_shape(&prediction, &target);
    assert_eq!(
        weights.dims(),
        target.dims(),
        "the weights need the shape of the spectrograms they select from"
    );
    let ignored = weights.clone().equal_elem(0.0);
    [prediction, target].map(|x| at_least_f32(x).mask_fill(ignored.clone(), 0.0))
}

pub(crate) fn assert_same_shape<const D: usize>(prediction: &Tensor<D>, target: &Tensor<D>) {
    assert_eq!(
        prediction.dims(),
        target.dims(),
        "the prediction needs the shape of its target"
    );
}
