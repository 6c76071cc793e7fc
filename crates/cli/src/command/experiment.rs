//! The arguments that select an experiment, for every command that needs settings.

use std::path::PathBuf;

use clap::Args;
use stft_data::DataConfig;
use trainer::{EXPERIMENT_FILE, Experiment, RunDir, TrainerError};

/// Which experiment, and what is changed in it.
#[derive(Args)]
pub struct ExperimentArguments {
    /// Experiment file, with what differs from the default experiment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Changes one setting, such as data.clip.seconds=2.0
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

impl ExperimentArguments {
    /// The experiment, with `data` in place of its source where given. Where no file is named it is that of `run`, if that
    /// exists, so that a call that continues a run need not repeat its settings.
    pub fn load(
        &self,
        run: Option<&RunDir>,
        data: Option<&str>,
    ) -> Result<Experiment, TrainerError> {
        let begun_with = run
            .map(|run| run.path().join(EXPERIMENT_FILE))
            .filter(|path| path.is_file());
        let mut overrides = self.overrides.clone();
        if let Some(data) = data {
            // A TOML string literal, so that no path is taken for anything else.
            overrides.push(format!("source.path={}", toml::Value::from(data)));
        }
        Experiment::load(
            self.config
                .as_ref()
                .or(begun_with.as_ref())
                .map(PathBuf::as_path),
            &overrides,
        )
    }

    /// Its data settings and its seed, for commands that train nothing.
    pub fn load_data(&self) -> Result<(DataConfig, u64), TrainerError> {
        Experiment::load_data(self.config.as_deref(), &self.overrides)
    }
}
