//! Itakura-Saito divergence between power spectra.

use crate::domain::Domain;
use crate::error::{LossError, in_range};
use crate::loss::{Loss, SpectrogramLoss, counted};
use crate::reduction::mean_per_item;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Itakura-Saito divergence of the predicted power spectrum from the target's.
///
/// ```text
/// l_b = mean over the counted bins of  p/q - ln(p/q) - 1
/// p   = max(x^2, floor),  q = max(max(x^, 0)^2, floor)
///
/// x^  prediction,  x  target,  b  item
/// ```
///
/// Févotte, Bertin and Durrieu, "Nonnegative Matrix Factorization with the Itakura-Saito Divergence:
/// With Application to Music Analysis", Neural Computation 21(3), 2009, section 2.
///
/// Domain: magnitude, which is squared here. Above the floor it is scale invariant: multiplying x and x^
/// by the same factor changes nothing. It isn't symmetric: missing power costs in proportion to the ratio,
/// excess power in proportion to its logarithm.
///
/// Differs from the paper: both powers are floored, while the paper leaves 0 undefined. A prediction
/// below the floor costs as much as the floor and has no gradient, so this loss should not be used
/// alone; the gradient right above the floor grows as p / floor^1.5.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ItakuraSaito {
    /// Least power, in squared units of the spectrogram. For 1e-8 that is a magnitude of 1e-4.
    pub floor: f64,
}

impl Default for ItakuraSaito {
    fn default() -> Self {
        Self { floor: 1e-8 }
    }
}

impl Loss for ItakuraSaito {
    fn name(&self) -> &'static str {
        "itakura_saito"
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Magnitude]
    }

    fn validate(&self) -> Result<(), LossError> {
        // A power of 1e9 over the floor's square is finite in f32.
        let holds = self.floor >= 1e-12 && self.floor.is_finite();
        in_range("floor", self.floor, holds, "finite, and 1e-12 at least")
    }
}

impl SpectrogramLoss for ItakuraSaito {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        let power = |x: Tensor<3>| x.clamp_min(0.0).square().clamp_min(self.floor);
        let [prediction, target] = counted(prediction, target, &weights).map(power);
        let ratio = target / prediction;
        mean_per_item(ratio.clone() - ratio.log() - 1.0, weights)
    }
}
