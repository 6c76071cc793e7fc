//! Distance of log mel spectrograms.

use crate::domain::Domain;
use crate::error::{LossError, epsilon_in_range};
use crate::loss::{Loss, SpectrogramLoss, counted};
use crate::reduction::mean_per_item;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Settings of a [`LogMelLoss`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogMelConfig {
    /// Mel bands.
    pub bands: usize,
    /// Magnitude that is added before the logarithm.
    pub epsilon: f64,
}

impl Default for LogMelConfig {
    fn default() -> Self {
        Self {
            bands: 40,
            epsilon: 1e-3,
        }
    }
}

/// Absolute error of the logarithms of magnitudes in mel bands.
///
/// ```text
/// l_b = mean over bands m and frames t of  |ln(s^_mt + eps) - ln(s_mt + eps)|
/// s_mt = sum_k M_mk x_kt
///
/// x   magnitudes of the target, s^ likewise of the prediction,  k  bin,  b  item
/// M   mel filters, each divided by the sum of its weights
/// ```
///
/// Kong, Kim and Bae, "HiFi-GAN", NeurIPS 2020, section 2.3.
///
/// Domain: magnitude.
///
/// Differs from the paper: magnitudes are added to `eps` instead of being floored at it; filters of all widths have the same gain.
/// A band counts in a frame if one of its bins does; bins that don't count are silent on both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMelLoss {
    config: LogMelConfig,
    /// Row-major `[bands, bins]`.
    filters: Vec<f32>,
}

impl LogMelConfig {
    /// The loss with row-major mel filters, `[bands, bins]`.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] if `epsilon` is too small, there are no bands, or one has no bin.
    ///
    /// # Panics
    /// If the filters aren't whole rows.
    pub fn init(&self, filters: &[f64]) -> Result<LogMelLoss, LossError> {
        epsilon_in_range("epsilon", self.epsilon)?;
        let narrow = |bands: usize| LossError::OutOfRange {
            field: "bands".to_owned(),
            expected: "from 1 to so many that each mel band still has a bin",
            got: bands as f64,
        };
        if self.bands == 0 {
            return Err(narrow(0));
        }
        assert_eq!(filters.len() % self.bands, 0, "mel filters of whole rows");
        let mut unit = Vec::with_capacity(filters.len());
        for row in filters.chunks_exact(filters.len() / self.bands) {
            let sum: f64 = row.iter().sum();
            if sum <= 0.0 {
                return Err(narrow(self.bands));
            }
            unit.extend(row.iter().map(|weight| (weight / sum) as f32));
        }
        Ok(LogMelLoss {
            config: *self,
            filters: unit,
        })
    }
}

impl Loss for LogMelLoss {
    fn name(&self) -> &'static str {
        "spec_mel"
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Magnitude]
    }
}

impl SpectrogramLoss for LogMelLoss {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        let [prediction, target] = counted(prediction, target, &weights);
        let (bands, [_, bins, _]) = (self.config.bands, target.dims());
        assert_eq!(
            bins,
            self.filters.len() / bands,
            "the bins of the mel filters"
        );
        let options = (&target.device().inner(), target.dtype());
        let filters = TensorData::new(self.filters.clone(), [1, bands, bins]);
        let filters = Tensor::<3>::from_data(filters, options);
        let in_bands = |x: Tensor<3>| filters.clone().matmul(x);
        let log = |x: Tensor<3>| (in_bands(x.clamp_min(0.0)) + self.config.epsilon).log();
        let error = (log(prediction) - log(target)).abs();
        let counts = in_bands(weights.cast(error.dtype())).greater_elem(0.0);
        mean_per_item(error.clone(), counts.float().cast(error.dtype()))
    }
}
