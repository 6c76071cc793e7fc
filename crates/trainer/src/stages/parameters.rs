//! The stages that train parameter heads on an encoder.

use burn::tensor::Device;
use stft_data::{MaskConfig, Split};

use crate::error::TrainerError;
use crate::output::captions::{self, percent};
use crate::parameters::average::{Average, truths};
use crate::parameters::estimator::{Estimate, Weights, estimator};
use crate::parameters::feature_encoder::{FeatureEncoder, TransformerFeatures, UNetFeatures};
use crate::parameters::network::ParameterNetwork;
use crate::parameters::probe_data::ProbeData;
use crate::run::checkpoint::{Checkpoint, Context};
use crate::settings::experiment::Experiment;
use crate::settings::stage::Stage;
use crate::settings::stages::{EncoderStart, EncoderTraining, ParameterStage, Stages};
use crate::stages::context::Work;
use crate::stages::spec::{StageSpec, WorkInputs, read_weights};
use crate::stages::train::TrainStage;
use crate::tasks::ParameterEstimation;
use crate::training::task::Scored;
use crate::training::weights::NamedWeights;

pub(crate) struct FinetuneParametersAutoencoder;

impl HeadsStage for FinetuneParametersAutoencoder {
    type Encoder = UNetFeatures;
    const TITLE: &'static str = "Parameter heads on the U-Net";
    const ENCODER: &'static str = "U-Net, encoder";
    const INHERITED: &'static [&'static str] = &["unet."];
}

pub(crate) struct FinetuneParametersTransformer;

impl HeadsStage for FinetuneParametersTransformer {
    type Encoder = TransformerFeatures;
    const TITLE: &'static str = "Parameter heads on the Transformer";
    const ENCODER: &'static str = "Transformer, encoder";
    const INHERITED: &'static [&'static str] = &["transformer.encoder."];
}

/// A stage that trains parameter heads on an encoder.
trait HeadsStage: Sync {
    /// The encoder.
    type Encoder: FeatureEncoder + 'static;
    /// A heading.
    const TITLE: &'static str;
    /// The encoder, in a few words.
    const ENCODER: &'static str;
    /// Tables of settings that decide on the encoder's weights.
    const INHERITED: &'static [&'static str];

    fn settings(stages: &Stages) -> &ParameterStage<<Self::Encoder as FeatureEncoder>::Start> {
        Self::Encoder::heads_stage(stages)
    }
}

impl<H: HeadsStage> StageSpec for H {
    fn title(&self) -> &'static str {
        H::TITLE
    }

    fn network(&self, experiment: &Experiment) -> String {
        match H::settings(&experiment.stages).active_bands().len() {
            0 => format!("{}, and heads", H::ENCODER),
            _ => format!("{}, band networks, and heads", H::ENCODER),
        }
    }

    fn about(&self, experiment: &Experiment) -> String {
        let start = self.starts_from(&experiment.stages);
        about(H::settings(&experiment.stages), start, experiment)
    }

    fn pictures(&self) -> &'static str {
        "Sounds that no model was trained on. Where the parameters are those of an embedded voice: its render of the estimates, and the error of that spectrogram."
    }

    fn sounds(&self) -> &'static str {
        "A render is played as the synthesizer makes it."
    }

    fn reconstruction(&self) -> &'static str {
        "rendered from the estimates"
    }

    fn measure(&self, measure: &str, _scored: Scored) -> Option<&'static str> {
        (measure == "loss").then_some("Loss (half of squared error and nats)")
    }

    fn starts_from(&self, stages: &Stages) -> Option<Stage> {
        H::settings(stages).start.stage()
    }

    fn inherited_settings(&self) -> &'static [&'static str] {
        H::INHERITED
    }

    fn mask(&self, experiment: &Experiment) -> MaskConfig {
        H::settings(&experiment.stages).mask_over(&experiment.data)
    }

    fn work(&self, inputs: WorkInputs) -> Result<Box<dyn Work>, TrainerError> {
        Ok(Box::new(TrainStage(task::<H::Encoder>(inputs))))
    }

    fn weights(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Vec<NamedWeights>, TrainerError> {
        weights::<H::Encoder>(checkpoint, device)
    }

    fn estimator(
        &self,
        weights: &Weights,
        device: &Device,
    ) -> Result<Option<Box<Estimate>>, TrainerError> {
        estimator::<H::Encoder>(weights, device)
    }
}

/// The task of estimating the parameters of labelled sounds.
fn task<E: FeatureEncoder>(inputs: WorkInputs) -> ParameterEstimation<E> {
    let WorkInputs {
        experiment,
        dataset,
        all_sounds,
        parameters,
        start,
        resumed,
    } = inputs;
    let settings = E::heads_stage(&experiment.stages);
    let spec = parameters.expect("labels were checked");
    let source = start.as_ref().and_then(|start| {
        let Context {
            experiment,
            parameters,
            normalization,
            ..
        } = &start.context;
        let spec = parameters.as_ref()?;
        Some(ParameterNetwork::new(experiment, spec, *normalization))
    });
    let labels = truths(dataset, dataset.indices(Split::Train));
    let network = ParameterNetwork::new(experiment, spec, dataset.normalization());
    ParameterEstimation {
        head_transfer: match &source {
            Some(source) => Some(network.transfer_from(source).0),
            None => resumed.and_then(|provenance| provenance.heads.clone()),
        },
        network,
        shift_frames: settings.shift_frames,
        seed: experiment.seed,
        training: settings.encoder,
        encoder_lr: settings.encoder_lr,
        loss: settings.loss,
        average: Average::of(&labels, spec),
        start,
        source,
        probe: ProbeData {
            dataset: all_sounds.clone(),
            labelled: dataset.indices(Split::Train).to_vec(),
            workers: experiment.loader.workers,
        },
    }
}

fn weights<E: FeatureEncoder>(
    checkpoint: &Checkpoint,
    device: &Device,
) -> Result<Vec<NamedWeights>, TrainerError> {
    let Context {
        experiment,
        parameters,
        normalization,
        ..
    } = &checkpoint.context;
    let spec = parameters
        .as_ref()
        .ok_or_else(|| TrainerError::Checkpoint {
            path: checkpoint.path().to_owned(),
            reason: "it doesn't say which parameters its heads estimate".to_owned(),
        })?;
    let network = ParameterNetwork::<E>::new(experiment, spec, *normalization);
    read_weights(checkpoint, network.init(device))
}

/// Everything that decides on estimated parameters: what reads the spectrogram, augmentation and regularisation, and the
/// loss.
fn about<Start>(
    settings: &ParameterStage<Start>,
    start: Option<Stage>,
    experiment: &Experiment,
) -> String {
    let mut text = encoder_and_heads(settings, start);
    text += &other_readers(settings);
    let harder = augmentation(settings, experiment);
    if !harder.is_empty() {
        text += &format!(" In training {}.", harder.join(", "));
    }
    text += " The loss is half the sum of the squared error of continuous parameters (positions in 0..1) and the cross-entropy of categorical ones (nats), or the one of them that there is";
    if settings.loss.label_smoothing > 0.0 {
        let share = percent(settings.loss.label_smoothing);
        text += &format!(", where {share} of the right class's probability is spread over all");
    }
    text + ". The baseline is the same for every sound: the labels' average."
}

fn encoder_and_heads<Start>(settings: &ParameterStage<Start>, start: Option<Stage>) -> String {
    let heads = match settings.heads.hidden {
        0 => "Linear heads learn".to_owned(),
        width => format!("Heads with a hidden layer of {width} learn"),
    };
    let start = match start {
        Some(stage) => format!("initialised from {stage}"),
        None => "with newly drawn weights".to_owned(),
    };
    let encoder = match (settings.encoder, settings.encoder_lr) {
        (EncoderTraining::Frozen, _) => "which is frozen".to_owned(),
        (EncoderTraining::Finetuned, 1.0) => "which is fine-tuned with them".to_owned(),
        (EncoderTraining::Finetuned, rate) => {
            format!("which is fine-tuned with them at {rate} times their rate")
        }
    };
    format!(
        "{heads} to estimate the settings of the synthesizer that made a sound, on an encoder {start}, {encoder}; {} of the training sounds' labels are used.",
        percent(settings.label_fraction),
    )
}

/// What reads the spectrogram in addition to the encoder.
fn other_readers<Start>(settings: &ParameterStage<Start>) -> String {
    let mut text = String::new();
    let bands = settings.active_bands();
    let networks = match bands.len() {
        0 => None,
        1 => Some("a small network reads".to_owned()),
        count => Some(format!("{count} small networks read")),
    };
    if let Some(networks) = networks {
        let widths = bands.iter().map(|band| match band.bins {
            0 => "all bins".to_owned(),
            bins => format!("every band of {bins} bins with the same weights"),
        });
        let widths: Vec<String> = widths.collect();
        text += &format!(
            " In addition, {networks} the spectrogram directly ({}), so the figures do not measure the encoder alone.",
            widths.join("; ")
        );
    }
    if settings.active_probe_share() > 0.0 {
        let share = percent(settings.active_probe_share());
        text += &format!(
            " A linear probe on statistics of each bin over time, fitted in closed form before training and frozen, has a weight of {share} in the estimate; the training loss is that of the heads alone, all other figures are of the whole."
        );
    }
    text
}

/// What makes training harder.
fn augmentation<Start>(settings: &ParameterStage<Start>, experiment: &Experiment) -> Vec<String> {
    let mut harder = Vec::new();
    if settings.shift_frames > 0 {
        let frames = settings.shift_frames;
        harder.push(format!(
            "sounds start up to {frames} frames earlier or later"
        ));
    }
    let hidden = settings.mask_over(&experiment.data);
    if hidden.ratio > 0.0 {
        harder.push(format!("{} are hidden", captions::mask(&hidden)));
    }
    if settings.heads.dropout > 0.0 {
        let share = percent(settings.heads.dropout);
        harder.push(format!("{share} of the last layer's inputs are set to 0"));
    }
    harder
}
