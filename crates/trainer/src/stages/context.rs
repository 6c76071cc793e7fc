//! The surroundings of a stage's work, as plain data.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use params::ParamSpec;
use stft_data::Dataset;

use crate::data::sounds::SoundSet;
use crate::error::TrainerError;
use crate::output::summary::{DryRun, Plan, StageReport};
use crate::run::checkpoint::{Checkpoint, Context};
use crate::run::provenance::Provenance;
use crate::run::run_dir::RunDir;
use crate::run::trained_on::TrainedOn;
use crate::settings::experiment::Experiment;
use crate::settings::stage::Stage;
use crate::settings::training::Training;
use crate::stages::lineage::{Init, parent};
use crate::training::devices::Devices;
use crate::training::evaluation::Evaluation;
use crate::training::fit::Fit;
use crate::training::observe::Observer;

/// What a stage trains or tests on, and with which settings.
pub(crate) struct StageContext<'a> {
    pub(crate) stage: Stage,
    pub(crate) experiment: &'a Experiment,
    /// The loop's settings; for a test those of the tested stage, whose batches it takes.
    pub(crate) training: &'a Training,
    /// The sounds as the stage sees them.
    pub(crate) dataset: Arc<Dataset>,
    /// What the sounds are labelled with, if they are.
    pub(crate) parameters: Option<&'a ParamSpec>,
    pub(crate) sounds: &'a SoundSet,
    /// Sound files in use; 0 for the synthesizer.
    pub(crate) files_used: usize,
    pub(crate) files_rejected: usize,
    pub(crate) init: Init,
    /// Computes the hash of a checkpoint's weights.
    pub(crate) hash: fn(&Checkpoint, &Device) -> Result<String, TrainerError>,
    /// The sounds that the weights will have been trained on.
    pub(crate) trained_on: TrainedOn,
}

impl StageContext<'_> {
    /// The loop over this data.
    pub(crate) fn fit<'a>(&self, training: &'a Training, devices: &Devices) -> Fit<'a> {
        Fit {
            training,
            dataset: self.dataset.clone(),
            workers: self.experiment.loader.workers,
            devices: devices.clone(),
            started: Instant::now(),
            context: Context {
                stage: self.stage.name().into(),
                normalization: self.dataset.normalization(),
                experiment: self.experiment.clone(),
                parameters: self
                    .parameters
                    .filter(|_| self.stage.is_labelled())
                    .cloned(),
                provenance: None,
            },
            trained_on: self.trained_on.clone(),
        }
    }

    /// The record of the weights that the stage is initialised from.
    pub(crate) fn provenance(&self, devices: &Devices) -> Result<Option<Provenance>, TrainerError> {
        let hash = |checkpoint: &Checkpoint| (self.hash)(checkpoint, &devices.host);
        self.init.provenance(&hash)
    }

    /// The checkpoint that `trained` was initialised from, if it still exists.
    pub(crate) fn parent(&self, trained: &Checkpoint, devices: &Devices) -> Option<Checkpoint> {
        parent(trained, &|checkpoint| {
            (self.hash)(checkpoint, &devices.host)
        })
    }

    /// The held-out examples.
    pub(crate) fn held_out(&self, devices: &Devices) -> Evaluation {
        let mut evaluation = self.fit(self.training, devices).evaluation();
        evaluation.split = stft_data::Split::Test;
        evaluation
    }
}

/// What a stage does, whatever its model is.
pub(crate) trait Work {
    fn run(
        &self,
        context: &StageContext,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError>;

    fn plan(&self, context: &StageContext, devices: &Devices) -> Plan;

    fn dry_run(&self, context: &StageContext, devices: &Devices) -> Result<DryRun, TrainerError>;
}
