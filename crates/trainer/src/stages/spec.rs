//! What a stage is: one implementation of [`StageSpec`] each.

use burn::module::Module;
use burn::tensor::Device;
use params::ParamSpec;
use stft_data::{Dataset, MaskConfig};

use crate::error::TrainerError;
use crate::parameters::estimator::{Estimate, Weights};
use crate::run::checkpoint::Checkpoint;
use crate::run::provenance::Provenance;
use crate::settings::experiment::Experiment;
use crate::settings::stage::Stage;
use crate::settings::stages::Stages;
use crate::stages::context::Work;
use crate::training::task::Scored;
use crate::training::weights::{NamedWeights, named_weights};

/// What a stage is: its captions, what it starts from, and its work. `settings/stage.rs` has the table of stages.
pub(crate) trait StageSpec: Sync {
    /// A heading.
    fn title(&self) -> &'static str;

    /// The network, in a few words.
    fn network(&self, experiment: &Experiment) -> String;

    /// What the stage does, what is hidden, what the loss is and what it is compared with, in sentences.
    fn about(&self, experiment: &Experiment) -> String;

    /// What the pictures of its examples show.
    fn pictures(&self) -> &'static str {
        "The spectrogram, what the model saw of it (hidden patches are grey), the model's reconstruction, and its error."
    }

    /// What the second sound of its examples is.
    fn sounds(&self) -> &'static str {
        "A spectrogram has no phase: the reconstruction is played with the phase of the input."
    }

    /// What its reconstructions are called.
    fn reconstruction(&self) -> &'static str {
        "reconstruction"
    }

    /// What its losses are taken on.
    fn scored(&self) -> Scored {
        Scored::Hidden
    }

    /// A caption of its own for `measure`, where losses are taken on `scored`; none for the usual one.
    fn measure(&self, measure: &str, scored: Scored) -> Option<&'static str> {
        let _ = (measure, scored);
        None
    }

    /// The stage whose weights it inherits, or tests; none where it starts from scratch.
    fn starts_from(&self, stages: &Stages) -> Option<Stage> {
        let _ = stages;
        None
    }

    /// Tables of settings that decide on the shape or meaning of those weights.
    fn inherited_settings(&self) -> &'static [&'static str] {
        &[]
    }

    /// What it hides.
    fn mask(&self, experiment: &Experiment) -> MaskConfig;

    /// What it does.
    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError>;

    /// The weights of a checkpoint that it has left; a test leaves none.
    fn weights(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Vec<NamedWeights>, TrainerError> {
        let _ = device;
        Err(TrainerError::Checkpoint {
            path: checkpoint.path().to_owned(),
            reason: format!("{} leaves no weights", checkpoint.context.stage),
        })
    }

    /// The estimator of parameters with its `weights`; none where the stage trains no heads.
    fn estimator(
        &self,
        weights: &Weights,
        device: &Device,
    ) -> Result<Option<Box<Estimate>>, TrainerError> {
        let _ = (weights, device);
        Ok(None)
    }
}

/// What a stage's work is made from.
pub(crate) struct WorkInputs<'a> {
    /// All settings.
    pub experiment: &'a Experiment,
    /// The sounds as the stage sees them.
    pub dataset: &'a Dataset,
    /// The same, with all sounds of the training split, whether their labels are used or not.
    pub all_sounds: &'a Dataset,
    /// What the sounds are labelled with, if they are.
    pub parameters: Option<&'a ParamSpec>,
    /// The checkpoint that the stage is initialised from.
    pub start: Option<Checkpoint>,
    /// What a stage that resumes was initialised from when it began.
    pub resumed: Option<&'a Provenance>,
}

/// The weights that `checkpoint` has for `model`.
pub(crate) fn read_weights<M: Module>(
    checkpoint: &Checkpoint,
    model: M,
) -> Result<Vec<NamedWeights>, TrainerError> {
    Ok(named_weights(&checkpoint.load_model(model)?))
}
