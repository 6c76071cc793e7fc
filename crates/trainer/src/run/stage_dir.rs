//! The directory of one stage of a run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::TrainerError;
use crate::run::checkpoint::Checkpoint;
use crate::run::json_file::read_json;
use crate::run::provenance::Provenance;

/// How far a stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageState {
    /// It has not left a checkpoint yet.
    Fresh,
    /// It can resume from its last checkpoint.
    Interrupted,
    /// Its summary is written.
    Finished,
}

/// The directory of one stage of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageDir {
    pub(crate) path: PathBuf,
}

impl StageDir {
    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory where it isn't there yet.
    ///
    /// # Errors
    /// It can't be made.
    pub fn create(&self) -> Result<(), TrainerError> {
        fs::create_dir_all(&self.path).map_err(TrainerError::write(&self.path))
    }

    /// How far the stage has come.
    pub fn state(&self) -> StageState {
        if self.summary().is_file() {
            StageState::Finished
        } else if Checkpoint::is_at(&self.last()) {
            StageState::Interrupted
        } else {
            StageState::Fresh
        }
    }

    /// Checkpoint with the lowest validation loss.
    pub fn best(&self) -> PathBuf {
        self.path.join("checkpoints").join("best")
    }

    /// Checkpoint of the last validated step.
    pub fn last(&self) -> PathBuf {
        self.path.join("checkpoints").join("last")
    }

    /// TensorBoard's event files.
    pub fn tensorboard(&self) -> PathBuf {
        self.path.join("tb")
    }

    /// Removes the event files of an earlier call, which was killed before the stage had a checkpoint to resume from.
    pub(crate) fn remove_events(&self) -> Result<(), TrainerError> {
        let path = self.tensorboard();
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(TrainerError::Write {
                path,
                source: error,
            }),
            _ => Ok(()),
        }
    }

    /// Every logged number.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// What training came to, for programs.
    pub fn summary(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// The weights that the finished stage was initialised from, if any.
    pub(crate) fn provenance(&self) -> Result<Option<Provenance>, TrainerError> {
        #[derive(Deserialize)]
        struct Begun {
            #[serde(default)]
            provenance: Option<Provenance>,
        }
        let begun: Begun = read_json(&self.summary())?;
        Ok(begun.provenance)
    }

    /// Reconstructions after the last step.
    pub fn picture(&self) -> PathBuf {
        self.path.join("reconstruction.png")
    }

    /// The example at `place` among those: its pictures and sounds.
    pub fn example(&self, place: usize) -> PathBuf {
        self.path.join("examples").join(place.to_string())
    }
}
