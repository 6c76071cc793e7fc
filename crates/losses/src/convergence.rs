//! Spectral convergence: the error of a spectrogram relative to its size.

use crate::domain::Domain;
use crate::error::{LossError, epsilon_in_range};
use crate::loss::{Loss, SpectrogramLoss, counted};
use crate::reduction::sum_per_item;
use crate::root::root;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Relative error of each spectrogram in the Frobenius norm.
///
/// ```text
/// l_b = ||w_b (S_b - S^_b)||_F / sqrt(||w_b S_b||_F^2 + eps^2)
///
/// S^  prediction,  S  target,  b  item
/// w   1 where a bin counts, 0 elsewhere
/// eps norm that a silent target counts as
/// ```
///
/// Arik, Jun and Diamos, "Fast Spectrogram Inversion Using Multi-Head Convolutional Neural
/// Networks", IEEE Signal Processing Letters 26(1), 2019, on audio losses ("spectral convergence").
///
/// Domain: magnitude. 0 for an exact prediction, 1 for a prediction of silence, whatever the level.
///
/// Differs from the paper: the norms are those of one item, not of a whole batch, in which a loud item
/// would hide the quiet ones; `eps` makes a silent target finite; at an exact prediction, where the norm
/// has no derivative, the gradient is 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SpectralConvergence {
    /// Norm that is added to the target's in quadrature, `sqrt(||S||_F^2 + epsilon^2)`. It has the unit of
    /// the spectrogram and refers to a whole item: a target whose counted bins have this norm counts as
    /// `sqrt(2)` times as large, one with ten times this norm as 0.5 % larger.
    pub epsilon: f64,
}

impl Default for SpectralConvergence {
    fn default() -> Self {
        Self { epsilon: 1e-3 }
    }
}

impl Loss for SpectralConvergence {
    fn name(&self) -> &'static str {
        "spec_sc"
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Magnitude]
    }

    fn validate(&self) -> Result<(), LossError> {
        epsilon_in_range("epsilon", self.epsilon)
    }
}

impl SpectrogramLoss for SpectralConvergence {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        let [prediction, target] = counted(prediction, target, &weights);
        let error = sum_per_item((prediction - target.clone()).square());
        let size = sum_per_item(target.square());
        root(error) / (size + self.epsilon * self.epsilon).sqrt()
    }
}
