//! Targets of the decoder.

use crate::patchify::Patches;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Targets of a masked autoencoder; `"raw"` or `"per_patch_normalized"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Targets {
    /// The values of the patch, in the domain of the model's input.
    #[default]
    Raw,
    /// The patch minus its mean, divided by its deviation (He et al. 2022, section 4, "Reconstruction
    /// target").
    ///
    /// ```text
    /// t = (x - m) / sqrt(v + 1e-6)       m, v: mean and variance of the patch's valid values
    /// ```
    ///
    /// Such a prediction does not contain the level of a patch. To turn it into a spectrogram, mean and
    /// deviation are taken from the true patch. That serves pictures and losses; it is not a
    /// reconstruction from visible patches alone.
    ///
    /// Differs from the paper's code: the variance is divided by n, not n - 1, so that a patch with a
    /// single valid value has one.
    PerPatchNormalized,
}

/// Keeps a constant patch finite, as in the code of He et al. 2022.
const EPSILON: f64 = 1e-6;

impl Targets {
    /// Target of each patch; 0 at values beyond the edge and in padded frames.
    ///
    /// # Shapes
    /// - output: `[batch, tokens, patch_len]`
    pub fn of(self, patches: &Patches) -> Tensor<3> {
        let values = patches.values.clone();
        match self {
            Self::Raw => values,
            Self::PerPatchNormalized => {
                let (mean, deviation) = statistics(patches);
                (values - mean) / deviation * patches.weights.clone()
            }
        }
    }

    /// Turns predictions into values of the spectrogram, the inverse of [`of`](Self::of).
    ///
    /// # Shapes
    /// - predicted, output: `[batch, tokens, patch_len]`
    pub fn undo(self, predicted: Tensor<3>, patches: &Patches) -> Tensor<3> {
        match self {
            Self::Raw => predicted,
            Self::PerPatchNormalized => {
                let (mean, deviation) = statistics(patches);
                predicted * deviation + mean
            }
        }
    }
}

/// Mean and deviation over the valid values of each patch, `[batch, tokens, 1]`.
fn statistics(patches: &Patches) -> (Tensor<3>, Tensor<3>) {
    let weights = patches.weights.clone();
    // A padding token has no valid values: its mean and variance are 0.
    let n = weights.clone().sum_dim(2).clamp_min(1.0);
    let mean = patches.values.clone().sum_dim(2) / n.clone();
    let centred = (patches.values.clone() - mean.clone()) * weights;
    let variance = centred.square().sum_dim(2) / n;
    (mean, (variance + EPSILON).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patchify::PatchGrid;
    use burn::tensor::{Device, TensorData, Tolerance};

    fn patches() -> Patches {
        let grid = PatchGrid {
            bins: 8,
            frames: 11,
            patch_bins: 3,
            patch_frames: 4,
        };
        let values: Vec<f32> = (0..2 * 8 * 11)
            .map(|i| 3.0 + ((i * 37) % 101) as f32 / 25.0)
            .collect();
        let x = Tensor::from_data(TensorData::new(values, [2, 8, 11]), &Device::flex());
        Patches::new(grid, x, &[11, 5])
    }

    #[test]
    fn undo_gives_the_patches_back() {
        for targets in [Targets::Raw, Targets::PerPatchNormalized] {
            let patches = patches();
            let back = targets.undo(targets.of(&patches), &patches) * patches.weights.clone();
            back.into_data()
                .assert_approx_eq::<f32>(&patches.values.into_data(), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn normalized_patches_have_mean_zero_and_deviation_one_over_valid_values() {
        let patches = patches();
        let targets = Targets::PerPatchNormalized.of(&patches);
        let n = patches.weights.clone().sum_dim(2);
        let sums: [Vec<f32>; 3] = [targets.clone().sum_dim(2), targets.square().sum_dim(2), n]
            .map(|x| x.into_data().try_to_vec().unwrap());
        let mut checked = 0;
        for (i, n) in sums[2].iter().enumerate() {
            assert!(sums[0][i].abs() < 1e-4);
            assert!((sums[1][i] - n).abs() <= 1e-3 * n, "{} of {n}", sums[1][i]);
            checked += usize::from(*n > 0.0);
        }
        assert_eq!(checked, 3 * (3 + 2));
    }

    #[test]
    fn a_constant_patch_is_normalized_to_zero() {
        let mut patches = patches();
        patches.values = patches.weights.clone() * 5.0;
        let largest = Targets::PerPatchNormalized.of(&patches).abs().max();
        assert!(largest.into_scalar::<f32>() < 1e-2);
    }
}
