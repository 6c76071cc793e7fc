//! Where a run keeps its files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::TrainerError;

/// The directory of a run: `<out>/<name>`, with one directory for each stage in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
    name: String,
}

impl RunDir {
    /// Checks that a run could be made in `out`, under `name` where given, and makes nothing.
    ///
    /// # Errors
    /// `out` is no directory, the name isn't one, or there is such a run.
    pub fn check(out: &Path, name: Option<&str>) -> Result<(), TrainerError> {
        if out.exists() && !out.is_dir() {
            return Err(TrainerError::NotADirectory { path: out.into() });
        }
        let Some(name) = name else { return Ok(()) };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let plain = (1..=100).contains(&name.len()) && name.chars().all(allowed);
        if !plain || name.starts_with('.') {
            return Err(TrainerError::RunName { name: name.into() });
        }
        let path = out.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(TrainerError::RunExists { path });
        }
        Ok(())
    }

    /// Makes the directory of the run `name`, or of `<stage>-001`, `-002`, ... where no name
    /// is given.
    ///
    /// # Errors
    /// There is such a run, or the directory can't be made.
    pub fn create(out: &Path, name: Option<&str>, stage: &str) -> Result<Self, TrainerError> {
        Self::check(out, name)?;
        if let Some(name) = name {
            return Self::claim(out, name);
        }
        let mut number = 1;
        loop {
            match Self::claim(out, &format!("{stage}-{number:03}")) {
                Err(TrainerError::RunExists { .. }) => number += 1,
                made => return made,
            }
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the directory of `stage`.
    ///
    /// # Errors
    /// It can't be made.
    pub fn stage(&self, stage: &str) -> Result<StageDir, TrainerError> {
        let path = self.path.join(stage);
        fs::create_dir(&path).map_err(TrainerError::write(&path))?;
        Ok(StageDir { path })
    }

    /// Making the directory is what claims the name, so two processes never share one.
    fn claim(out: &Path, name: &str) -> Result<Self, TrainerError> {
        fs::create_dir_all(out).map_err(TrainerError::write(out))?;
        let path = out.join(name);
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self {
                path,
                name: name.to_string(),
            }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(TrainerError::RunExists { path })
            }
            Err(source) => Err(TrainerError::Write { path, source }),
        }
    }
}

/// The directory of one stage of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageDir {
    path: PathBuf,
}

impl StageDir {
    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
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

    /// Every logged number.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// What training came to, for programs.
    pub fn summary(&self) -> PathBuf {
        self.path.join("summary.json")
    }

    /// Reconstructions after the last step.
    pub fn picture(&self) -> PathBuf {
        self.path.join("reconstruction.png")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unnamed_runs_are_numbered_and_never_share_a_directory() {
        let out = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..3)
            .map(|_| RunDir::create(out.path(), None, "stage").unwrap().name)
            .collect();
        assert_eq!(names, ["stage-001", "stage-002", "stage-003"]);
    }

    #[test]
    fn an_existing_run_is_refused_and_left_alone() {
        let out = tempfile::tempdir().unwrap();
        let run = RunDir::create(out.path(), Some("mine"), "stage").unwrap();
        fs::write(run.path().join("keep"), "me").unwrap();
        let again = RunDir::create(out.path(), Some("mine"), "stage");
        assert!(matches!(again, Err(TrainerError::RunExists { .. })));
        assert_eq!(fs::read_to_string(run.path().join("keep")).unwrap(), "me");
    }

    #[test]
    fn names_cannot_leave_the_output_directory() {
        let out = tempfile::tempdir().unwrap();
        let long = "x".repeat(300);
        for name in ["", "..", ".hidden", "a/b", "/abs", "a b", &long] {
            let made = RunDir::create(out.path(), Some(name), "stage");
            assert!(matches!(made, Err(TrainerError::RunName { .. })), "{name}");
        }
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    }
}
