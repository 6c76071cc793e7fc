//! What a stage trains, seen from the loop.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::batch::TensorBatch;

/// A model, and how a batch scores it.
///
/// The loop knows nothing else of a stage: it asks for [`scores`](Task::scores) of training
/// and validation batches alike, differentiates the mean of `loss`, and reports the rest.
pub trait Task {
    /// What is trained.
    type Model: Module;

    /// A new model on `device`, its parameters not yet drawn.
    fn init(&self, device: &Device) -> Self::Model;

    /// Runs `model` on `batch`.
    fn scores(&self, model: &Self::Model, batch: &TensorBatch) -> Scores;

    /// The scores of predicting `mean`, the training data's mean spectrogram
    /// `[bins, frames]`, for every example: what a model has to beat.
    fn baseline(&self, mean: Tensor<2>, batch: &TensorBatch) -> Scores;

    /// The model's spectrograms for `batch`, `[batch, bins, frames]`, to be drawn and played.
    fn reconstruct(&self, model: &Self::Model, batch: &TensorBatch) -> Tensor<3>;
}

/// What a batch says about a model, one number for each item.
#[derive(Clone, Debug)]
pub struct Scores {
    /// The objective, `[batch]`.
    pub loss: Tensor<1>,
    /// Further measures by their names, `[batch]` each.
    pub terms: Vec<(&'static str, Tensor<1>)>,
}

impl Scores {
    /// `loss` and the terms, each with its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Tensor<1>)> {
        std::iter::once(("loss", &self.loss))
            .chain(self.terms.iter().map(|(name, values)| (*name, values)))
    }
}
