//! The search for the weights that a stage is initialised from, and whether they may be used.

use std::path::Path;

use transformer::PositionKind;

use crate::error::TrainerError;
use crate::run::checkpoint::{Checkpoint, Context};
use crate::run::run_dir::RunDir;
use crate::run::stage_dir::StageState;
use crate::settings::difference::first_difference;
use crate::settings::experiment::Experiment;
use crate::settings::stage::Stage;
use crate::stages::lineage::{NO_RECORD, WeightSource, places, provenance_of};
use crate::stages::weights::checkpoint_sha256;
use crate::training::devices::Devices;

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
    let weights = checkpoint_sha256(&checkpoint, &devices.host)?;
    let here = provenance_of(&checkpoint, path, weights);
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
    let checkpoint = Checkpoint::open(&best)?;
    let weights = checkpoint_sha256(&checkpoint, &devices.host)?;
    let here = provenance_of(&checkpoint, &best, weights);
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
