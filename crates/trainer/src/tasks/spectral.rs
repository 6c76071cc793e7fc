//! Distances between whole spectrograms, beside or in place of the error of what was hidden.

use burn::tensor::Tensor;
use losses::{Composite, CompositeScores, valid_weights};
use serde::{Deserialize, Serialize};
use stft_data::Normalization;

use crate::data::batch::TensorBatch;
use crate::data::magnitude::magnitude;
use crate::training::task::ScoreName;

/// What a score is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scored {
    /// What the model had to guess.
    Hidden,
    /// The whole spectrogram, but for padding.
    Everything,
}

/// The distances between whole spectrograms, on magnitudes.
pub struct SpectralObjective {
    /// The distances and their weights.
    pub composite: Composite,
    /// Weight of all of them beside the model's own error.
    pub weight: f32,
    /// What leads from the model's domain back to magnitudes.
    pub normalization: Normalization,
}

impl SpectralObjective {
    /// The composite of a normalised prediction and its target, over all valid frames.
    pub(crate) fn scores(&self, prediction: Tensor<3>, batch: &TensorBatch) -> CompositeScores {
        let magnitude = |normalised| magnitude(normalised, self.normalization);
        let target = batch.spectrogram.clone();
        let weights = valid_weights(target.dims(), &batch.valid_frames, &target.device());
        self.composite
            .scores(magnitude(prediction), magnitude(target), weights)
    }
}

/// A loss's terms under their own names.
pub(crate) fn named(
    terms: Vec<(&'static str, Tensor<1>)>,
) -> impl Iterator<Item = (ScoreName, Tensor<1>)> {
    terms
        .into_iter()
        .map(|(name, values)| (name.into(), values))
}
