//! The U-Net's stages.

use burn::tensor::Device;
use losses::Norm;
use stft_data::MaskConfig;

use crate::error::TrainerError;
use crate::output::captions;
use crate::run::checkpoint::Checkpoint;
use crate::settings::experiment::Experiment;
use crate::settings::stage::Stage;
use crate::settings::stages::Stages;
use crate::stages::context::Work;
use crate::stages::spec::{StageSpec, WorkInputs, read_weights};
use crate::stages::test::TestStage;
use crate::stages::train::TrainStage;
use crate::tasks::{SpectralObjective, SpectrogramAutoencoder};
use crate::training::task::Scored;
use crate::training::weights::NamedWeights;

const NETWORK: &str = "U-Net";

pub(crate) struct PretrainAutoencoderMae;

impl StageSpec for PretrainAutoencoderMae {
    fn title(&self) -> &'static str {
        "Pretraining the U-Net on hidden patches"
    }

    fn network(&self, _experiment: &Experiment) -> String {
        NETWORK.to_owned()
    }

    fn about(&self, experiment: &Experiment) -> String {
        format!(
            "The model fills in what is hidden: {}. The loss is the {} of the hidden bins, in normalised log magnitudes. The baseline is the mean spectrogram of the training sounds.",
            captions::mask(&experiment.data.mask),
            error(experiment.stages.pretrain_autoencoder_mae.loss)
        )
    }

    fn measure(&self, measure: &str, scored: Scored) -> Option<&'static str> {
        hidden_bins(measure, scored)
    }

    fn mask(&self, experiment: &Experiment) -> MaskConfig {
        experiment.data.mask
    }

    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError> {
        Ok(Box::new(TrainStage(task(Scored::Hidden, &inputs)?)))
    }

    fn weights(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Vec<NamedWeights>, TrainerError> {
        unet_weights(checkpoint, device)
    }
}

pub(crate) struct TrainAutoencoderNomaskFinetune;

impl StageSpec for TrainAutoencoderNomaskFinetune {
    fn title(&self) -> &'static str {
        "Fine-tuning the U-Net with nothing hidden"
    }

    fn network(&self, _experiment: &Experiment) -> String {
        NETWORK.to_owned()
    }

    fn about(&self, experiment: &Experiment) -> String {
        let settings = &experiment.stages.train_autoencoder_nomask_finetune;
        format!(
            "The pretrained model is fine-tuned with nothing hidden: it reproduces the whole spectrogram through its bottleneck and skip connections. The loss is the {} of all bins, in normalised log magnitudes{}. The baseline is the mean spectrogram of the training sounds.",
            error(settings.loss),
            captions::spectral(settings.spectral())
        )
    }

    fn pictures(&self) -> &'static str {
        "The spectrogram, the same once more since nothing is hidden, the model's reconstruction, and its error."
    }

    fn scored(&self) -> Scored {
        Scored::Everything
    }

    fn starts_from(&self, _stages: &Stages) -> Option<Stage> {
        Some(Stage::PretrainAutoencoderMae)
    }

    fn inherited_settings(&self) -> &'static [&'static str] {
        UNET
    }

    fn mask(&self, experiment: &Experiment) -> MaskConfig {
        experiment.data.mask.nothing_hidden()
    }

    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError> {
        let new = task(Scored::Everything, &inputs)?;
        Ok(Box::new(TrainStage(SpectrogramAutoencoder {
            start: inputs.start,
            ..new
        })))
    }

    fn weights(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Vec<NamedWeights>, TrainerError> {
        unet_weights(checkpoint, device)
    }
}

pub(crate) struct TestAutoencoder;

impl StageSpec for TestAutoencoder {
    fn title(&self) -> &'static str {
        "Testing the U-Net"
    }

    fn network(&self, _experiment: &Experiment) -> String {
        NETWORK.to_owned()
    }

    fn about(&self, _experiment: &Experiment) -> String {
        captions::TEST.to_owned()
    }

    fn measure(&self, measure: &str, scored: Scored) -> Option<&'static str> {
        hidden_bins(measure, scored)
    }

    fn starts_from(&self, _stages: &Stages) -> Option<Stage> {
        Some(Stage::TrainAutoencoderNomaskFinetune)
    }

    fn inherited_settings(&self) -> &'static [&'static str] {
        UNET
    }

    fn mask(&self, experiment: &Experiment) -> MaskConfig {
        experiment.data.mask
    }

    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError> {
        Ok(Box::new(TestStage {
            hidden: task(Scored::Hidden, &inputs)?,
            whole: task(Scored::Everything, &inputs)?,
            trained_for: Scored::Everything,
            tested: inputs.start,
        }))
    }
}

/// Settings that decide on the weights of every stage after pretraining.
const UNET: &[&str] = &["unet."];

/// The task of pretraining, or that of fine-tuning, from new weights.
fn task(scored: Scored, inputs: &WorkInputs) -> Result<SpectrogramAutoencoder, TrainerError> {
    let Experiment { unet, stages, .. } = inputs.experiment;
    let finetuning = &stages.train_autoencoder_nomask_finetune;
    let (loss, spectral) = match scored {
        Scored::Hidden => (stages.pretrain_autoencoder_mae.loss, None),
        Scored::Everything => (
            finetuning.loss,
            SpectralObjective::new(finetuning.spectral(), inputs.dataset)?,
        ),
    };
    Ok(SpectrogramAutoencoder {
        model: unet.clone(),
        start: None,
        loss,
        scored,
        spectral,
    })
}

fn unet_weights(
    checkpoint: &Checkpoint,
    device: &Device,
) -> Result<Vec<NamedWeights>, TrainerError> {
    let unet = &checkpoint.context.experiment.unet;
    read_weights(checkpoint, unet.init(device))
}

fn error(norm: Norm) -> &'static str {
    match norm {
        Norm::L1 => "mean absolute error",
        Norm::L2 => "mean squared error",
    }
}

/// Captions of the U-Net's scores on hidden bins.
fn hidden_bins(measure: &str, scored: Scored) -> Option<&'static str> {
    match (measure, scored) {
        ("loss", Scored::Hidden) => Some("Loss (error of hidden bins, normalised)"),
        ("normalized_l1", Scored::Hidden) => Some("Absolute error of hidden bins (normalised)"),
        ("normalized_l2", Scored::Hidden) => Some("Squared error of hidden bins (normalised)"),
        _ => None,
    }
}
