//! The arguments that settle an experiment, for every command that needs settings.

use std::path::PathBuf;

use clap::Args;
use stft_data::DataConfig;
use trainer::{Experiment, TrainerError};

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
        let mut overrides = self.overrides.clone();
        if let Some(data) = data {
            // A TOML string literal, so that no path is taken for anything else.
            overrides.push(format!("source.path={}", toml::Value::from(data)));
        }
        Experiment::load(self.config.as_deref(), &overrides)
    }

    /// What it says of data, and its seed, for commands that train nothing.
    pub fn load_data(&self) -> Result<(DataConfig, u64), TrainerError> {
        Experiment::load_data(self.config.as_deref(), &self.overrides)
    }
}
