//! The weights that a stage is initialised from.

use std::path::{Path, PathBuf};

use crate::error::TrainerError;
use crate::run::checkpoint::Checkpoint;
use crate::run::provenance::Provenance;
use crate::run::run_dir::RunDir;
use crate::run::stage_dir::StageState;
use crate::settings::stage::Stage;

/// Computes the hash of a checkpoint's weights.
pub(crate) type Hash<'a> = &'a dyn Fn(&Checkpoint) -> Result<String, TrainerError>;

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

    /// The record of it, with `hash` of the checkpoint's weights.
    pub(crate) fn provenance(&self, hash: Hash) -> Result<Option<Provenance>, TrainerError> {
        match self {
            Self::From { path, checkpoint } => {
                Ok(Some(provenance_of(checkpoint, path, hash(checkpoint)?)))
            }
            Self::New | Self::Resume(_) => Ok(self.resumed_provenance().cloned()),
        }
    }
}

/// The provenance of weights from `checkpoint`, which was named as `path`; `weights_sha256` is their hash.
pub(crate) fn provenance_of(
    checkpoint: &Checkpoint,
    path: &Path,
    weights_sha256: String,
) -> Provenance {
    Provenance {
        path: path.to_owned(),
        stage: checkpoint.context.stage.clone(),
        step: checkpoint.progress.step,
        weights_sha256,
        heads: None,
    }
}

/// The checkpoint that `trained` was initialised from, if it still exists with the same weights: where it was named, or in
/// the run of `trained`, with which it may have been moved.
pub(crate) fn parent(trained: &Checkpoint, hash: Hash) -> Option<Checkpoint> {
    let provenance = trained.context.provenance.as_ref()?;
    // A run, its stage, `checkpoints`, and one of them.
    let run = trained.path().ancestors().nth(3).map(RunDir::at);
    let in_run = run.map(|run| run.stage(&provenance.stage).best());
    let is_parent = |checkpoint: &Checkpoint| {
        let weights = hash(checkpoint);
        weights.is_ok_and(|hash| hash == provenance.weights_sha256)
    };
    places(&provenance.path, &provenance.stage)
        .into_iter()
        .chain(in_run)
        .filter(|path| Checkpoint::is_at(path))
        .filter_map(|path| Checkpoint::open(&path).ok())
        .find(is_parent)
}

/// Where a checkpoint of `stage` may lie if `path` is named: in the run, in the stage's directory, or at `path` itself.
pub(crate) fn places(path: &Path, stage: &str) -> [PathBuf; 3] {
    [
        RunDir::at(path).stage(stage).best(),
        path.join("checkpoints").join("best"),
        path.to_owned(),
    ]
}

/// Said of a checkpoint without a provenance.
pub(crate) const NO_RECORD: &str = "weights that it has no record of";

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
