//! Squared error that weighs quiet bins more than loud ones.

use crate::domain::Domain;
use crate::error::{LossError, in_range, positive};
use crate::loss::{Loss, SpectrogramLoss, counted};
use crate::reduction::mean_per_item;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Squared error, weighted by how quiet the target is.
///
/// ```text
/// l_b  = mean_i w_bi (x^_bi - x_bi)^2
/// w_bi = min(v_bi / mean_j v_bj, cap)
/// v_bi = 1 / (x_bi + eps)
///
/// x^  prediction,  x  target,  b  item,  i, j  its counted bins
/// eps level below which all bins are equally quiet
/// cap largest weight of a bin
/// ```
///
/// The weights depend on the target alone, so a network can't lower them by its prediction. Their mean
/// over an item is 1 before the cap, so that an item's loudness doesn't change its weight.
///
/// A squared error divided by the expected value is the statistic of Pearson, "On the Criterion that a
/// Given System of Deviations ... Can Be Reasonably Supposed to Have Arisen from Random Sampling",
/// Philosophical Magazine 50(302), 1900. [`Composite`](crate::Composite) mixes this loss with the spectral
/// losses.
///
/// Domain: magnitude or log1p (not negative; on normalised data 1 / (x + eps) changes sign).
///
/// Differs from the paper: `eps` makes a silent bin finite; the weights are scaled to a mean of 1 and
/// capped, so this is a loss in squared units of the spectrogram, not a statistic with a known
/// distribution; each item is averaged first. Using it as a loss next to spectral losses is this project's
/// own idea.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LowMagnitudeLoss {
    /// Level below which all bins are equally quiet, in the unit of the spectrogram. A bin of level 1
    /// weighs about `epsilon` times as much as a silent one.
    pub epsilon: f64,
    /// Largest weight of a bin, at least 1.
    pub cap: f64,
}

impl Default for LowMagnitudeLoss {
    fn default() -> Self {
        Self {
            epsilon: 1e-2,
            cap: 10.0,
        }
    }
}

impl Loss for LowMagnitudeLoss {
    fn name(&self) -> &'static str {
        "lowmag"
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Magnitude, Domain::Log1p]
    }

    fn validate(&self) -> Result<(), LossError> {
        positive("epsilon", self.epsilon)?;
        let holds = self.cap >= 1.0 && self.cap.is_finite();
        in_range("cap", self.cap, holds, "at least 1 and finite")
    }
}

impl SpectrogramLoss for LowMagnitudeLoss {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        let [prediction, target] = counted(prediction, target.detach(), &weights);
        let [batch, _, _] = target.dims();
        let quietness = (target.clone().clamp_min(0.0) + self.epsilon).recip();
        // An item without counted bins has a mean of 0; the cap replaces the infinite quotient.
        let mean = mean_per_item(quietness.clone(), weights.clone());
        let emphasis = (quietness / mean.reshape([batch, 1, 1])).clamp_max(self.cap);
        mean_per_item(emphasis * (prediction - target).square(), weights)
    }
}
