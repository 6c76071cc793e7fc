//! Where a run keeps its files.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use stft_data::TrainStatistics;

use crate::data::sounds::SoundSet;
use crate::data::statistics;
use crate::error::TrainerError;
use crate::run::atomic_write::write_atomic;
use crate::run::json_file::read_json;
use crate::run::stage_dir::{StageDir, StageState};
use crate::settings::difference::first_difference;
use crate::settings::experiment::Experiment;

/// The directory of a run: `<out>/<name>`, with one directory for each stage in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
    name: String,
}

/// The resolved settings of a run, in its directory.
pub const EXPERIMENT_FILE: &str = "experiment.toml";

/// What was measured of the training split, in the run's directory.
const STATISTICS_FILE: &str = "statistics.safetensors";

/// The report of a run, in its directory; the last file that a call writes.
pub const REPORT_FILE: &str = "report.html";

/// Which sounds the run is made of, in its directory.
const SOUNDS_FILE: &str = "sounds.json";

/// Held by the process that works on a run, in its directory.
const LOCK_FILE: &str = ".lock";

impl RunDir {
    /// Checks that a run can be made in `out`, or continued, under `name` where given, and makes nothing.
    ///
    /// # Errors
    /// `out` is no directory, the name isn't one, or what has that name is no run.
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
        if path.symlink_metadata().is_ok() && !path.join(EXPERIMENT_FILE).is_file() {
            return Err(TrainerError::RunExists { path });
        }
        Ok(())
    }

    /// The run at `path`, whether or not it is there.
    pub fn at(path: &Path) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            path: path.to_owned(),
            name: name.to_string_lossy().into_owned(),
        }
    }

    /// The run `name` in `out`: the one that is there, or a new directory. Where no name is given it is a new
    /// one, `<label>-001`, `-002`, ...
    ///
    /// # Errors
    /// As [`check`](Self::check), or the directory can't be made.
    pub fn open(out: &Path, name: Option<&str>, label: &str) -> Result<Self, TrainerError> {
        Self::check(out, name)?;
        if let Some(name) = name {
            return match Self::claim(out, name) {
                // The check has found it to be a run, if it isn't one that another process makes just now.
                Err(TrainerError::RunExists { path }) => Ok(Self::at(&path)),
                made => made,
            };
        }
        let mut number = 1;
        loop {
            match Self::claim(out, &format!("{label}-{number:03}")) {
                Err(TrainerError::RunExists { .. }) => number += 1,
                made => return made,
            }
        }
    }

    /// The unnamed runs of `label` in `out`, the one that was begun last before the others.
    pub fn unnamed(out: &Path, label: &str) -> Vec<Self> {
        let of_label = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let number: u32 = name.strip_prefix(label)?.strip_prefix('-')?.parse().ok()?;
            let is_run = entry.path().join(EXPERIMENT_FILE).is_file();
            is_run.then_some((number, name))
        };
        let entries = fs::read_dir(out).into_iter().flatten();
        let mut found: Vec<_> = entries.flatten().filter_map(of_label).collect();
        found.sort_unstable();
        let newest_first = found.into_iter().rev();
        newest_first
            .map(|(_, name)| Self::at(&out.join(name)))
            .collect()
    }

    /// Whether the run can be continued with `experiment`, and no process works on it.
    pub fn is_open_to(&self, experiment: &Experiment) -> bool {
        let lock = File::open(self.path.join(LOCK_FILE));
        let is_free = lock.is_ok_and(|file| file.try_lock().is_ok());
        let theirs = self.experiment();
        is_free && theirs.is_ok_and(|theirs| self.compare(&theirs, experiment).is_ok())
    }

    /// Locks the run for this process until the lock is dropped, and writes the settings and the statistics of the training
    /// split. A run can only be continued with the settings that it began with; those of a stage that hasn't begun may still
    /// change, and so may those that affect speed alone.
    ///
    /// # Errors
    /// [`TrainerError::RunBusy`], [`TrainerError::RunDiffers`], or files that can't be read or written.
    pub fn begin(
        &self,
        experiment: &Experiment,
        statistics: &TrainStatistics,
    ) -> Result<RunLock, TrainerError> {
        let path = self.path.join(LOCK_FILE);
        let file = File::create(&path).map_err(TrainerError::write(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TrainerError::RunBusy {
                    path: self.path.clone(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(TrainerError::Write { path, source }),
        }
        self.check_settings(experiment)?;
        let path = self.path.join(EXPERIMENT_FILE);
        let statistics_path = self.path.join(STATISTICS_FILE);
        if !statistics_path.is_file() {
            write_atomic(&statistics_path, statistics::to_file(statistics))
                .map_err(TrainerError::write(&statistics_path))?;
        }
        // Last of all: a directory without settings is no run.
        write_atomic(&path, experiment.to_toml()).map_err(TrainerError::write(&path))?;
        Ok(RunLock { _file: file })
    }

    /// Compares `experiment` with the settings that the run began with, as [`begin`](Self::begin) does, but locks and writes nothing.
    ///
    /// # Errors
    /// [`TrainerError::RunDiffers`], or settings that can't be read.
    pub fn check_settings(&self, experiment: &Experiment) -> Result<(), TrainerError> {
        match self.path.join(EXPERIMENT_FILE).is_file() {
            true => self.compare(&self.experiment()?, experiment),
            false => Ok(()),
        }
    }

    fn compare(&self, there: &Experiment, here: &Experiment) -> Result<(), TrainerError> {
        let counts = |key: &str| {
            let speed_only = ["loader.workers", "data.cache_mib"];
            let begun = |stage: &str| self.stage(stage).state() != StageState::Fresh;
            match key
                .strip_prefix("stages.")
                .and_then(|key| key.split_once('.'))
            {
                Some((stage, _)) => begun(stage),
                None => !speed_only.contains(&key),
            }
        };
        match first_difference(there, here, counts) {
            None => Ok(()),
            Some((key, there, here)) => Err(TrainerError::RunDiffers {
                path: self.path.clone(),
                key,
                there,
                here,
            }),
        }
    }

    /// Compares `sounds` with those that the run began with, if they are recorded.
    ///
    /// # Errors
    /// [`TrainerError::SoundsDiffer`], or the record can't be read.
    pub fn check_sounds(&self, sounds: &SoundSet) -> Result<(), TrainerError> {
        let path = self.path.join(SOUNDS_FILE);
        if !path.is_file() {
            return Ok(());
        }
        let there: SoundSet = read_json(&path)?;
        match there == *sounds {
            true => Ok(()),
            false => Err(TrainerError::SoundsDiffer {
                path: self.path.clone(),
                there: there.count,
                here: sounds.count,
            }),
        }
    }

    /// Records the `sounds` that the run begins with, unless it has.
    ///
    /// # Errors
    /// The record can't be written.
    pub fn keep_sounds(&self, sounds: &SoundSet) -> Result<(), TrainerError> {
        let path = self.path.join(SOUNDS_FILE);
        if path.is_file() {
            return Ok(());
        }
        let text = serde_json::to_string_pretty(sounds).expect("plain fields serialise");
        write_atomic(&path, text + "\n").map_err(TrainerError::write(&path))
    }

    /// The settings of the run.
    ///
    /// # Errors
    /// They can't be read.
    pub fn experiment(&self) -> Result<Experiment, TrainerError> {
        Experiment::load(Some(&self.path.join(EXPERIMENT_FILE)), &[])
    }

    /// What an earlier call measured of the training split, if there was one.
    ///
    /// # Errors
    /// It can't be read.
    pub fn statistics(&self) -> Result<Option<TrainStatistics>, TrainerError> {
        let path = self.path.join(STATISTICS_FILE);
        match path.is_file() {
            true => statistics::read(&path).map(Some),
            false => Ok(None),
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

    /// The directory of `stage`, whether or not it is there.
    pub fn stage(&self, stage: &str) -> StageDir {
        StageDir {
            path: self.path.join(stage),
        }
    }

    /// Making the directory is what claims the name, so two processes never share one.
    fn claim(out: &Path, name: &str) -> Result<Self, TrainerError> {
        fs::create_dir_all(out).map_err(TrainerError::write(out))?;
        let path = out.join(name);
        match fs::create_dir(&path) {
            Ok(()) => Ok(Self::at(&path)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(TrainerError::RunExists { path })
            }
            Err(source) => Err(TrainerError::Write { path, source }),
        }
    }
}

/// Keeps other processes from a run as long as it is held.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::*;
    use stft_data::{Normalization, Spectrogram};

    fn statistics() -> TrainStatistics {
        TrainStatistics {
            normalization: Normalization {
                mean: 0.5,
                std: 2.0,
            },
            mean_log1p: Spectrogram {
                values: vec![0.25; 6],
                bins: 3,
                frames: 2,
            },
        }
    }

    fn experiment(overrides: &[&str]) -> Experiment {
        let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
        Experiment::load(None, &overrides).unwrap()
    }

    #[test]
    fn unnamed_runs_are_numbered_and_never_share_a_directory() {
        let out = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..3)
            .map(|_| RunDir::open(out.path(), None, "stage").unwrap().name)
            .collect();
        assert_eq!(names, ["stage-001", "stage-002", "stage-003"]);
    }

    #[test]
    fn what_is_no_run_is_refused_and_left_alone() {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join("mine")).unwrap();
        let keep = out.path().join("mine/keep");
        fs::write(&keep, "me").unwrap();
        let opened = RunDir::open(out.path(), Some("mine"), "stage");
        assert!(matches!(opened, Err(TrainerError::RunExists { .. })));
        assert_eq!(fs::read_to_string(keep).unwrap(), "me");
    }

    #[test]
    fn a_run_goes_on_with_the_settings_it_began_with() {
        let out = tempfile::tempdir().unwrap();
        let open = || RunDir::open(out.path(), Some("mine"), "stage").unwrap();
        drop(open().begin(&experiment(&[]), &statistics()).unwrap());
        let differs = open()
            .begin(&experiment(&["seed=5"]), &statistics())
            .unwrap_err();
        assert!(differs.to_string().contains("`seed` = 0, not 5"));
        // Speed may change, and the settings of a stage that hasn't begun.
        let steps = "stages.train_full_transformer.training.steps=7";
        drop(
            open()
                .begin(&experiment(&["loader.workers=0", steps]), &statistics())
                .unwrap(),
        );
        let begun = open().stage("train_full_transformer");
        begun.create().unwrap();
        fs::write(begun.summary(), "{}").unwrap();
        let differs = open().begin(&experiment(&[]), &statistics()).unwrap_err();
        assert!(
            matches!(differs, TrainerError::RunDiffers { key, .. } if key == "stages.train_full_transformer.training.steps")
        );
    }

    #[test]
    fn two_processes_never_work_on_one_run() {
        let out = tempfile::tempdir().unwrap();
        let run = RunDir::open(out.path(), Some("mine"), "stage").unwrap();
        let lock = run.begin(&experiment(&[]), &statistics()).unwrap();
        let second = run.begin(&experiment(&[]), &statistics());
        assert!(matches!(second, Err(TrainerError::RunBusy { .. })));
        drop(lock);
        assert!(run.begin(&experiment(&[]), &statistics()).is_ok());
    }

    #[test]
    fn names_cannot_leave_the_output_directory() {
        let out = tempfile::tempdir().unwrap();
        let long = "x".repeat(300);
        for name in ["", "..", ".hidden", "a/b", "/abs", "a b", &long] {
            let made = RunDir::open(out.path(), Some(name), "stage");
            assert!(matches!(made, Err(TrainerError::RunName { .. })), "{name}");
        }
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    }
}
