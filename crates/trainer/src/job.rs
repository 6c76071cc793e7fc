//! What can be done with a stage, whatever its model is.

use crate::devices::Devices;
use crate::error::TrainerError;
use crate::observe::Observer;
use crate::prepared::PreparedStage;
use crate::report::{DryRun, Plan, StageReport};
use crate::run_dir::RunDir;

/// A stage's work; see [`PreparedStage`], which hands itself over with each call.
pub(crate) trait Job {
    fn run(
        &self,
        prepared: &PreparedStage,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError>;

    fn plan(&self, prepared: &PreparedStage, devices: &Devices) -> Plan;

    fn dry_run(&self, prepared: &PreparedStage, devices: &Devices) -> Result<DryRun, TrainerError>;
}
