//! Checkpoints: weights, optimizer state and progress, replaced as one.

use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::{ModuleRecord, RecordError};
use params::ParamSpec;
use serde::{Deserialize, Serialize};
use stft_data::Normalization;

use crate::error::TrainerError;
use crate::run::json_file::read_json;
use crate::run::provenance::Provenance;
use crate::run::trained_on::TrainedOn;
use crate::settings::experiment::Experiment;

const MODEL_FILE: &str = "model.bpk";
const OPTIMIZER_FILE: &str = "optimizer.bpk";
const STATE_FILE: &str = "state.json";

/// How far training has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Optimizer steps done; the place in the data follows from it.
    pub step: u64,
    /// Validation loss at the last validation.
    pub valid_loss: Option<f64>,
    /// Lowest validation loss so far.
    pub best_valid_loss: Option<f64>,
    /// Wall-clock seconds of all calls that led here; 0 for a checkpoint without that record.
    #[serde(default)]
    pub seconds: f64,
}

impl Progress {
    /// Records a validation loss; true where it is the lowest so far.
    pub(crate) fn note(&mut self, loss: f64) -> bool {
        self.valid_loss = Some(loss);
        let best = self.best_valid_loss.is_none_or(|lowest| loss < lowest);
        if best {
            self.best_valid_loss = Some(loss);
        }
        best
    }
}

/// What weights mean: the settings and the scale of the data that they were trained with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// The stage's name.
    pub stage: String,
    /// Scale of the inputs, from the training split.
    pub normalization: Normalization,
    /// The resolved experiment.
    pub experiment: Experiment,
    /// What the model estimates, in the order of its outputs; none for models that estimate no parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<ParamSpec>,
    /// The weights that the stage was initialised from; none for new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

#[derive(Serialize, Deserialize)]
struct State {
    progress: Progress,
    context: Context,
}

/// A checkpoint on disk.
///
/// A directory of `model.bpk` (Burn's format), `state.json`, `trained_on.json`, and, where training can resume from it,
/// `optimizer.bpk`.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    directory: PathBuf,
    /// How far training had come.
    pub progress: Progress,
    /// What the weights mean.
    pub context: Context,
}

impl Checkpoint {
    /// Whether there is a checkpoint in `directory`, or one that can be recovered.
    pub fn is_at(directory: &Path) -> bool {
        let old = directory.with_extension("old");
        [directory, &old]
            .iter()
            .any(|path| path.join(STATE_FILE).is_file())
    }

    /// Reads the state of the checkpoint in `directory`.
    ///
    /// # Errors
    /// There is no checkpoint, or its state can't be read.
    pub fn open(directory: &Path) -> Result<Self, TrainerError> {
        recover(directory)?;
        let state: State = read_json(&directory.join(STATE_FILE))?;
        Ok(Self {
            directory: directory.to_path_buf(),
            progress: state.progress,
            context: state.context,
        })
    }

    /// The sounds that the weights were trained on.
    ///
    /// # Errors
    /// [`TrainerError::TrainingSoundsUnknown`], or their record can't be read.
    pub fn trained_on(&self) -> Result<TrainedOn, TrainerError> {
        let unknown = || TrainerError::TrainingSoundsUnknown {
            path: self.directory.clone(),
        };
        TrainedOn::read(&self.directory)?.ok_or_else(unknown)
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// `model` with the checkpoint's weights. Every weight must have its counterpart.
    ///
    /// # Errors
    /// The file can't be read, or a name or shape doesn't match.
    pub fn load_model<M: Module>(&self, model: M) -> Result<M, TrainerError> {
        let path = self.directory.join(MODEL_FILE);
        ModuleRecord::load(&path)
            .and_then(|record| model.try_load_record(record))
            .map_err(mismatch(&path))
    }

    /// `optimizer` with the checkpoint's moments. Load the model first: it brings along the
    /// identities that the moments belong to.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn load_optimizer(
        &self,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, TrainerError> {
        let path = self.directory.join(OPTIMIZER_FILE);
        optimizer.load(&path).map_err(mismatch(&path))
    }

    /// Replaces the checkpoint in `directory` by one that training can resume from.
    pub(crate) fn save<M: Module>(
        directory: &Path,
        model: &M,
        optimizer: &ModuleOptimizer,
        progress: Progress,
        meaning: (&Context, &TrainedOn),
    ) -> Result<(), TrainerError> {
        replace(directory, |directory| {
            write_model(directory, model, progress, meaning)?;
            let path = directory.join(OPTIMIZER_FILE);
            optimizer.save(&path).map_err(unwritable(&path))
        })
    }

    /// Replaces the checkpoint in `directory` by one for inference.
    pub(crate) fn save_model<M: Module>(
        directory: &Path,
        model: &M,
        progress: Progress,
        meaning: (&Context, &TrainedOn),
    ) -> Result<(), TrainerError> {
        replace(directory, |directory| {
            write_model(directory, model, progress, meaning)
        })
    }
}

fn write_model<M: Module>(
    directory: &Path,
    model: &M,
    progress: Progress,
    (context, trained_on): (&Context, &TrainedOn),
) -> Result<(), TrainerError> {
    trained_on.write(directory)?;
    let path = directory.join(MODEL_FILE);
    let record = model.clone().into_record();
    record.save(&path).map_err(unwritable(&path))?;
    let state = State {
        progress,
        context: context.clone(),
    };
    let text = serde_json::to_string_pretty(&state).expect("plain fields serialise");
    let path = directory.join(STATE_FILE);
    fs::write(&path, text).map_err(TrainerError::write(&path))
}

/// Fills a new directory next to `directory`, then puts it in its place. A process killed at
/// any moment leaves the old checkpoint or the new one, whole; [`recover`] puts the old one
/// back if it was killed between the two renames.
fn replace(
    directory: &Path,
    fill: impl FnOnce(&Path) -> Result<(), TrainerError>,
) -> Result<(), TrainerError> {
    recover(directory)?;
    let new = directory.with_extension("new");
    let old = directory.with_extension("old");
    for leftover in [&new, &old] {
        remove(leftover)?;
    }
    fs::create_dir_all(&new).map_err(TrainerError::write(&new))?;
    fill(&new)?;
    if directory.exists() {
        fs::rename(directory, &old).map_err(TrainerError::write(directory))?;
    }
    fs::rename(&new, directory).map_err(TrainerError::write(directory))?;
    remove(&old)
}

/// Puts the old checkpoint back where a killed process had moved it aside for a new one that
/// didn't arrive.
fn recover(directory: &Path) -> Result<(), TrainerError> {
    let old = directory.with_extension("old");
    if !directory.exists() && old.exists() {
        fs::rename(&old, directory).map_err(TrainerError::write(directory))?;
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<(), TrainerError> {
    if directory.exists() {
        fs::remove_dir_all(directory).map_err(TrainerError::write(directory))?;
    }
    Ok(())
}

fn mismatch(path: &Path) -> impl FnOnce(RecordError) -> TrainerError {
    let path = path.to_path_buf();
    move |error| TrainerError::Checkpoint {
        path,
        reason: error.to_string(),
    }
}

fn unwritable(path: &Path) -> impl FnOnce(RecordError) -> TrainerError {
    let path = path.to_path_buf();
    move |error| TrainerError::Write {
        path,
        source: std::io::Error::other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(directory: &Path) -> String {
        fs::read_to_string(directory.join("file")).unwrap()
    }

    fn put(directory: &Path, text: &str) -> Result<(), TrainerError> {
        replace(directory, |directory| {
            fs::write(directory.join("file"), text).unwrap();
            Ok(())
        })
    }

    #[test]
    fn a_failure_while_writing_leaves_the_old_checkpoint() {
        let home = tempfile::tempdir().unwrap();
        let last = home.path().join("last");
        put(&last, "first").unwrap();
        let failed = replace(&last, |directory| {
            fs::write(directory.join("file"), "half").unwrap();
            Err(TrainerError::RunName {
                name: "killed".into(),
            })
        });
        assert!(failed.is_err());
        assert_eq!(content(&last), "first");
        put(&last, "second").unwrap();
        assert_eq!(content(&last), "second");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_kill_between_the_renames_loses_nothing() {
        let home = tempfile::tempdir().unwrap();
        let last = home.path().join("last");
        put(&last, "first").unwrap();
        fs::rename(&last, last.with_extension("old")).unwrap();
        recover(&last).unwrap();
        assert_eq!(content(&last), "first");

        fs::rename(&last, last.with_extension("old")).unwrap();
        let failed = replace(&last, |_| {
            Err(TrainerError::RunName {
                name: "killed again".into(),
            })
        });
        assert!(failed.is_err());
        assert_eq!(content(&last), "first");
    }
}
