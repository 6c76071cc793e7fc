//! Which weights a stage is initialised from, and whether they may be used.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use transformer::PositionKind;

use crate::error::TrainerError;
use crate::run::checkpoint::{Checkpoint, Context};
use crate::run::provenance::Provenance;
use crate::run::run_dir::RunDir;
use crate::run::stage_dir::StageState;
use crate::settings::difference::first_difference;
use crate::settings::experiment::Experiment;
use crate::settings::stage::Stage;
use crate::stages::weights::checkpoint_sha256;
use crate::training::devices::Devices;

/// Where the weights are that a stage is initialised from.
#[derive(Clone, Copy, Debug)]
pub enum WeightSource<'a> {
    /// In the same run, whose directory this is; the stage that trained them is finished.
    Run(&'a RunDir),
    /// In the stage itself, which was interrupted in this run.
    Itself(&'a RunDir),
    /// In another run, the directory of one of its stages, or that of a checkpoint.
    Path(&'a Path),
    /// Nowhere: the weights stay as they are drawn. For a look at sizes and speed.
    Nowhere,
}

impl<'a> WeightSource<'a> {
    /// Where `stage` of `run` finds its weights: in its own checkpoint where it was interrupted, else at `path` where that
    /// is given, else in the same run.
    pub fn of(run: &'a RunDir, stage: Stage, path: Option<&'a Path>) -> Self {
        match (run.stage(stage.name()).state(), path) {
            (StageState::Interrupted, _) => Self::Itself(run),
            (_, Some(path)) => Self::Path(path),
            (_, None) => Self::Run(run),
        }
    }
}

/// How a stage is initialised.
pub(crate) enum Init {
    /// From newly drawn weights.
    New,
    /// From a checkpoint that was named as `path`.
    From {
        /// As it was named.
        path: PathBuf,
        /// What was found there.
        checkpoint: Box<Checkpoint>,
    },
    /// It resumes from its own last checkpoint.
    Resume(Box<Checkpoint>),
}

impl Init {
    /// The checkpoint whose weights are loaded.
    pub(crate) fn checkpoint(&self) -> Option<&Checkpoint> {
        match self {
            Self::New => None,
            Self::From { checkpoint, .. } | Self::Resume(checkpoint) => Some(checkpoint),
        }
    }

    /// What a stage that resumes was initialised from when it began.
    pub(crate) fn resumed_provenance(&self) -> Option<&Provenance> {
        match self {
            Self::Resume(last) => last.context.provenance.as_ref(),
            Self::New | Self::From { .. } => None,
        }
    }

    pub(crate) fn provenance(&self, device: &Device) -> Result<Option<Provenance>, TrainerError> {
        match self {
            Self::From { path, checkpoint } => provenance_of(checkpoint, path, device).map(Some),
            Self::New | Self::Resume(_) => Ok(self.resumed_provenance().cloned()),
        }
    }
}

/// The provenance of weights from `checkpoint`, which was named as `path`.
///
/// # Errors
/// The weights can't be read.
fn provenance_of(
    checkpoint: &Checkpoint,
    path: &Path,
    device: &Device,
) -> Result<Provenance, TrainerError> {
    Ok(Provenance {
        path: path.to_owned(),
        stage: checkpoint.context.stage.clone(),
        step: checkpoint.progress.step,
        weights_sha256: checkpoint_sha256(checkpoint, device)?,
        heads: None,
    })
}

/// The checkpoint that `trained` was initialised from, if it still exists with the same weights: where it was named, or in
/// the run of `trained`, with which it may have been moved.
pub(crate) fn parent(trained: &Checkpoint, device: &Device) -> Option<Checkpoint> {
    let provenance = trained.context.provenance.as_ref()?;
    // A run, its stage, `checkpoints`, and one of them.
    let run = trained.path().ancestors().nth(3).map(RunDir::at);
    let in_run = run.map(|run| run.stage(&provenance.stage).best());
    let is_parent = |checkpoint: &Checkpoint| {
        let hash = checkpoint_sha256(checkpoint, device);
        hash.is_ok_and(|hash| hash == provenance.weights_sha256)
    };
    places(&provenance.path, &provenance.stage)
        .into_iter()
        .chain(in_run)
        .filter(|path| Checkpoint::is_at(path))
        .filter_map(|path| Checkpoint::open(&path).ok())
        .find(is_parent)
}

/// Where a checkpoint of `stage` may lie if `path` is named: in the run, in the stage's directory, or at `path` itself.
fn places(path: &Path, stage: &str) -> [PathBuf; 3] {
    [
        RunDir::at(path).stage(stage).best(),
        path.join("checkpoints").join("best"),
        path.to_owned(),
    ]
}

pub(crate) fn unused(stage: Stage, path: &Path) -> TrainerError {
    TrainerError::StartUnused {
        stage: stage.name(),
        path: path.to_owned(),
    }
}

/// Compares the weights at `path` with those that `stage` of `run` was initialised from, where it has begun. Nothing is
/// written.
///
/// # Errors
/// [`TrainerError::StartChanged`] where they differ, and whatever makes those at `path` unusable.
pub fn check_start(
    experiment: &Experiment,
    stage: Stage,
    run: &RunDir,
    path: &Path,
    devices: &Devices,
) -> Result<(), TrainerError> {
    let Some(needs) = stage.starts_from(&experiment.stages) else {
        return Err(unused(stage, path));
    };
    let directory = run.stage(stage.name());
    let there = match directory.state() {
        StageState::Fresh => return Ok(()),
        StageState::Interrupted => Checkpoint::open(&directory.last())?.context.provenance,
        StageState::Finished => directory.provenance()?,
    };
    let checkpoint = match find_start(experiment, stage, needs, WeightSource::Path(path)) {
        // The same call as before, whose weights were removed since: there is nothing to compare.
        Err(TrainerError::NoStart { .. }) if there.as_ref().is_some_and(|it| it.path == path) => {
            return Ok(());
        }
        found => found?.expect("a path leads to weights or is refused"),
    };
    let here = provenance_of(&checkpoint, path, &devices.host)?;
    match there {
        Some(there) if there.weights_sha256 == here.weights_sha256 => Ok(()),
        there => Err(TrainerError::StartChanged {
            stage: stage.name(),
            run: run.path().to_owned(),
            there: there.map_or_else(|| NO_RECORD.to_owned(), |it| it.to_string()),
            here: here.to_string(),
        }),
    }
}

/// Said of a checkpoint without a provenance.
pub(crate) const NO_RECORD: &str = "weights that it has no record of";

/// Compares the weights that `stage` of `run`, which is finished, was initialised from with those that the earlier stage
/// of the same run has now. Weights from elsewhere are not compared.
///
/// # Errors
/// [`TrainerError::StartReplaced`] where they differ, or they can't be read.
pub(crate) fn check_finished(
    experiment: &Experiment,
    stage: Stage,
    run: &RunDir,
    devices: &Devices,
) -> Result<(), TrainerError> {
    let needs = stage.starts_from(&experiment.stages);
    let (Some(needs), Some(there)) = (needs, run.stage(stage.name()).provenance()?) else {
        return Ok(());
    };
    let best = run.stage(needs.name()).best();
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(&there.path).is_none() || real(&there.path) != real(&best) {
        return Ok(());
    }
    let here = provenance_of(&Checkpoint::open(&best)?, &best, &devices.host)?;
    match here.weights_sha256 == there.weights_sha256 {
        true => Ok(()),
        false => Err(TrainerError::StartReplaced {
            stage: stage.name(),
            there: there.to_string(),
            here: here.to_string(),
            path: run.stage(stage.name()).path().to_owned(),
        }),
    }
}

/// The checkpoint that `stage` is initialised from, which stage `needs` has left.
pub(crate) fn find_start(
    experiment: &Experiment,
    stage: Stage,
    needs: Stage,
    source: WeightSource,
) -> Result<Option<Checkpoint>, TrainerError> {
    let candidates = match source {
        WeightSource::Nowhere | WeightSource::Itself(_) => return Ok(None),
        WeightSource::Run(_) if needs == stage => {
            return Err(TrainerError::StartElsewhere {
                stage: stage.name(),
            });
        }
        WeightSource::Run(run) => {
            let earlier = run.stage(needs.name());
            if earlier.state() == StageState::Interrupted {
                return Err(TrainerError::StartUnfinished {
                    stage: stage.name(),
                    needs: needs.name(),
                    path: earlier.path().to_owned(),
                });
            }
            vec![earlier.best()]
        }
        WeightSource::Path(path) => places(path, needs.name()).to_vec(),
    };
    let found = candidates.iter().find(|path| Checkpoint::is_at(path));
    let path = found.ok_or_else(|| TrainerError::NoStart {
        stage: stage.name(),
        needs: needs.name(),
        path: candidates[0].clone(),
    })?;
    let checkpoint = Checkpoint::open(path)?;
    compare(&checkpoint.context, experiment, stage, needs).map_err(
        |Difference { key, there, here }| TrainerError::StartDiffers {
            path: path.clone(),
            key,
            there,
            here,
        },
    )?;
    Ok(Some(checkpoint))
}

/// A setting, and its values in a checkpoint and in a run.
struct Difference {
    key: String,
    there: String,
    here: String,
}

/// Compares what decides on the shape and meaning of the weights that `stage` inherits from `needs`.
fn compare(
    context: &Context,
    experiment: &Experiment,
    stage: Stage,
    needs: Stage,
) -> Result<(), Difference> {
    if context.stage != needs.name() {
        return Err(Difference {
            key: "stage".to_owned(),
            there: context.stage.clone(),
            here: needs.name().to_owned(),
        });
    }
    let bands = format!("stages.{stage}.bands");
    let counts =
        |key: &str| decides(stage, experiment, key) || needs == stage && key.starts_with(&bands);
    match first_difference(&context.experiment, experiment, counts) {
        Some((key, there, here)) => Err(Difference { key, there, here }),
        None => Ok(()),
    }
}

/// The directory of the stage that has left the checkpoint at `path`, if it lies in one that isn't finished.
pub(crate) fn unfinished_stage_of(path: &Path) -> Option<&Path> {
    let checkpoints = path
        .parent()
        .filter(|parent| parent.ends_with("checkpoints"))?;
    let directory = checkpoints.parent()?;
    let run = RunDir::at(directory.parent()?);
    let stage = run.stage(directory.file_name()?.to_str()?);
    (stage.state() == StageState::Interrupted).then_some(directory)
}

/// Whether the setting `key` decides on the shape or the meaning of the inputs and weights that `stage` inherits.
fn decides(stage: Stage, experiment: &Experiment, key: &str) -> bool {
    let mut inherited = stage.spec().inherited_settings().iter();
    let learned = experiment.transformer.encoder.position == PositionKind::Learned;
    let of_weights = inherited.any(|table| key.starts_with(table))
        && !key.ends_with(".dropout")
        && (learned || key != "transformer.encoder.max_frames");
    let of_data = key.starts_with("data.stft.") || key == "data.clip.sample_rate_hz";
    of_weights || of_data
}
