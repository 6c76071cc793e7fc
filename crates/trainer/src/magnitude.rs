//! From what models are given back to magnitudes.

use burn::tensor::Tensor;
use stft_data::Normalization;

/// Largest log1p magnitude that a prediction is taken at: a magnitude of 22,000, beyond what a clip at full scale
/// has. It keeps the exponential of a young network finite.
const LARGEST_LOG1P: f32 = 10.0;

/// Magnitudes of normalised log1p magnitudes. Below silence is silence, and has no gradient: where it had one, the
/// logarithm's slope at silence drowned the others.
pub(crate) fn magnitude(normalised: Tensor<3>, normalization: Normalization) -> Tensor<3> {
    let Normalization { mean, std } = normalization;
    let log1p = normalised * std + mean;
    log1p.clamp(0.0, LARGEST_LOG1P).exp() - 1.0
}
