//! Where the weights of a stage come from, and whether they may.

use std::path::Path;

use transformer::PositionKind;

use crate::run::checkpoint::{Checkpoint, Context};
use crate::training::devices::Devices;
use crate::error::TrainerError;
use crate::settings::experiment::Experiment;
use crate::run::lineage::{Provenance, places};
use crate::run::run_dir::{RunDir, StageState};
use crate::settings::difference::first_difference;
use crate::settings::stage::Stage;

/// Where the weights are that a stage starts from.
#[derive(Clone, Copy, Debug)]
pub enum WeightSource<'a> {
    /// In the same run, whose directory this is; the stage that left them is finished.
    Run(&'a RunDir),
    /// In the stage itself, which was interrupted in this run.
    Itself(&'a RunDir),
    /// In another run, the directory of one of its stages, or that of a checkpoint.
    Path(&'a Path),
    /// Nowhere: the weights stay as they are drawn. For a look at sizes and speed.
    Nowhere,
}

impl<'a> WeightSource<'a> {
    /// Where `stage` of `run` goes on, or begins: with what is at `path` where that is given, else in the same run.
    pub fn of(run: &'a RunDir, stage: Stage, path: Option<&'a Path>) -> Self {
        match (run.stage(stage.name()).state(), path) {
            (StageState::Interrupted, _) => Self::Itself(run),
            (_, Some(path)) => Self::Path(path),
            (_, None) => Self::Run(run),
        }
    }
}

pub(crate) fn unused(stage: Stage, path: &Path) -> TrainerError {
    TrainerError::StartUnused {
        stage: stage.name(),
        path: path.to_owned(),
    }
}

/// Compares the weights at `path` with those that `stage` of `run`, which was begun, has begun with under `experiment`.
/// Nothing is written.
///
/// # Errors
/// [`TrainerError::StartChanged`] where they are others, and whatever keeps those at `path` from being a start at all.
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
    let begun_with = match directory.state() {
        StageState::Fresh => return Ok(()),
        StageState::Interrupted => Checkpoint::open(&directory.last())?.context.origin,
        StageState::Finished => directory.origin()?,
    };
    let checkpoint = match start(experiment, stage, needs, WeightSource::Path(path)) {
        // The same call once more, whose weights are gone: there is nothing that could differ.
        Err(TrainerError::NoStart { .. })
            if begun_with.as_ref().is_some_and(|there| there.path == path) =>
        {
            return Ok(());
        }
        found => found?.expect("a path leads to weights or is refused"),
    };
    let here = Provenance::of(&checkpoint, path, &devices.host)?;
    let same = |there: &Provenance| there.weights_sha256 == here.weights_sha256;
    match begun_with {
        Some(there) if same(&there) => Ok(()),
        begun_with => Err(TrainerError::StartChanged {
            stage: stage.name(),
            run: run.path().to_owned(),
            there: begun_with.map_or_else(
                || "weights of which it kept no note".to_owned(),
                |origin| origin.to_string(),
            ),
            here: here.to_string(),
        }),
    }
}

/// Compares the weights with which `stage` of `run`, which is finished, has begun with those that the stage before it has left in the
/// same run by now. What began elsewhere is not compared.
///
/// # Errors
/// [`TrainerError::StartReplaced`] where they are others, or they can't be read.
pub fn check_finished(
    experiment: &Experiment,
    stage: Stage,
    run: &RunDir,
    devices: &Devices,
) -> Result<(), TrainerError> {
    let needs = stage.starts_from(&experiment.stages);
    let (Some(needs), Some(there)) = (needs, run.stage(stage.name()).origin()?) else {
        return Ok(());
    };
    let best = run.stage(needs.name()).best();
    let real = |path: &Path| std::fs::canonicalize(path).ok();
    if real(&there.path).is_none() || real(&there.path) != real(&best) {
        return Ok(());
    }
    let here = Provenance::of(&Checkpoint::open(&best)?, &best, &devices.host)?;
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

/// The weights that `stage` begins with, which `needs` has left.
pub(crate) fn start(
    experiment: &Experiment,
    stage: Stage,
    needs: Stage,
    starts: WeightSource,
) -> Result<Option<Checkpoint>, TrainerError> {
    let candidates = match starts {
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
    let Context {
        stage: left_by,
        experiment: theirs,
        ..
    } = &checkpoint.context;
    let differs = |key: &str, there: String, here: String| TrainerError::StartDiffers {
        path: path.clone(),
        key: key.to_owned(),
        there,
        here,
    };
    if left_by != needs.name() {
        return Err(differs("stage", left_by.clone(), needs.name().to_owned()));
    }
    let bands = format!("stages.{stage}.bands");
    let same =
        |key: &str| decides(stage, experiment, key) || needs == stage && key.starts_with(&bands);
    match first_difference(theirs, experiment, same) {
        Some((key, there, here)) => Err(differs(&key, there, here)),
        None => Ok(Some(checkpoint)),
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

/// Whether the setting `key` decides on the shape or the meaning of the inputs and weights that `stage` takes
/// over.
fn decides(stage: Stage, experiment: &Experiment, key: &str) -> bool {
    let weights = match stage {
        Stage::TrainAutoencoderNomaskFinetune
        | Stage::TestAutoencoder
        | Stage::FinetuneParametersAutoencoder => &["unet."][..],
        Stage::TrainFullTransformer | Stage::TestTransformer => &[
            "transformer.encoder.",
            "transformer.decoder.",
            "transformer.targets",
        ],
        _ => &["transformer.encoder."],
    };
    let learned = experiment.transformer.encoder.position == PositionKind::Learned;
    let of_weights = weights.iter().any(|table| key.starts_with(table))
        && !key.ends_with(".dropout")
        && (learned || key != "transformer.encoder.max_frames");
    let of_data = key.starts_with("data.stft.") || key == "data.clip.sample_rate_hz";
    of_weights || of_data
}
