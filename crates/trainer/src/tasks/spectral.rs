//! Distances between whole spectrograms, added to the error of what was hidden.

use burn::tensor::Tensor;
use losses::{Composite, CompositeConfig, CompositeScores, Domain, valid_weights};
use stft_data::{Dataset, Normalization};

use crate::data::batch::TensorBatch;
use crate::data::magnitude::magnitude;
use crate::error::TrainerError;
use crate::training::task::ScoreName;

/// The baseline of models that reconstruct.
pub(crate) const MEAN_SPECTROGRAM: &str = "mean spectrogram";

/// The distances between whole spectrograms, on magnitudes.
pub struct SpectralObjective {
    /// The distances and their weights.
    pub composite: Composite,
    /// Weight of all of them; the model's own error has weight 1.
    pub weight: f32,
    /// What leads from the model's domain back to magnitudes.
    pub normalization: Normalization,
}

impl SpectralObjective {
    /// That of `composite` and `weight` for the scale of `dataset`; none where its weight is 0.
    pub(crate) fn new(
        composite: &CompositeConfig,
        weight: f32,
        dataset: &Dataset,
    ) -> Result<Option<Self>, TrainerError> {
        let composite = composite.init(Domain::Magnitude)?;
        Ok((weight > 0.0).then_some(Self {
            composite,
            weight,
            normalization: dataset.normalization(),
        }))
    }

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
