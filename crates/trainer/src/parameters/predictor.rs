//! Parameters of any sound, from a trained model.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use losses::ParameterLoss;
use params::{ParamSpec, ParamVector};
use stft_data::{Audio, resample};

use crate::data::single::spectrogram_of;
use crate::error::TrainerError;
use crate::parameters::estimator::{Estimate, Weights};
use crate::parameters::network::vectors;
use crate::run::checkpoint::{Checkpoint, Context};
use crate::run::exported::Exported;
use crate::run::run_dir::RunDir;
use crate::run::stage_dir::StageState;
use crate::run::trained_on::TrainedOn;
use crate::settings::stage::{Stage, StageGroup};

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
    let heads: Vec<Stage> = Stage::of(StageGroup::Parameters).collect();
    let wanted = match &stage {
        Some(stage) => std::slice::from_ref(stage),
        None => &heads[..],
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

/// What the parameter heads of a checkpoint minimised.
fn objective(checkpoint: &Checkpoint) -> Option<ParameterLoss> {
    let stage = checkpoint.context.stage.parse().ok()?;
    checkpoint.context.experiment.stages.parameter_loss(stage)
}

const INCOMPARABLE: &str = "its two estimators have minimised different losses, so neither is known to be better: name a stage with --stage";

const NOWHERE: &str = "give a run with a finished parameter stage, or a directory of its checkpoint; `inversynth run --run parameters` trains parameter heads";

const INTERRUPTED: &str = "it was interrupted: run it to its end first, or name the directory of its checkpoint, `checkpoints/best` in the stage's, to take the weights as they are";

/// Estimates the parameters of sounds.
pub struct ParameterPredictor {
    context: Context,
    spec: ParamSpec,
    /// That of the checkpoint, if it is one.
    directory: Option<PathBuf>,
    device: Device,
    estimate: Box<Estimate>,
}

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
        let trained: Stage = context.stage.parse()?;
        let estimate = trained.spec().estimator(&weights, device)?;
        let (Some(spec), Some(estimate)) = (context.parameters.clone(), estimate) else {
            return Err(TrainerError::NoModel {
                wanted: format!("model with parameter heads, but one of {trained},"),
                path: path.to_owned(),
                advice: "`inversynth run --run parameters` trains parameter heads on labelled sounds",
            });
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

    /// The sounds that the weights were trained on; none without a record, as in an exported file.
    ///
    /// # Errors
    /// As [`Checkpoint::trained_on`], except for a checkpoint without a record.
    pub fn trained_on(&self) -> Result<Option<TrainedOn>, TrainerError> {
        match &self.directory {
            Some(directory) => TrainedOn::read(directory),
            None => Ok(None),
        }
    }

    /// Estimates the parameters of a sound at any rate. Only the first clip length of a longer sound is analysed.
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
        Ok(vectors(estimate, 1).remove(0))
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
