//! The arguments that settle an experiment, for every command that needs settings.

use std::path::{Path, PathBuf};

use clap::Args;
use stft_data::DataConfig;
use trainer::{EXPERIMENT_FILE, Experiment, RunDir, TrainerError};

/// Which experiment, and what is changed in it.
#[derive(Args)]
pub struct ExperimentArguments {
    /// Experiment file; it says what differs from the default experiment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Changes one setting, such as data.clip.seconds=2.0
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

impl ExperimentArguments {
    /// The experiment, with `data` in place of its source where given.
    pub fn load(&self, data: Option<&str>) -> Result<Experiment, TrainerError> {
        self.load_over(None, data)
    }

    /// That of `run`, if it was begun and no file of settings is named, so that a call that goes on need not repeat what it began
    /// with; else that of [`load`](Self::load).
    pub fn load_of(&self, run: &RunDir, data: Option<&str>) -> Result<Experiment, TrainerError> {
        let settings = run.path().join(EXPERIMENT_FILE);
        let begun = self.config.is_none() && settings.is_file();
        self.load_over(begun.then_some(&*settings), data)
    }

    fn load_over(
        &self,
        begun_with: Option<&Path>,
        data: Option<&str>,
    ) -> Result<Experiment, TrainerError> {
        let mut overrides = self.overrides.clone();
        if let Some(data) = data {
            // A TOML string literal, so that no path is taken for anything else.
            overrides.push(format!("source.path={}", toml::Value::from(data)));
        }
        Experiment::load(begun_with.or(self.config.as_deref()), &overrides)
    }

    /// What it says of data, and its seed, for commands that train nothing.
    pub fn load_data(&self) -> Result<(DataConfig, u64), TrainerError> {
        Experiment::load_data(self.config.as_deref(), &self.overrides)
    }
}
