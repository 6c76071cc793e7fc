//! A stage that is ready, and what can be done with it.

use std::sync::Arc;
use std::time::Instant;

use stft_data::Dataset;

use crate::run::checkpoint::Context;
use crate::training::devices::Devices;
use crate::error::TrainerError;
use crate::settings::experiment::Training;
use crate::training::fit::Fit;
use crate::run::trained_on::TrainedOn;
use crate::stages::job::Job;
use crate::training::memory::forget_peak_rss;
use crate::training::observe::Observer;
use crate::stages::session::Session;
use crate::run::lineage::Init;
use crate::output::summary::{DryRun, Plan, StageReport};
use crate::run::run_dir::RunDir;
use crate::settings::stage::Stage;
use crate::stages::start::unfinished_stage_of;

/// A stage that is ready to run: everything that a user can get wrong has been checked, and
/// nothing has been written.
pub struct StageRun<'a> {
    pub(crate) stage: Stage,
    pub(crate) opened: &'a Session,
    pub(crate) dataset: Arc<Dataset>,
    pub(crate) job: Box<dyn Job>,
    pub(crate) beginning: Init,
    pub(crate) heard: TrainedOn,
}

impl StageRun<'_> {
    /// The stage.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The sounds as the stage will see them.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// Trains, from where an earlier call was interrupted if there was one, or tests; leaves checkpoints, metrics,
    /// TensorBoard files, the picture and `summary.json` in `run`.
    ///
    /// # Errors
    /// Data that can't be read, files that can't be written, a loss that isn't finite.
    pub fn run(
        &self,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError> {
        forget_peak_rss();
        if let Init::Of { checkpoint, .. } = &self.beginning
            && let Some(left_in) = unfinished_stage_of(checkpoint.path())
        {
            tracing::warn!(
                "{} is not finished: {} begins with its best weights so far",
                left_in.display(),
                self.stage
            );
        }
        self.job.run(self, run, devices, progress)
    }

    /// The model block by block, and the memory that training is expected to hold. Draws no
    /// weights, so that a model that is too large can be looked at.
    pub fn plan(&self, devices: &Devices) -> Plan {
        self.job.plan(self, devices)
    }

    /// Runs one step of training and a validation, or a test of new weights. Writes nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn dry_run(&self, devices: &Devices) -> Result<DryRun, TrainerError> {
        forget_peak_rss();
        self.job.dry_run(self, devices)
    }

    /// The loop's settings; for a test those of what is tested, whose batches it takes.
    pub fn training(&self) -> &Training {
        self.opened.experiment().stages.training(self.stage)
    }

    pub(crate) fn fit<'a>(&self, training: &'a Training, devices: &Devices) -> Fit<'a> {
        let experiment = self.opened.experiment();
        Fit {
            training,
            dataset: self.dataset.clone(),
            workers: experiment.loader.workers,
            devices: devices.clone(),
            started: Instant::now(),
            context: Context {
                stage: self.stage.name().into(),
                normalization: self.dataset.normalization(),
                experiment: experiment.clone(),
                parameters: self
                    .opened
                    .parameters()
                    .filter(|_| self.stage.is_labelled())
                    .cloned(),
                origin: None,
            },
            heard: self.heard.clone(),
        }
    }
}
