//! A stage that is ready to run.

use std::sync::Arc;

use stft_data::Dataset;

use crate::error::TrainerError;
use crate::output::summary::{DryRun, Plan, StageReport};
use crate::run::run_dir::RunDir;
use crate::settings::stage::Stage;
use crate::settings::training::Training;
use crate::stages::context::{StageContext, Work};
use crate::stages::lineage::{Init, unfinished_stage_of};
use crate::training::devices::Devices;
use crate::training::memory::reset_peak_rss;
use crate::training::observe::Observer;

/// A stage that is ready to run: everything that a user can get wrong has been checked, and
/// nothing has been written.
pub struct StageRun<'a> {
    pub(crate) context: StageContext<'a>,
    pub(crate) work: Box<dyn Work>,
}

impl StageRun<'_> {
    /// The stage.
    pub fn stage(&self) -> Stage {
        self.context.stage
    }

    /// The sounds as the stage will see them.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.context.dataset
    }

    /// The loop's settings; for a test those of the tested stage, whose batches it takes.
    pub fn training(&self) -> &Training {
        self.context.training
    }

    /// Trains, resuming where an earlier call was interrupted, or tests; leaves checkpoints, metrics, TensorBoard files, the
    /// picture and `summary.json` in `run`.
    ///
    /// # Errors
    /// Data that can't be read, files that can't be written, a loss that isn't finite.
    pub fn run(
        &self,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError> {
        let _stage = tracing::info_span!("stage", name = %self.context.stage).entered();
        reset_peak_rss();
        if let Init::From { checkpoint, .. } = &self.context.init
            && let Some(left_in) = unfinished_stage_of(checkpoint.path())
        {
            tracing::warn!(
                "{} is not finished: {} is initialised from its best weights so far",
                left_in.display(),
                self.context.stage
            );
        }
        self.work.run(&self.context, run, devices, progress)
    }

    /// The model block by block, and the memory that training is expected to hold. Draws no
    /// weights, so that a model that is too large can be looked at.
    pub fn plan(&self, devices: &Devices) -> Plan {
        self.work.plan(&self.context, devices)
    }

    /// Runs one step of training and a validation, or a test of new weights. Writes nothing.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn dry_run(&self, devices: &Devices) -> Result<DryRun, TrainerError> {
        reset_peak_rss();
        self.work.dry_run(&self.context, devices)
    }
}
