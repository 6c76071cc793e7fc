//! L1 and L2 distance between spectrograms.

use crate::domain::Domain;
use crate::loss::{Loss, SpectrogramLoss, counted};
use crate::reduction::mean_per_item;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Measure of an error; `"l1"` or `"l2"` in a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Absolute error. Its gradient has the same size for every error, and is 0 at 0.
    L1,
    /// Squared error (not its root).
    L2,
}

/// Mean error of a predicted spectrogram over the elements that count.
///
/// ```text
/// L1: l_b = sum_ft w_bft |x^_bft - x_bft|   / max(1, sum_ft w_bft)
/// L2: l_b = sum_ft w_bft (x^_bft - x_bft)^2 / max(1, sum_ft w_bft)
///
/// x^  prediction,  x  target,  b  item,  f  bin,  t  frame
/// w   1 where the bin counts, 0 elsewhere
/// ```
///
/// With [`valid_weights`](crate::valid_weights) this is the plain reconstruction loss, without the
/// padding; with [`hidden_weights`](crate::hidden_weights) it is the loss of a masked autoencoder
/// (He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, section 3).
///
/// Domain: magnitude, log1p or normalised; the unit of L1 is that of the spectrogram, the unit of L2 its
/// square.
///
/// Differs from the paper: He et al. average over all hidden elements of the batch; here each example is
/// averaged first, so that its weight doesn't depend on the number of its hidden bins.
///
/// In a configuration file the norm is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MagnitudeLoss {
    /// Measure of the error.
    pub norm: Norm,
}

impl Loss for MagnitudeLoss {
    fn name(&self) -> &'static str {
        match self.norm {
            Norm::L1 => "spec_l1",
            Norm::L2 => "spec_l2",
        }
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Normalised, Domain::Log1p, Domain::Magnitude]
    }
}

impl SpectrogramLoss for MagnitudeLoss {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        let [prediction, target] = counted(prediction, target, &weights);
        let error = prediction - target;
        let size = match self.norm {
            Norm::L1 => error.abs(),
            Norm::L2 => error.square(),
        };
        mean_per_item(size, weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_are_written_in_lower_case() {
        for (norm, name) in [(Norm::L1, "\"l1\""), (Norm::L2, "\"l2\"")] {
            assert_eq!(serde_json::to_string(&norm).unwrap(), name);
            assert_eq!(serde_json::from_str::<Norm>(name).unwrap(), norm);
        }
        assert!(serde_json::from_str::<Norm>("\"L1\"").is_err());
    }

    #[test]
    fn a_misspelt_or_missing_setting_is_refused() {
        let read = |text| toml::from_str::<MagnitudeLoss>(text);
        assert_eq!(read("norm = 'l2'").unwrap().norm, Norm::L2);
        for (text, complaint) in [
            ("nrom = 'l2'", "unknown field"),
            ("", "missing field `norm`"),
        ] {
            let refusal = read(text).unwrap_err().to_string();
            assert!(refusal.contains(complaint), "{refusal}");
        }
    }
}
