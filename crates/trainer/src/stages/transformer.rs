//! The Transformer's stages.

use burn::tensor::Device;
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
use crate::tasks::{ContrastivePretraining, PatchReconstruction, SpectralObjective, Trained};
use crate::training::task::Scored;
use crate::training::weights::NamedWeights;

pub(crate) struct PretrainTransformerContrastive;

impl StageSpec for PretrainTransformerContrastive {
    fn title(&self) -> &'static str {
        "Contrastive pretraining of the Transformer"
    }

    fn network(&self, _experiment: &Experiment) -> String {
        "Transformer, encoder".to_owned()
    }

    fn about(&self, experiment: &Experiment) -> String {
        format!(
            "Part of the spectrogram is hidden: {}. For each hidden patch the model has to find, among several patches, the one that belongs there. The loss is InfoNCE in nats. The baseline is chance.",
            captions::mask(&self.mask(experiment))
        )
    }

    fn pictures(&self) -> &'static str {
        "This model reconstructs nothing: the third picture has, in place of each hidden patch, the hidden patch that the model chose. Where it is right, nothing changes."
    }

    fn reconstruction(&self) -> &'static str {
        "chosen patches"
    }

    fn measure(&self, measure: &str, _scored: Scored) -> Option<&'static str> {
        (measure == "loss").then_some("Loss (InfoNCE, nats)")
    }

    fn mask(&self, experiment: &Experiment) -> MaskConfig {
        let settings = &experiment.stages.pretrain_transformer_contrastive;
        settings.mask.over(&experiment.transformer)
    }

    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError> {
        let Experiment {
            seed,
            data,
            transformer,
            stages,
            ..
        } = inputs.experiment;
        Ok(Box::new(TrainStage(ContrastivePretraining {
            model: transformer.clone(),
            loss: stages.pretrain_transformer_contrastive.loss,
            hidden_ratio: inputs.dataset.config().mask.ratio,
            normalization: inputs.dataset.normalization(),
            n_fft: data.stft.n_fft,
            seed: *seed,
        })))
    }

    fn weights(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Vec<NamedWeights>, TrainerError> {
        let transformer = &checkpoint.context.experiment.transformer;
        read_weights(checkpoint, transformer.init_contrastive(device))
    }
}

pub(crate) struct TrainTransformerDecoder;

impl StageSpec for TrainTransformerDecoder {
    fn title(&self) -> &'static str {
        "Training a decoder on the pretrained encoder"
    }

    fn network(&self, _experiment: &Experiment) -> String {
        "Transformer, decoder".to_owned()
    }

    fn about(&self, experiment: &Experiment) -> String {
        format!(
            "A decoder learns to reconstruct what is hidden: {}. The pretrained encoder is frozen. The loss is the mean squared error of the hidden patches, in normalised log magnitudes unless targets are normalised per patch. The baseline is the mean spectrogram of the training sounds.",
            captions::mask(&self.mask(experiment))
        )
    }

    fn starts_from(&self, _stages: &Stages) -> Option<Stage> {
        Some(Stage::PretrainTransformerContrastive)
    }

    fn inherited_settings(&self) -> &'static [&'static str] {
        &["transformer.encoder."]
    }

    fn mask(&self, experiment: &Experiment) -> MaskConfig {
        let settings = &experiment.stages.train_transformer_decoder;
        settings.mask.over(&experiment.transformer)
    }

    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError> {
        let whole = task(Scored::Hidden, &inputs)?;
        Ok(Box::new(TrainStage(PatchReconstruction {
            trained: Trained::Decoder,
            start: inputs.start,
            spectral: None,
            ..whole
        })))
    }

    fn weights(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Vec<NamedWeights>, TrainerError> {
        transformer_weights(checkpoint, device)
    }
}

pub(crate) struct TrainFullTransformer;

impl StageSpec for TrainFullTransformer {
    fn title(&self) -> &'static str {
        "Training the whole Transformer"
    }

    fn network(&self, _experiment: &Experiment) -> String {
        "Transformer".to_owned()
    }

    fn about(&self, experiment: &Experiment) -> String {
        let settings = &experiment.stages.train_full_transformer;
        format!(
            "Encoder and decoder learn together to reconstruct what is hidden: {}. The loss is the mean squared error of the hidden patches{}. The baseline is the mean spectrogram of the training sounds.",
            captions::mask(&self.mask(experiment)),
            captions::spectral(settings.spectral())
        )
    }

    fn starts_from(&self, _stages: &Stages) -> Option<Stage> {
        Some(Stage::TrainTransformerDecoder)
    }

    fn inherited_settings(&self) -> &'static [&'static str] {
        WHOLE
    }

    fn mask(&self, experiment: &Experiment) -> MaskConfig {
        let settings = &experiment.stages.train_full_transformer;
        settings.mask.over(&experiment.transformer)
    }

    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError> {
        let new = task(Scored::Hidden, &inputs)?;
        Ok(Box::new(TrainStage(PatchReconstruction {
            start: inputs.start,
            ..new
        })))
    }

    fn weights(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Vec<NamedWeights>, TrainerError> {
        transformer_weights(checkpoint, device)
    }
}

pub(crate) struct TestTransformer;

impl StageSpec for TestTransformer {
    fn title(&self) -> &'static str {
        "Testing the Transformer"
    }

    fn network(&self, _experiment: &Experiment) -> String {
        "Transformer".to_owned()
    }

    fn about(&self, _experiment: &Experiment) -> String {
        captions::TEST.to_owned()
    }

    fn starts_from(&self, _stages: &Stages) -> Option<Stage> {
        Some(Stage::TrainFullTransformer)
    }

    fn inherited_settings(&self) -> &'static [&'static str] {
        WHOLE
    }

    fn mask(&self, experiment: &Experiment) -> MaskConfig {
        TrainFullTransformer.mask(experiment)
    }

    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError> {
        Ok(Box::new(TestStage {
            hidden: task(Scored::Hidden, &inputs)?,
            whole: task(Scored::Everything, &inputs)?,
            trained_for: Scored::Hidden,
            tested: inputs.start,
        }))
    }
}

/// Settings that decide on the weights of encoder and decoder.
const WHOLE: &[&str] = &[
    "transformer.encoder.",
    "transformer.decoder.",
    "transformer.targets",
];

/// The whole Transformer's task, from new weights.
fn task(scored: Scored, inputs: &WorkInputs) -> Result<PatchReconstruction, TrainerError> {
    let settings = &inputs.experiment.stages.train_full_transformer;
    Ok(PatchReconstruction {
        model: inputs.experiment.transformer.clone(),
        trained: Trained::Everything,
        start: None,
        scored,
        spectral: SpectralObjective::new(settings.spectral(), inputs.dataset)?,
        hidden_ratio: inputs.dataset.config().mask.ratio,
    })
}

fn transformer_weights(
    checkpoint: &Checkpoint,
    device: &Device,
) -> Result<Vec<NamedWeights>, TrainerError> {
    let transformer = &checkpoint.context.experiment.transformer;
    read_weights(checkpoint, transformer.init(device))
}
