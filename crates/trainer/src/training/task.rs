//! What a stage trains, seen from the loop.

use std::borrow::Cow;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use params::ParamSpec;
use serde::{Deserialize, Serialize};

use crate::data::batch::TensorBatch;
use crate::error::TrainerError;
use crate::output::illustration::Illustration;
use crate::parameters::head_transfer::HeadTransfer;
use crate::parameters::metrics::ParameterMetrics;
use crate::training::evaluation::Evaluation;
use crate::training::optimizer::LrScale;
use crate::training::parameter_terms::EstimatedParameters;

/// A model, and how a batch scores it.
///
/// This is all that the loop needs of a stage: it asks for [`scores`](Task::scores) of training
/// and validation batches alike, differentiates the mean of `loss`, and reports the rest.
pub trait Task {
    /// What is trained.
    type Model: Module;

    /// A new model on `device`, its parameters not yet drawn.
    fn init(&self, device: &Device) -> Self::Model;

    /// `model`, newly drawn on `device`, with the weights that it inherits from an earlier stage; unchanged where there is
    /// none.
    ///
    /// # Errors
    /// They can't be read, or don't fit.
    fn inherit(&self, model: Self::Model, device: &Device) -> Result<Self::Model, TrainerError> {
        let _ = device;
        Ok(model)
    }

    /// `model` as it is trained, with frozen parts.
    fn freeze(&self, model: Self::Model) -> Self::Model {
        model
    }

    /// Runs `model` on `batch`.
    fn scores(&self, model: &Self::Model, batch: &TensorBatch) -> Scores;

    /// The scores of what a model has to beat; `mean` is the training data's mean spectrogram,
    /// `[bins, frames]`.
    fn baseline(&self, mean: Tensor<2>, batch: &TensorBatch) -> Scores;

    /// The name of the baseline.
    fn baseline_name(&self) -> &'static str;

    /// The model's spectrograms for `batch`, `[batch, bins, frames]`, for pictures and sounds; none where it makes none.
    fn reconstruct(&self, model: &Self::Model, batch: &TensorBatch) -> Option<Tensor<3>> {
        let _ = (model, batch);
        None
    }

    /// Measures the best model's parameter estimates on held-out sounds, and keeps `shown` of those sounds as examples; none
    /// where the model estimates no parameters. It is called once, after training, and chooses nothing.
    ///
    /// # Errors
    /// An example can't be read.
    fn test(
        &self,
        best: &Self::Model,
        held_out: &Evaluation,
        shown: usize,
    ) -> Result<Option<HeldOut>, TrainerError> {
        let _ = (best, held_out, shown);
        Ok(None)
    }

    /// What parameter heads inherit from other heads; none where there are no heads on either side.
    fn head_transfer(&self) -> Option<&HeadTransfer> {
        None
    }

    /// What of the model learns at another rate than the rest.
    fn lr_scale(&self) -> LrScale {
        LrScale::default()
    }

    /// The parts of `model` and how many parameters each has.
    fn parts(&self, model: &Self::Model) -> Vec<(String, usize)> {
        vec![("model".to_owned(), model.num_params())]
    }

    /// f32 values that a training step keeps for its backward pass, by estimate; 0 where there is none.
    fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        let _ = (batch, frames);
        0
    }
}

/// The part of the spectrogram that a score covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scored {
    /// What the model had to guess.
    Hidden,
    /// The whole spectrogram, but for padding.
    Everything,
}

/// A test of parameter estimates on held-out sounds.
#[derive(Clone, Debug)]
pub struct HeldOut {
    /// Errors of the estimates.
    pub metrics: ParameterMetrics,
    /// A few of the sounds.
    pub illustrations: Vec<Illustration>,
}

/// What a number is called, such as `spec_l1` or `param/cat_acc/wave`.
pub type ScoreName = Cow<'static, str>;

/// What a batch says about a model, one number for each item.
#[derive(Clone, Debug)]
pub struct Scores {
    /// The objective, `[batch]`.
    pub loss: Tensor<1>,
    /// Further measures by their names, `[batch]` each.
    pub terms: Vec<(ScoreName, Tensor<1>)>,
    /// 1 for an item that has something to score and 0 for one that hasn't, `[batch]`; none where all
    /// have. Means are taken over the former.
    pub counted: Option<Tensor<1>>,
    /// Estimated parameters. Where the batch has their truth, the loop logs their errors as `param/...`.
    pub parameters: Option<EstimatedParameters>,
}

impl Scores {
    /// A loss for each item, `[batch]`, and nothing else.
    pub fn new(loss: Tensor<1>) -> Self {
        Self {
            loss,
            terms: Vec::new(),
            counted: None,
            parameters: None,
        }
    }

    /// The same with estimated parameters.
    #[must_use]
    pub fn estimating(self, parameters: EstimatedParameters) -> Self {
        Self {
            parameters: Some(parameters),
            ..self
        }
    }

    /// With the errors of the estimated parameters among the terms, where `batch` has the truth of the parameters of `spec`.
    pub(crate) fn with_parameter_errors(
        mut self,
        batch: &TensorBatch,
        spec: Option<&ParamSpec>,
    ) -> Self {
        let estimate = self.parameters.take();
        if let (Some(estimate), Some(spec), Some(truth)) = (estimate, spec, &batch.truth) {
            self.terms.extend(estimate.terms(spec, truth));
        }
        self
    }

    /// `loss` and the terms, each with its name.
    pub fn named(&self) -> impl Iterator<Item = (ScoreName, &Tensor<1>)> {
        let terms = self.terms.iter();
        std::iter::once(("loss".into(), &self.loss))
            .chain(terms.map(|(name, values)| (name.clone(), values)))
    }

    /// The mean of `values`, `[batch]`, over the items that count: `[1]`, and 0 where none does.
    pub(crate) fn mean(&self, values: Tensor<1>) -> Tensor<1> {
        match &self.counted {
            None => values.mean(),
            Some(counted) => {
                let count = counted.clone().sum().clamp_min(1.0);
                (values * counted.clone()).sum() / count
            }
        }
    }
}
