//! The training loop, once, for every stage.

use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Tensor, Transaction};
use stft_data::{Dataset, Loader, Order, Split};

use crate::data::batch::TensorBatch;
use crate::error::TrainerError;
use crate::run::checkpoint::{Checkpoint, Context, Progress};
use crate::run::stage_dir::StageDir;
use crate::run::trained_on::TrainedOn;
use crate::settings::training::Training;
use crate::training::devices::Devices;
use crate::training::draws::keyed_draws;
use crate::training::evaluation::Evaluation;
use crate::training::observe::{Event, Observer};
use crate::training::optimizer::{accumulate, clip_global_norm};
use crate::training::task::{ScoreName, Task};
use crate::training::weights::force_init;

/// What the loop needs besides the task.
pub struct Fit<'a> {
    /// Settings of the loop.
    pub training: &'a Training,
    /// Training and validation examples.
    pub dataset: Arc<Dataset>,
    /// Loader threads; results don't depend on it.
    pub workers: usize,
    /// Devices without autodiff.
    pub devices: Devices,
    /// When this call began to work on the stage.
    pub started: Instant,
    /// What checkpoints say of the weights; its seed is that of weights and dropout.
    pub context: Context,
    /// The sounds that the weights will have been trained on: those of this data set, and those of the initial weights.
    pub trained_on: TrainedOn,
}

/// A trained model, and the course of training.
#[derive(Debug)]
pub struct Fitted<M> {
    /// The model after the last step, ready for inference.
    pub model: M,
    /// Steps done and validation losses.
    pub progress: Progress,
    /// Means of its scores over the validation examples, by name.
    pub scores: Vec<(ScoreName, f64)>,
}

/// Labels the stream of [`keyed_draws`] that weights are drawn from.
const WEIGHTS_STREAM: u64 = u64::from_le_bytes(*b"trnweigh");

/// Labels the stream of [`keyed_draws`] that whatever is random in a step is drawn from.
const STEP_STREAM: u64 = u64::from_le_bytes(*b"trn step");

impl Fit<'_> {
    /// Trains from scratch, or from `resume` on, and leaves checkpoints in `directory`
    /// where there is one.
    ///
    /// # Errors
    /// Data that can't be read, files that can't be written, a loss that isn't finite.
    pub fn run<T: Task>(
        &self,
        task: &T,
        directory: Option<&StageDir>,
        resume: Option<Checkpoint>,
        observers: &mut [&mut dyn Observer],
    ) -> Result<Fitted<T::Model>, TrainerError> {
        let (mut model, mut optimizer, mut progress) = self.start(task, resume)?;
        let batches_done = progress.step * self.training.accumulation_steps as u64;
        let mut loader = Loader::new(
            self.dataset.clone(),
            Order::Training,
            self.training.batch_size,
            self.workers,
            batches_done,
        );
        let schedule = self.training.schedule();
        let steps = self.training.steps;
        if steps <= schedule.warmup_steps {
            tracing::warn!(
                "a warm-up of {} steps is no shorter than the training of {steps}: `training.lr` isn't held or lowered; \
                 lower `training.warmup_steps`",
                schedule.warmup_steps
            );
        }
        let mut log = Log::default();
        let mut scores = None;
        let step = progress.step;
        notify(observers, &Event::Started { step, steps })?;
        let earlier = progress.seconds;
        let seconds = || earlier + self.started.elapsed().as_secs_f64();

        while progress.step < steps {
            let _step = tracing::debug_span!("step", step = progress.step).entered();
            let key = [self.seed(), STEP_STREAM, progress.step];
            let mut grads = keyed_draws(&self.devices.compute, key, || {
                self.gradients(task, &model, &mut loader, &mut log)
            })?;
            let lr = schedule.at(progress.step);
            let clip_norm = self.training.optimizer.clip_norm;
            let norm = clip_global_norm(&model, &mut grads, clip_norm);
            model = tracing::debug_span!("optimizer").in_scope(|| optimizer.step(lr, model, grads));
            progress.step += 1;
            log.step_done(lr, norm);

            let step = progress.step;
            notify(observers, &Event::Stepped { step })?;
            let validates = step % self.training.validate_every == 0 || step == steps;
            // A log entry ends at each checkpoint, so that a resumed run logs the same means.
            if validates || step % self.training.log_every == 0 {
                let scalars = log.take(step)?;
                notify(
                    observers,
                    &Event::Logged {
                        step,
                        scalars: &scalars,
                    },
                )?;
            }
            if validates {
                progress.seconds = seconds();
                scores = Some(self.validate(task, &model, &mut progress, directory, observers)?);
                if let Some(directory) = directory {
                    let last = directory.last();
                    progress.seconds = seconds();
                    let save = tracing::debug_span!("save");
                    save.in_scope(|| {
                        Checkpoint::save(&last, &model, &optimizer, progress, self.meaning())
                    })?;
                }
            }
        }
        let model = model.valid();
        // A run that was interrupted after its last step has nothing left to validate.
        let scores = match scores {
            Some(scores) => scores,
            None => self.evaluation().scores(task, &model)?,
        };
        Ok(Fitted {
            model,
            progress,
            scores,
        })
    }

    fn start<T: Task>(
        &self,
        task: &T,
        resume: Option<Checkpoint>,
    ) -> Result<(T::Model, ModuleOptimizer, Progress), TrainerError> {
        let mut model = initial_model(task, &self.devices, self.seed());
        let Some(checkpoint) = resume else {
            let device = self.devices.compute.clone().autodiff();
            let model = task.freeze(task.inherit(model, &device)?);
            let optimizer = self.training.optimizer.init(&model, task.lr_scale());
            return Ok((model, optimizer, Progress::default()));
        };
        // The optimizer's state is keyed by the identities that the weights bring along.
        model = task.freeze(checkpoint.load_model(model)?);
        let optimizer = self.training.optimizer.init(&model, task.lr_scale());
        let optimizer = checkpoint.load_optimizer(optimizer)?;
        Ok((model, optimizer, checkpoint.progress))
    }

    /// The mean gradient over the accumulated batches.
    fn gradients<T: Task>(
        &self,
        task: &T,
        model: &T::Model,
        loader: &mut Loader,
        log: &mut Log,
    ) -> Result<GradientsParams, TrainerError> {
        let parts = self.training.accumulation_steps;
        let mut sum = None;
        for _ in 0..parts {
            let wait = tracing::debug_span!("wait_for_batch");
            let batch = wait.in_scope(|| loader.next().expect("training order is endless"))?;
            let forward = tracing::debug_span!("forward").entered();
            let batch = TensorBatch::new(&batch, &self.devices.compute);
            let scores = task.scores(model, &batch);
            let scores = scores.with_parameter_errors(&batch, self.dataset.source().spec());
            let loss = scores.mean(scores.loss.clone());
            log.add("loss", loss.clone().inner());
            for (name, values) in &scores.terms {
                log.add(name.clone(), scores.mean(values.clone()).inner());
            }
            drop(forward);
            let backward = tracing::debug_span!("backward");
            let grads = backward.in_scope(|| loss.div_scalar(parts as f32).backward());
            let grads = GradientsParams::from_grads(grads, model);
            sum = Some(accumulate(model, sum, grads));
        }
        Ok(sum.expect("at least one batch makes a step"))
    }

    fn validate<T: Task>(
        &self,
        task: &T,
        model: &T::Model,
        progress: &mut Progress,
        directory: Option<&StageDir>,
        observers: &mut [&mut dyn Observer],
    ) -> Result<Vec<(ScoreName, f64)>, TrainerError> {
        let _validation = tracing::debug_span!("validation", step = progress.step).entered();
        let model = model.valid();
        let evaluation = self.evaluation();
        let scores = evaluation.scores(task, &model)?;
        let illustrations = evaluation.illustrate(task, &model, self.training.pictured_examples)?;
        let loss = scores
            .iter()
            .find_map(|(name, value)| (name == "loss").then_some(*value))
            .expect("scores begin with the loss");
        finite(loss as f32, progress.step)?;
        let best = progress.note(loss);
        tracing::info!(step = progress.step, loss, best, "validated");
        if let (true, Some(directory)) = (best, directory) {
            Checkpoint::save_model(&directory.best(), &model, *progress, self.meaning())?;
        }
        let scalars: Vec<_> = scores
            .iter()
            .map(|(name, value)| (format!("valid/{name}"), *value as f32))
            .collect();
        let event = Event::Validated {
            split: "valid",
            step: progress.step,
            scalars: &scalars,
            best,
            illustrations: &illustrations,
        };
        notify(observers, &event)?;
        Ok(scores)
    }

    fn meaning(&self) -> (&Context, &TrainedOn) {
        (&self.context, &self.trained_on)
    }

    fn seed(&self) -> u64 {
        self.context.experiment.seed
    }

    /// The validation examples.
    pub fn evaluation(&self) -> Evaluation {
        Evaluation {
            dataset: self.dataset.clone(),
            split: Split::Valid,
            batch_size: self.training.batch_size,
            workers: self.workers,
            device: self.devices.compute.clone(),
        }
    }
}

/// A new model, its weights drawn from `seed` on the host, on the compute device's autodiff
/// side.
fn initial_model<T: Task>(task: &T, devices: &Devices, seed: u64) -> T::Model {
    let model = keyed_draws(&devices.host, [seed, WEIGHTS_STREAM, 0], || {
        let model = task.init(&devices.host.clone().autodiff());
        force_init(&model);
        model
    });
    model.fork(&devices.compute.clone().autodiff())
}

/// Stops a run whose loss is no number any more, before a checkpoint is replaced.
fn finite(loss: f32, step: u64) -> Result<(), TrainerError> {
    if loss.is_finite() {
        Ok(())
    } else {
        Err(TrainerError::Diverged { step, loss })
    }
}

/// Hands `event` to every observer.
pub(crate) fn notify(
    observers: &mut [&mut dyn Observer],
    event: &Event,
) -> Result<(), TrainerError> {
    observers
        .iter_mut()
        .try_for_each(|observer| observer.observe(event))
}

/// Numbers since the last log entry, left on the device until they are wanted.
#[derive(Default)]
struct Log {
    values: Vec<(ScoreName, Vec<Tensor<1>>)>,
    lr: f64,
}

impl Log {
    fn add(&mut self, name: impl Into<ScoreName>, value: Tensor<1>) {
        let name = name.into();
        match self.values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.values.push((name, vec![value])),
        }
    }

    fn step_done(&mut self, lr: f64, grad_norm: Tensor<1>) {
        self.lr = lr;
        self.add("grad_norm", grad_norm);
    }

    /// Means by tag, read from the device at once; the log is empty afterwards.
    fn take(&mut self, step: u64) -> Result<Vec<(String, f32)>, TrainerError> {
        let values = std::mem::take(&mut self.values);
        let (names, reading) = values.into_iter().fold(
            (Vec::new(), Transaction::default()),
            |(mut names, reading), (name, values)| {
                names.push(name);
                (names, reading.register(Tensor::cat(values, 0).mean()))
            },
        );
        let mut scalars = vec![("train/lr".to_string(), self.lr as f32)];
        for (name, data) in names.into_iter().zip(reading.execute()) {
            let value = data.try_to_vec::<f32>().expect("scores are f32")[0];
            if name == "loss" {
                finite(value, step)?;
            }
            scalars.push((format!("train/{name}"), value));
        }
        Ok(scalars)
    }
}
