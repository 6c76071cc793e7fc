//! A weighted sum of losses between sounds.

use crate::composite::CompositeScores;
use crate::error::{LossError, weight_in_range};
use crate::loss::{Loss, WaveformLoss};
use crate::multi_resolution::{MultiResolutionStft, MultiResolutionStftConfig};
use crate::waveform::EsrDcLoss;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// Weights and settings of a [`WaveformComposite`].
///
/// A term of weight 0 is neither computed nor reported. By default all are 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WaveformCompositeConfig {
    /// Weight of the multi-resolution STFT loss.
    pub multi_resolution_stft: f64,
    /// Weight of the error-to-signal ratio after pre-emphasis.
    pub esr: f64,
    /// Weight of the offset.
    pub dc: f64,
    /// Settings of the multi-resolution STFT loss.
    pub stft: MultiResolutionStftConfig,
    /// Settings of error-to-signal ratio and offset.
    pub esr_dc: EsrDcLoss,
}

impl WaveformCompositeConfig {
    /// Checks weights, and the settings of terms with a weight.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] and [`LossError::NoResolutions`].
    pub fn validate(&self) -> Result<(), LossError> {
        weight_in_range("multi_resolution_stft", self.multi_resolution_stft)?;
        weight_in_range("esr", self.esr)?;
        weight_in_range("dc", self.dc)?;
        if self.multi_resolution_stft > 0.0 {
            self.stft.validate().map_err(|error| error.within("stft"))?;
        }
        if self.esr + self.dc > 0.0 {
            let checked = self.esr_dc.validate();
            checked.map_err(|error| error.within("esr_dc"))?;
        }
        Ok(())
    }

    /// Creates the composite on `device`; none where every weight is 0.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, device: &Device) -> Result<Option<WaveformComposite>, LossError> {
        self.validate()?;
        if self.multi_resolution_stft + self.esr + self.dc == 0.0 {
            return Ok(None);
        }
        let stft = match self.multi_resolution_stft > 0.0 {
            true => Some((self.multi_resolution_stft, self.stft.init(device)?)),
            false => None,
        };
        Ok(Some(WaveformComposite {
            stft,
            esr: self.esr,
            dc: self.dc,
            esr_dc: self.esr_dc,
        }))
    }
}

/// A weighted sum of losses between sounds.
///
/// ```text
/// l_b = a_1 multi_resolution_stft_b + a_2 esr_b + a_3 dc_b
///
/// a_i  the configured weights,  b  item
/// ```
///
/// Each term cites its own source: [`MultiResolutionStft`], [`EsrDcLoss`].
///
/// Domain: waveform.
#[derive(Clone, Debug)]
pub struct WaveformComposite {
    stft: Option<(f64, MultiResolutionStft)>,
    esr: f64,
    dc: f64,
    esr_dc: EsrDcLoss,
}

impl WaveformComposite {
    /// Computes the total and the terms of each item.
    ///
    /// # Shapes
    /// - prediction, target: `[batch, samples]`
    /// - valid_samples: how many samples each item fills, from the left; `batch` entries
    ///
    /// # Panics
    /// As [`WaveformLoss::per_item`].
    pub fn scores(
        &self,
        prediction: Tensor<2>,
        target: Tensor<2>,
        valid_samples: &[usize],
    ) -> CompositeScores {
        let mut terms = Vec::new();
        if let Some((weight, loss)) = &self.stft {
            let items = loss.per_item(prediction.clone(), target.clone(), valid_samples);
            terms.push((loss.name(), *weight, items));
        }
        type Term = fn(&EsrDcLoss, Tensor<2>, Tensor<2>, &[usize]) -> Tensor<1>;
        let of_samples: [(&str, f64, Term); 2] = [
            ("esr", self.esr, EsrDcLoss::esr_per_item),
            ("dc", self.dc, EsrDcLoss::dc_per_item),
        ];
        for (name, weight, term) in of_samples {
            if weight > 0.0 {
                let (prediction, target) = (prediction.clone(), target.clone());
                let items = term(&self.esr_dc, prediction, target, valid_samples);
                terms.push((name, weight, items));
            }
        }
        let weighted = terms
            .iter()
            .map(|(_, weight, items)| items.clone() * *weight);
        let total = weighted.reduce(|sum, items| sum + items);
        let detached = terms
            .into_iter()
            .map(|(name, _, items)| (name, items.detach()));
        CompositeScores {
            total: total.expect("a composite without weights is none"),
            terms: detached.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_select_the_terms_and_nothing_else_is_checked() {
        let device = Device::flex();
        let config = WaveformCompositeConfig::default();
        assert!(config.init(&device).unwrap().is_none());
        let wave = Tensor::<2>::ones([2, 600], &device);
        let names = |config: WaveformCompositeConfig| -> Vec<_> {
            let composite = config.init(&device).unwrap().unwrap();
            let scores = composite.scores(wave.clone() * 0.5, wave.clone(), &[600, 0]);
            let named = scores.terms.iter().map(|(name, _)| *name);
            named.collect()
        };
        let esr = WaveformCompositeConfig {
            esr: 0.5,
            stft: MultiResolutionStftConfig {
                resolutions: Vec::new(),
                ..config.stft.clone()
            },
            ..config.clone()
        };
        assert_eq!(names(esr.clone()), ["esr"]);
        let all = WaveformCompositeConfig {
            multi_resolution_stft: 1.0,
            dc: 2.0,
            stft: config.stft.clone(),
            ..esr.clone()
        };
        assert_eq!(names(all), ["multi_resolution_stft", "esr", "dc"]);

        let refusal = |config: WaveformCompositeConfig| config.validate().unwrap_err();
        let no_resolutions = WaveformCompositeConfig {
            multi_resolution_stft: 1.0,
            ..esr
        };
        assert_eq!(refusal(no_resolutions), LossError::NoResolutions);
        for wrong in [-1.0, f64::NAN] {
            let config = WaveformCompositeConfig {
                dc: wrong,
                ..WaveformCompositeConfig::default()
            };
            assert!(refusal(config).to_string().contains("`dc`"));
        }
    }
}
