//! Distance between the logarithms of magnitudes.

use crate::domain::Domain;
use crate::error::{LossError, epsilon_in_range};
use crate::loss::{Loss, SpectrogramLoss, counted};
use crate::magnitude::{MagnitudeLoss, Norm};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// L1 or L2 distance between log magnitudes: a factor costs the same at every level.
///
/// ```text
/// l_b = mean over the counted bins of |d|  (L1)  or  d^2  (L2)
/// d   = ln(max(x^, 0) + eps) - ln(x + eps)
///
/// x^  prediction,  x  target,  b  item
/// eps magnitude below which differences no longer matter
/// ```
///
/// Yamamoto, Song and Kim, "Parallel WaveGAN", ICASSP 2020, section 2.2.
///
/// Domain: magnitude. Far above `eps`, scaling prediction and target by the same factor changes nothing;
/// a prediction that is too loud by a factor `c` costs `ln c`.
///
/// Differs from the paper: the logarithm is `ln(x + eps)`, while the paper leaves 0 undefined; a prediction
/// below 0 counts as 0 and has no gradient; each item is averaged first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogMagnitudeLoss {
    /// How a difference of logarithms is measured.
    pub norm: Norm,
    /// Magnitude that is added before the logarithm. For 1e-5 that is 100 dB below a bin of
    /// magnitude 1.
    pub epsilon: f64,
}

impl Default for LogMagnitudeLoss {
    fn default() -> Self {
        Self {
            norm: Norm::L1,
            epsilon: 1e-5,
        }
    }
}

impl Loss for LogMagnitudeLoss {
    fn name(&self) -> &'static str {
        "spec_log"
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Magnitude]
    }

    fn validate(&self) -> Result<(), LossError> {
        epsilon_in_range("epsilon", self.epsilon)
    }
}

impl SpectrogramLoss for LogMagnitudeLoss {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        let log = |x: Tensor<3>| (x.clamp_min(0.0) + self.epsilon).log();
        let [prediction, target] = counted(prediction, target, &weights).map(log);
        MagnitudeLoss { norm: self.norm }.per_item(prediction, target, weights)
    }
}
