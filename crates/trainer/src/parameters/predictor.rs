//! Parameters of any sound, from a trained model.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use heads::ParameterEstimate;
use losses::ParameterLoss;
use params::{ParamSpec, ParamVector};
use stft_data::{Audio, resample};

use crate::run::checkpoint::{Checkpoint, Context};
use crate::error::TrainerError;
use crate::run::exported::Exported;
use crate::parameters::feature_encoder::{FeatureEncoder, TransformerFeatures, UNetFeatures};
use crate::run::trained_on::TrainedOn;
use crate::parameters::network::{ParameterNetwork, vectors};
use crate::data::single::spectrogram_of;
use crate::run::run_dir::{RunDir, StageState};
use crate::settings::stage::Stage;

/// The checkpoint of a stage at `path`: the best one of a run's stage that is finished, or the checkpoint whose directory,
/// or whose stage's directory, it is, finished or not. Where no `stage` is named it is the one of parameter heads; of two,
/// the one with the lower validation loss, if they have the same objective.
///
/// # Errors
/// [`TrainerError::NoModel`], or the checkpoint can't be read.
pub fn trained_stage(path: &Path, stage: Option<Stage>) -> Result<Checkpoint, TrainerError> {
    let none = |wanted: String, advice| TrainerError::NoModel {
        wanted,
        path: path.to_owned(),
        advice,
    };
    for own in [path.to_owned(), path.join("checkpoints").join("best")] {
        if Checkpoint::is_at(&own) {
            let checkpoint = Checkpoint::open(&own)?;
            return match stage.filter(|stage| stage.name() != checkpoint.context.stage) {
                Some(stage) => Err(none(format!("checkpoint of {stage}"), NOWHERE)),
                None => Ok(checkpoint),
            };
        }
    }
    let wanted = match &stage {
        Some(stage) => std::slice::from_ref(stage),
        None => &Stage::PARAMETERS[..],
    };
    let run = RunDir::at(path);
    let left: Vec<Stage> = wanted
        .iter()
        .copied()
        .filter(|stage| Checkpoint::is_at(&run.stage(stage.name()).best()))
        .collect();
    let found: Result<Vec<_>, _> = left
        .iter()
        .map(|stage| run.stage(stage.name()))
        .filter(|directory| directory.state() == StageState::Finished)
        .map(|directory| Checkpoint::open(&directory.best()))
        .collect();
    let found = found?;
    if let [one, other] = &found[..]
        && objective(one) != objective(other)
    {
        return Err(none("single estimator".to_owned(), INCOMPARABLE));
    }
    let loss = |checkpoint: &Checkpoint| checkpoint.progress.best_valid_loss.unwrap_or(f64::MAX);
    found
        .into_iter()
        .min_by(|one, other| loss(one).total_cmp(&loss(other)))
        .ok_or_else(|| match (stage, &left[..]) {
            (_, [_, ..]) => {
                let names: Vec<&str> = left.iter().map(|stage| stage.name()).collect();
                let wanted = format!("finished {}", names.join(" or "));
                none(wanted, INTERRUPTED)
            }
            (Some(stage), []) => none(format!("checkpoint of {stage}"), NOWHERE),
            (None, []) => none("checkpoint with parameter heads".to_owned(), NOWHERE),
        })
}

/// What parameter heads have minimised.
fn objective(checkpoint: &Checkpoint) -> Option<ParameterLoss> {
    let Context {
        stage, experiment, ..
    } = &checkpoint.context;
    let stages = &experiment.stages;
    match stage.parse().ok()? {
        Stage::FinetuneParametersAutoencoder => Some(stages.finetune_parameters_autoencoder.loss),
        Stage::FinetuneParametersTransformer => Some(stages.finetune_parameters_transformer.loss),
        _ => None,
    }
}

const INCOMPARABLE: &str = "its two estimators have minimised different losses, which can't tell the better one: name a stage with --stage";

const NOWHERE: &str = "name a run, or a directory of a checkpoint, in which that stage is finished; `inversynth run --run parameters` trains parameter heads";

const INTERRUPTED: &str = "it was interrupted: run it to its end first, or name the directory of its checkpoint, `checkpoints/best` in the stage's, to take the weights as they are";

/// Weights in one of the two forms in which they are kept.
enum Weights {
    Checkpoint(Checkpoint),
    Exported(Exported),
}

impl Weights {
    fn context(&self) -> &Context {
        match self {
            Self::Checkpoint(checkpoint) => &checkpoint.context,
            Self::Exported(exported) => &exported.context,
        }
    }

    /// Where it is said which sounds they know.
    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Checkpoint(checkpoint) => Some(checkpoint.path()),
            Self::Exported(_) => None,
        }
    }

    fn load<M: Module>(&self, model: M, device: &Device) -> Result<M, TrainerError> {
        match self {
            Self::Checkpoint(checkpoint) => checkpoint.load_model(model),
            Self::Exported(exported) => exported.load_model(model, device),
        }
    }
}

/// Tells the parameters of sounds.
pub struct ParameterPredictor {
    context: Context,
    spec: ParamSpec,
    /// That of the checkpoint, if it is one.
    directory: Option<PathBuf>,
    device: Device,
    estimate: Box<Estimate>,
}

type Estimate = dyn Fn(Tensor<3>, &[usize]) -> ParameterEstimate;

impl ParameterPredictor {
    /// Opens what is at `path`: a run, a stage or checkpoint of it (see [`trained_stage`]), or a file that
    /// [`export`](crate::export) has written.
    ///
    /// # Errors
    /// There are no parameter heads, they are another stage's than the one that is named, or they can't be read.
    pub fn open(path: &Path, stage: Option<Stage>, device: &Device) -> Result<Self, TrainerError> {
        let weights = match path.is_file() {
            true => Weights::Exported(exported(path, stage)?),
            false => Weights::Checkpoint(trained_stage(path, stage)?),
        };
        let context = weights.context().clone();
        let Some(spec) = context.parameters.clone() else {
            return Err(TrainerError::NoModel {
                wanted: format!("model with parameter heads, but one of {},", context.stage),
                path: path.to_owned(),
                advice: "`inversynth run --run parameters` trains parameter heads on labelled sounds",
            });
        };
        let estimate = match context.stage.parse()? {
            Stage::FinetuneParametersTransformer => {
                estimator::<TransformerFeatures>(&context, &spec, &weights, device)?
            }
            _ => estimator::<UNetFeatures>(&context, &spec, &weights, device)?,
        };
        Ok(Self {
            spec,
            directory: weights.directory().map(Path::to_owned),
            device: device.clone(),
            estimate,
            context,
        })
    }

    /// What the model was trained as.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// What is estimated.
    pub fn spec(&self) -> &ParamSpec {
        &self.spec
    }

    /// Which sounds the weights know; none where they don't say, as in an exported file.
    ///
    /// # Errors
    /// As [`Checkpoint::heard`], but for a checkpoint that doesn't say.
    pub fn heard(&self) -> Result<Option<TrainedOn>, TrainerError> {
        match &self.directory {
            Some(directory) => TrainedOn::read(directory),
            None => Ok(None),
        }
    }

    /// The parameters of a sound at any rate. Of one that is longer than the clips of training, its beginning is heard.
    ///
    /// # Errors
    /// The sound is empty, holds something that is no sample, or can't be resampled.
    pub fn predict(&self, sound: &Audio) -> Result<ParamVector, TrainerError> {
        let data = &self.context.experiment.data;
        let mut sound = resample(sound, data.clip.sample_rate_hz)?;
        sound.samples.truncate(data.clip.samples());
        let batch = spectrogram_of(sound, data, self.context.normalization)?;
        let shape = [1, batch.bins, batch.frames];
        let spectrogram = Tensor::from_data(TensorData::new(batch.values, shape), &self.device);
        let estimate = (self.estimate)(spectrogram, &batch.valid_frames);
        Ok(vectors(estimate).remove(0))
    }
}

/// The file at `path`, if `stage` is its stage where one is named.
fn exported(path: &Path, stage: Option<Stage>) -> Result<Exported, TrainerError> {
    let exported = Exported::open(path)?;
    let its = &exported.context.stage;
    match stage.filter(|stage| stage.name() != its) {
        Some(stage) => Err(TrainerError::NoModel {
            wanted: format!("model of {stage}, but one of {its},"),
            path: path.to_owned(),
            advice: "a file has one stage: leave --stage out, or name the run",
        }),
        None => Ok(exported),
    }
}

fn estimator<E: FeatureEncoder + 'static>(
    context: &Context,
    spec: &ParamSpec,
    weights: &Weights,
    device: &Device,
) -> Result<Box<Estimate>, TrainerError> {
    let network = ParameterNetwork::<E>::new(&context.experiment, spec, context.normalization);
    let model = weights.load(network.init(device), device)?;
    Ok(Box::new(move |spectrogram, valid_frames| {
        network.estimate(&model, spectrogram, valid_frames)
    }))
}
