//! The work of a stage that trains.

use std::time::Instant;

use burn::module::Module;
use stft_data::Split;

use crate::run::checkpoint::Checkpoint;
use crate::training::devices::Devices;
use crate::error::TrainerError;
use crate::settings::experiment::Training;
use crate::training::fit::{Fitted, notify};
use crate::output::illustration::Illustration;
use crate::stages::job::Job;
use crate::training::memory::{MemoryEstimate, peak_rss_bytes};
use crate::training::observe::{Event, MetricsFile, Observer};
use crate::stages::stage_run::StageRun;
use crate::output::summary::{DryRun, Plan, StageReport, Summary};
use crate::run::run_dir::{RunDir, StageDir, StageState};
use crate::training::task::{HeldOut, ScoreName, Task};
use crate::output::tensorboard::TensorBoard;
use crate::training::weights::weights_sha256;

/// Held-out sounds that a stage of parameters leaves at least beside what it makes of them; nothing is drawn on its way.
const MIN_TEST_EXAMPLES: usize = 3;

/// Tag of the loss that a model has to beat.
pub const BASELINE_TAG: &str = "valid/baseline_loss";

/// Trains a task's model.
pub(crate) struct TrainStage<T>(pub(crate) T);

impl<T: Task> Job for TrainStage<T> {
    fn run(
        &self,
        prepared: &StageRun,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError> {
        let started = Instant::now();
        if prepared.stage.is_labelled() && prepared.dataset.indices(Split::Test).is_empty() {
            tracing::warn!(
                "no sound is held out for testing, so that the estimates of {} are not tested; set `data.split.test`",
                prepared.stage
            );
        }
        let directory = run.stage(prepared.stage.name());
        let resume = match directory.state() {
            StageState::Interrupted => Some(Checkpoint::open(&directory.last())?),
            StageState::Fresh | StageState::Finished => None,
        };
        directory.create()?;
        let earlier = resume.as_ref().map(|checkpoint| checkpoint.progress);
        let first_step = earlier.map(|progress| progress.step);
        let mut metrics = MetricsFile::open(&directory.metrics(), first_step)?;
        if first_step.is_none() {
            directory.forget_events()?;
        }
        let mut tensorboard =
            TensorBoard::create(&directory.tensorboard(), first_step.unwrap_or(0))?;

        let training = prepared.training();
        let mut fit = prepared.fit(training, devices);
        fit.started = started;
        fit.context.origin = prepared.beginning.origin(&devices.host)?;
        if let Some(origin) = &mut fit.context.origin {
            origin.heads = self.0.head_transfer().cloned();
        }
        let baseline = fit.evaluation().baseline(&self.0)?;
        let baseline_loss = loss(&baseline);
        let observers: &mut [&mut dyn Observer] = &mut [&mut metrics, &mut tensorboard, progress];
        if first_step.is_none() {
            let scalars = [(BASELINE_TAG.to_string(), baseline_loss as f32)];
            notify(
                observers,
                &Event::Logged {
                    step: 0,
                    scalars: &scalars,
                },
            )?;
        }
        let Fitted {
            model,
            progress,
            scores: measures,
        } = fit.run(&self.0, Some(&directory), resume, observers)?;

        let shown = training.pictured_examples.max(1);
        let illustrations = fit.evaluation().illustrate(&self.0, &model, shown)?;
        Illustration::keep(&illustrations, &directory)?;
        let shown = shown.max(MIN_TEST_EXAMPLES);
        let held_out = self.test(prepared, &directory, shown, devices)?;
        if let Some(HeldOut {
            test,
            illustrations,
        }) = &held_out
        {
            Illustration::keep(illustrations, &directory)?;
            let step = progress.step;
            let scalars = test.scalars();
            let scalars = &scalars[..];
            notify(observers, &Event::Logged { step, scalars })?;
            notify(
                observers,
                &Event::Illustrated {
                    split: "test",
                    step,
                    illustrations,
                },
            )?;
        }
        let named = |scores: &[(ScoreName, f64)], suffix: &str| {
            let terms = scores.iter().filter(|(name, _)| name != "loss");
            let name = |(name, value): &(ScoreName, f64)| (format!("{name}{suffix}"), *value);
            terms.map(name).collect::<Vec<_>>()
        };
        let opened = prepared.opened;
        let summary = Summary {
            stage: prepared.stage.name().into(),
            run: run.name().into(),
            device: devices.name.clone(),
            seed: opened.experiment().seed,
            origin: fit.context.origin.clone(),
            steps: progress.step,
            seconds: earlier.unwrap_or_default().seconds + started.elapsed().as_secs_f64(),
            train_examples: prepared.dataset.indices(Split::Train).len(),
            valid_examples: prepared.dataset.indices(Split::Valid).len(),
            sounds_sha256: Some(opened.sounds().sha256.clone()),
            files_used: opened.files_used(),
            files_rejected: opened.rejected().len(),
            valid_loss: loss(&measures),
            best_valid_loss: progress
                .best_valid_loss
                .expect("the last step is validated"),
            baseline: self.0.baseline_name().into(),
            baseline_loss,
            measures: named(&measures, "")
                .into_iter()
                .chain(named(&baseline, "_baseline"))
                .collect(),
            parameters: model.num_params(),
            peak_rss_bytes: peak_rss_bytes(),
            weights_sha256: weights_sha256(&model),
            parameter_test: held_out.map(|held_out| held_out.test),
        };
        summary.write(&directory.summary())?;
        Ok(StageReport::Trained(summary))
    }

    fn plan(&self, prepared: &StageRun, devices: &Devices) -> Plan {
        let model = self.0.init(&devices.host);
        let batch = prepared.training().batch_size;
        let kept = self.0.activation_elements(batch, prepared.dataset.frames());
        Plan {
            stage: prepared.stage.name().into(),
            memory: MemoryEstimate::new(model.num_params(), kept),
            blocks: self.0.parts(&model),
        }
    }

    fn dry_run(&self, prepared: &StageRun, devices: &Devices) -> Result<DryRun, TrainerError> {
        let training = Training {
            steps: 1,
            warmup_steps: 0,
            ..prepared.training().clone()
        };
        let started = Instant::now();
        let fit = prepared.fit(&training, devices);
        let fitted = fit.run(&self.0, None, None, &mut [])?;
        Ok(DryRun {
            valid_loss: fitted
                .progress
                .valid_loss
                .expect("the last step is validated"),
            baseline: self.0.baseline_name().into(),
            baseline_loss: loss(&fit.evaluation().baseline(&self.0)?),
            seconds: started.elapsed().as_secs_f64(),
            peak_rss_bytes: peak_rss_bytes(),
        })
    }
}

impl<T: Task> TrainStage<T> {
    /// The best model's parameters of held-out sounds, where it estimates any.
    fn test(
        &self,
        prepared: &StageRun,
        directory: &StageDir,
        shown: usize,
        devices: &Devices,
    ) -> Result<Option<HeldOut>, TrainerError> {
        if !prepared.stage.is_labelled() {
            return Ok(None);
        }
        let best = Checkpoint::open(&directory.best())?;
        let model = best.load_model(self.0.init(&devices.compute))?;
        let mut held_out = prepared.fit(prepared.training(), devices).evaluation();
        held_out.split = Split::Test;
        self.0.test(&model, &held_out, shown)
    }
}

fn loss(scores: &[(ScoreName, f64)]) -> f64 {
    scores
        .iter()
        .find_map(|(name, value)| (name == "loss").then_some(*value))
        .expect("scores begin with the loss")
}
