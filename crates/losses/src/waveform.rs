//! Error-to-signal ratio of filtered sounds, with a term for offsets.

use crate::domain::Domain;
use crate::error::{LossError, epsilon_in_range, in_range};
use crate::loss::{Loss, WaveformLoss, assert_same_shape};
use crate::pre_emphasis::PreEmphasis;
use crate::reduction::{at_least_f32, mean_per_item};
use crate::selection::before_end;
use crate::stft::silenced;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Error-to-signal ratio after a pre-emphasis filter, plus the same of the mean.
///
/// ```text
/// l_b = ESR_b + DC_b
/// ESR = mean_n |h * (y - y^)|^2 / (mean_n |h * y|^2 + eps)
/// DC  = |mean_n (y - y^)|^2     / (mean_n |y|^2 + eps)
///
/// y^  prediction,  y  target,  n  the valid samples of item b
/// h * pre-emphasis filter
/// eps energy that is added to the target's
/// ```
///
/// Wright and Välimäki, "Perceptual Loss Function for Neural Modelling of Audio Systems", ICASSP
/// 2020, on pre-emphasis in the loss function. The DC term is needed because the filters attenuate low
/// frequencies: the high-pass and the folded differentiator pass 2 % of an offset's energy, A-weighting
/// almost nothing.
///
/// Domain: waveform. A prediction of silence costs 1 plus the offset's share of the target's energy.
///
/// Differs from the paper: `eps` makes a silent target finite; the ratio is one of means, so that
/// `eps` doesn't depend on the length of a sound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EsrDcLoss {
    /// Filter of prediction and target in the first term.
    pub pre_emphasis: PreEmphasis,
    /// Mean squared sample that is added to the target's. For 1e-6 that is 60 dB below full scale.
    pub epsilon: f64,
}

impl Default for EsrDcLoss {
    fn default() -> Self {
        Self {
            pre_emphasis: PreEmphasis::HighPass,
            epsilon: 1e-6,
        }
    }
}

impl Loss for EsrDcLoss {
    fn name(&self) -> &'static str {
        "esr_dc"
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Waveform]
    }

    fn validate(&self) -> Result<(), LossError> {
        epsilon_in_range("epsilon", self.epsilon)?;
        if let PreEmphasis::AWeighting { sample_rate_hz } = self.pre_emphasis {
            // The curve is normalised at 1 kHz, which must be below half the rate.
            let holds = sample_rate_hz > 2000.0 && sample_rate_hz <= 1e6;
            let expected = "above 2000 Hz, and 1 MHz at most";
            in_range("sample_rate_hz", sample_rate_hz, holds, expected)?;
        }
        Ok(())
    }
}

impl WaveformLoss for EsrDcLoss {
    fn per_item(
        &self,
        prediction: Tensor<2>,
        target: Tensor<2>,
        valid_samples: &[usize],
    ) -> Tensor<1> {
        let pair = Pair::new(prediction, target, valid_samples);
        self.esr(&pair) + self.dc(&pair)
    }
}

impl EsrDcLoss {
    /// The first term alone: the error-to-signal ratio of each item after the filter.
    ///
    /// # Shapes
    /// As [`per_item`](WaveformLoss::per_item).
    ///
    /// # Panics
    /// As [`per_item`](WaveformLoss::per_item).
    pub fn esr_per_item(
        &self,
        prediction: Tensor<2>,
        target: Tensor<2>,
        valid_samples: &[usize],
    ) -> Tensor<1> {
        self.esr(&Pair::new(prediction, target, valid_samples))
    }

    /// The second term alone: the offset of each item.
    ///
    /// # Shapes
    /// As [`per_item`](WaveformLoss::per_item).
    ///
    /// # Panics
    /// As [`per_item`](WaveformLoss::per_item).
    pub fn dc_per_item(
        &self,
        prediction: Tensor<2>,
        target: Tensor<2>,
        valid_samples: &[usize],
    ) -> Tensor<1> {
        self.dc(&Pair::new(prediction, target, valid_samples))
    }

    fn esr(&self, pair: &Pair) -> Tensor<1> {
        let filtered = |signal: &Tensor<2>| pair.energy(self.pre_emphasis.apply(signal.clone()));
        filtered(&pair.error) / (filtered(&pair.target) + self.epsilon)
    }

    fn dc(&self, pair: &Pair) -> Tensor<1> {
        let offset = mean_per_item(pair.error.clone(), pair.weights.clone());
        offset.square() / (pair.energy(pair.target.clone()) + self.epsilon)
    }
}

/// Target and error, each `[batch, samples]` and 0 in the padding. The padding is set to 0 before the
/// filters, which look to both sides.
struct Pair {
    target: Tensor<2>,
    error: Tensor<2>,
    weights: Tensor<2>,
}

impl Pair {
    fn new(prediction: Tensor<2>, target: Tensor<2>, valid_samples: &[usize]) -> Pair {
        assert_same_shape(&prediction, &target);
        let [prediction, target] =
            [prediction, target].map(|sound| silenced(at_least_f32(sound), valid_samples));
        let inside = before_end(target.dims(), valid_samples, &target.device().inner());
        Pair {
            error: target.clone() - prediction,
            weights: inside.float().cast(target.dtype()),
            target,
        }
    }

    fn energy(&self, signal: Tensor<2>) -> Tensor<1> {
        mean_per_item(signal.square(), self.weights.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn the_two_terms_add_up_to_the_loss() {
        let device = Device::flex();
        let wave = |rate: f32| {
            let values: Vec<f32> = (0..2 * 70).map(|i| (i as f32 * rate).sin() + 0.2).collect();
            Tensor::<2>::from_data(TensorData::new(values, [2, 70]), &device)
        };
        let (prediction, target, valid) = (wave(0.3), wave(0.7), [70, 31]);
        let loss = EsrDcLoss::default();
        let whole = loss.per_item(prediction.clone(), target.clone(), &valid);
        let esr = loss.esr_per_item(prediction.clone(), target.clone(), &valid);
        let dc = loss.dc_per_item(prediction, target, &valid);
        let [whole, esr, dc] =
            [whole, esr, dc].map(|items| items.into_data().try_to_vec::<f32>().unwrap());
        for (whole, (esr, dc)) in whole.iter().zip(esr.iter().zip(&dc)) {
            assert!(*esr > 0.0 && *dc > 0.0);
            assert_eq!(*whole, esr + dc);
        }
    }

    #[test]
    #[should_panic(expected = "sounds need at least one sample, got [2, 0]")]
    fn sounds_without_samples_are_refused() {
        let nothing = Tensor::<2>::zeros([2, 0], &Device::flex());
        EsrDcLoss::default().per_item(nothing.clone(), nothing, &[0, 0]);
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let read = |text| toml::from_str::<EsrDcLoss>(text);
        let set = "epsilon = 1e-3\npre_emphasis = { filter = 'folded_differentiator' }";
        let wanted = EsrDcLoss {
            pre_emphasis: PreEmphasis::FoldedDifferentiator,
            epsilon: 1e-3,
        };
        assert_eq!(read(set).unwrap(), wanted);
        let refusal = read("eps = 1e-3").unwrap_err().to_string();
        assert!(refusal.contains("unknown field"), "{refusal}");
    }
}
