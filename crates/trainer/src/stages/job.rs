//! What can be done with a stage, whatever its model is.

use crate::training::devices::Devices;
use crate::error::TrainerError;
use crate::training::observe::Observer;
use crate::stages::stage_run::StageRun;
use crate::output::summary::{DryRun, Plan, StageReport};
use crate::run::run_dir::RunDir;

/// A stage's work; see [`StageRun`], which hands itself over with each call.
pub(crate) trait Job {
    fn run(
        &self,
        prepared: &StageRun,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError>;

    fn plan(&self, prepared: &StageRun, devices: &Devices) -> Plan;

    fn dry_run(&self, prepared: &StageRun, devices: &Devices) -> Result<DryRun, TrainerError>;
}
