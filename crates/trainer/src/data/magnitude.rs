//! From what models are given back to magnitudes.

use burn::tensor::{Tensor, TensorData};
use stft_data::Normalization;

/// Largest log1p magnitude that a prediction is taken at: a magnitude of 22,000, beyond what a clip at full scale
/// has. It keeps the exponential finite early in training.
const LARGEST_LOG1P: f32 = 10.0;

/// Magnitudes of normalised log1p magnitudes. Negative magnitudes are clamped to 0 and have no gradient: where they
/// had one, the logarithm's slope at silence dominated the others.
pub(crate) fn magnitude(normalised: Tensor<3>, normalization: Normalization) -> Tensor<3> {
    let Normalization { mean, std } = normalization;
    let log1p = normalised * std + mean;
    log1p.clamp(0.0, LARGEST_LOG1P).exp() - 1.0
}

/// As [`magnitude`], with silence in place of padding.
///
/// # Shapes
/// - normalised, output: `[batch, bins, frames]`
/// - valid_frames: one for each item
pub(crate) fn magnitude_before_padding(
    normalised: Tensor<3>,
    normalization: Normalization,
    valid_frames: &[usize],
) -> Tensor<3> {
    let [batch, _, frames] = normalised.dims();
    let device = normalised.device();
    let magnitude = magnitude(normalised, normalization);
    if valid_frames.iter().all(|&valid| valid >= frames) {
        return magnitude;
    }
    let kept = valid_frames.iter().flat_map(|&valid| {
        let is_sound = move |frame| if frame < valid { 1.0_f32 } else { 0.0 };
        (0..frames).map(is_sound)
    });
    let kept = TensorData::new(kept.collect::<Vec<_>>(), [batch, 1, frames]);
    magnitude * Tensor::from_data(kept, &device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn padding_is_silent_and_the_rest_is_what_it_was() {
        let scale = Normalization {
            mean: 0.5,
            std: 2.0,
        };
        let values: Vec<f32> = (0..24).map(|i| i as f32 / 12.0 - 0.2).collect();
        let data = TensorData::new(values, [2, 3, 4]);
        let x = Tensor::<3>::from_data(data, &Device::flex());
        let list = |x: Tensor<3>| x.into_data().try_to_vec::<f32>().unwrap();
        let whole = list(magnitude(x.clone(), scale));
        let got = list(magnitude_before_padding(x, scale, &[4, 1]));
        for (i, (got, whole)) in got.into_iter().zip(whole).enumerate() {
            let is_padding = i >= 12 && i % 4 >= 1;
            assert!(whole > 0.0);
            assert_eq!(got, if is_padding { 0.0 } else { whole });
        }
    }
}
