//! The work of a stage that trains.

use std::time::Instant;

use burn::module::Module;
use stft_data::Split;

use crate::error::TrainerError;
use crate::output::illustration::Illustration;
use crate::output::summary::{DryRun, Plan, StageReport, Summary};
use crate::output::tensorboard::TensorBoard;
use crate::run::checkpoint::{Checkpoint, Progress};
use crate::run::provenance::Provenance;
use crate::run::run_dir::RunDir;
use crate::run::stage_dir::{StageDir, StageState};
use crate::settings::training::Training;
use crate::stages::context::{StageContext, Work};
use crate::training::devices::Devices;
use crate::training::fit::{Fit, Fitted, notify};
use crate::training::memory::{MemoryEstimate, peak_rss_bytes};
use crate::training::observe::{Event, MetricsFile, Observer};
use crate::training::task::{HeldOut, ScoreName, Task};
use crate::training::weights::weights_sha256;

/// Fewest held-out sounds that a parameter stage keeps with their estimates.
const MIN_TEST_EXAMPLES: usize = 3;

/// Tag of the loss that a model has to beat.
pub const BASELINE_TAG: &str = "valid/baseline_loss";

type Scores = Vec<(ScoreName, f64)>;

/// Trains a task's model.
pub(crate) struct TrainStage<T>(pub(crate) T);

impl<T: Task> Work for TrainStage<T> {
    fn run(
        &self,
        context: &StageContext,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError> {
        let started = Instant::now();
        warn_if_untested(context);
        let directory = run.stage(context.stage.name());
        let resume = match directory.state() {
            StageState::Interrupted => Some(Checkpoint::open(&directory.last())?),
            StageState::Fresh | StageState::Finished => None,
        };
        let earlier = resume.as_ref().map(|checkpoint| checkpoint.progress);
        let (mut metrics, mut tensorboard) = open_outputs(&directory, earlier)?;
        let observers: &mut [&mut dyn Observer] = &mut [&mut metrics, &mut tensorboard, progress];

        let fit = self.fit(context, devices, started)?;
        let baseline = fit.evaluation().baseline(&self.0)?;
        if earlier.is_none() {
            let scalars = [(BASELINE_TAG.to_string(), loss(&baseline) as f32)];
            let event = Event::Logged {
                step: 0,
                scalars: &scalars,
            };
            notify(observers, &event)?;
        }
        let fitted = fit.run(&self.0, Some(&directory), resume, observers)?;

        let shown = context.training.pictured_examples.max(1);
        let illustrations = fit.evaluation().illustrate(&self.0, &fitted.model, shown)?;
        Illustration::keep(&illustrations, &directory)?;
        let shown = shown.max(MIN_TEST_EXAMPLES);
        let held_out = self.test(context, &directory, shown, devices)?;
        if let Some(held_out) = &held_out {
            Illustration::keep(&held_out.illustrations, &directory)?;
            log_test(observers, fitted.progress.step, held_out)?;
        }
        let seconds = earlier.unwrap_or_default().seconds + started.elapsed().as_secs_f64();
        let summary = Summary {
            run: run.name().into(),
            device: devices.name.clone(),
            seconds,
            baseline: self.0.baseline_name().into(),
            parameter_test: held_out.map(|held_out| held_out.metrics),
            ..summary(context, fit.context.provenance, &fitted, &baseline)
        };
        summary.write(&directory.summary())?;
        Ok(StageReport::Trained(summary))
    }

    fn plan(&self, context: &StageContext, devices: &Devices) -> Plan {
        let model = self.0.init(&devices.host);
        let batch = context.training.batch_size;
        let kept = self.0.activation_elements(batch, context.dataset.frames());
        Plan {
            stage: context.stage.name().into(),
            memory: MemoryEstimate::new(model.num_params(), kept),
            blocks: self.0.parts(&model),
        }
    }

    fn dry_run(&self, context: &StageContext, devices: &Devices) -> Result<DryRun, TrainerError> {
        let training = Training {
            steps: 1,
            warmup_steps: 0,
            ..context.training.clone()
        };
        let started = Instant::now();
        let fit = context.fit(&training, devices);
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
    /// The loop, with the record of what the weights are initialised from.
    fn fit<'a>(
        &self,
        context: &StageContext<'a>,
        devices: &Devices,
        started: Instant,
    ) -> Result<Fit<'a>, TrainerError> {
        let mut fit = context.fit(context.training, devices);
        fit.started = started;
        fit.context.provenance = context.provenance(devices)?;
        if let Some(provenance) = &mut fit.context.provenance {
            provenance.heads = self.0.head_transfer().cloned();
        }
        Ok(fit)
    }

    /// Tests the best model's parameter estimates on held-out sounds, where it makes any.
    fn test(
        &self,
        context: &StageContext,
        directory: &StageDir,
        shown: usize,
        devices: &Devices,
    ) -> Result<Option<HeldOut>, TrainerError> {
        if !context.stage.is_labelled() {
            return Ok(None);
        }
        let best = Checkpoint::open(&directory.best())?;
        let model = best.load_model(self.0.init(&devices.compute))?;
        self.0.test(&model, &context.held_out(devices), shown)
    }
}

fn warn_if_untested(context: &StageContext) {
    if context.stage.is_labelled() && context.dataset.indices(Split::Test).is_empty() {
        tracing::warn!(
            "no sound is held out, so the estimates of {} are not tested; set `data.split.test`",
            context.stage
        );
    }
}

/// The files of numbers in the stage's directory, which is made. What a killed call has left after its last checkpoint is
/// removed.
fn open_outputs(
    directory: &StageDir,
    earlier: Option<Progress>,
) -> Result<(MetricsFile, TensorBoard), TrainerError> {
    directory.create()?;
    let first_step = earlier.map(|progress| progress.step);
    let metrics = MetricsFile::open(&directory.metrics(), first_step)?;
    if first_step.is_none() {
        directory.remove_events()?;
    }
    let tensorboard = TensorBoard::create(&directory.tensorboard(), first_step.unwrap_or(0))?;
    Ok((metrics, tensorboard))
}

/// Reports numbers, pictures and sounds of a test.
fn log_test(
    observers: &mut [&mut dyn Observer],
    step: u64,
    held_out: &HeldOut,
) -> Result<(), TrainerError> {
    let scalars = held_out.metrics.scalars();
    let logged = Event::Logged {
        step,
        scalars: &scalars,
    };
    notify(observers, &logged)?;
    let illustrated = Event::Illustrated {
        split: "test",
        step,
        illustrations: &held_out.illustrations,
    };
    notify(observers, &illustrated)
}

/// The summary, but for what [`TrainStage::run`] adds.
fn summary<M: Module>(
    context: &StageContext,
    provenance: Option<Provenance>,
    fitted: &Fitted<M>,
    baseline: &Scores,
) -> Summary {
    let Fitted {
        model,
        progress,
        scores,
    } = fitted;
    let named = |scores: &Scores, suffix: &str| {
        let terms = scores.iter().filter(|(name, _)| name != "loss");
        let name = |(name, value): &(ScoreName, f64)| (format!("{name}{suffix}"), *value);
        terms.map(name).collect::<Vec<_>>()
    };
    let measures = named(scores, "").into_iter();
    Summary {
        stage: context.stage.name().into(),
        run: String::new(),
        device: String::new(),
        seed: context.experiment.seed,
        provenance,
        steps: progress.step,
        seconds: 0.0,
        train_examples: context.dataset.indices(Split::Train).len(),
        valid_examples: context.dataset.indices(Split::Valid).len(),
        sounds_sha256: Some(context.sounds.sha256.clone()),
        files_used: context.files_used,
        files_rejected: context.files_rejected,
        valid_loss: loss(scores),
        best_valid_loss: progress
            .best_valid_loss
            .expect("the last step is validated"),
        baseline: String::new(),
        baseline_loss: loss(baseline),
        measures: measures.chain(named(baseline, "_baseline")).collect(),
        parameters: model.num_params(),
        peak_rss_bytes: peak_rss_bytes(),
        weights_sha256: weights_sha256(model),
        parameter_test: None,
    }
}

fn loss(scores: &[(ScoreName, f64)]) -> f64 {
    scores
        .iter()
        .find_map(|(name, value)| (name == "loss").then_some(*value))
        .expect("scores begin with the loss")
}
