//! Absolute error of magnitudes, weighted by the sensitivity of the ear.

use crate::domain::Domain;
use crate::error::{LossError, in_range};
use crate::loss::{Loss, SpectrogramLoss, assert_same_shape, counted};
use crate::pre_emphasis::a_weighting_gain;
use crate::reduction::mean_per_item;
use burn::tensor::{Tensor, TensorData};

/// Absolute error of magnitudes, each multiplied by the A-weighting at its bin's frequency.
///
/// ```text
/// l_b = mean over the counted bins of  g_k |x^ - x|
/// g_k = A(k rate / n_fft)
///
/// x^  prediction,  x  target,  k  bin,  b  item
/// A   gain of the A-weighting: 1 at 1 kHz, 0 at 0 Hz
/// ```
///
/// A-weighting: IEC 61672-1:2013, annex E; in a loss: Wright and Välimäki, "Perceptual Loss Function for Neural Modelling
/// of Audio Systems", ICASSP 2020.
///
/// Domain: magnitude.
///
/// Differs from the paper: it weighs magnitudes, not samples ([`EsrDcLoss`](crate::EsrDcLoss) does that).
#[derive(Clone, Debug, PartialEq)]
pub struct AWeightedMagnitude {
    gains: Vec<f32>,
}

impl AWeightedMagnitude {
    /// The loss for the `n_fft / 2 + 1` bins of a transform of sounds at `sample_rate_hz`.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] if the rate isn't positive and finite, or `n_fft` is 0.
    pub fn new(sample_rate_hz: f64, n_fft: usize) -> Result<Self, LossError> {
        crate::error::positive("sample_rate_hz", sample_rate_hz)?;
        in_range("n_fft", n_fft as f64, n_fft > 0, "at least 1")?;
        let gain = |bin: usize| a_weighting_gain(bin as f64 * sample_rate_hz / n_fft as f64) as f32;
        Ok(Self {
            gains: (0..=n_fft / 2).map(gain).collect(),
        })
    }
}

impl Loss for AWeightedMagnitude {
    fn name(&self) -> &'static str {
        "spec_a_weighted"
    }

    fn domains(&self) -> &[Domain] {
        &[Domain::Magnitude]
    }
}

impl SpectrogramLoss for AWeightedMagnitude {
    fn per_item(&self, prediction: Tensor<3>, target: Tensor<3>, weights: Tensor<3>) -> Tensor<1> {
        assert_same_shape(&prediction, &target);
        let [_, bins, _] = target.dims();
        assert_eq!(bins, self.gains.len(), "the bins of the A-weighting");
        let [prediction, target] = counted(prediction, target, &weights);
        let gains = TensorData::new(self.gains.clone(), [1, bins, 1]);
        let gains = Tensor::from_data(gains, (&target.device().inner(), target.dtype()));
        mean_per_item((prediction - target).abs() * gains, weights)
    }
}
