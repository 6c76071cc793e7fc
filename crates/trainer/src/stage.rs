//! The stages by name, and how one is run from an experiment to its report.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use stft_data::{Dataset, FileSource, Rejected, Split};

use crate::checkpoint::Context;
use crate::devices::Devices;
use crate::error::TrainerError;
use crate::experiment::{Experiment, Training};
use crate::fit::{Fit, Fitted, notify};
use crate::layers::nearest;
use crate::memory::{MemoryEstimate, peak_rss_bytes};
use crate::observe::{Event, Illustration, MetricsFile, Observer};
use crate::report::{DryRun, Plan, Summary};
use crate::run_dir::RunDir;
use crate::source::OpenedSource;
use crate::task::Task;
use crate::tasks::MaskedAutoencoder;
use crate::tensorboard::TensorBoard;
use crate::weights::weights_sha256;

/// Tag of the loss of predicting the training data's mean spectrogram.
pub const BASELINE_TAG: &str = "valid/baseline_loss";

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Masked-autoencoder pretraining of the U-Net.
    PretrainAutoencoderMae,
}

impl Stage {
    /// Every stage, in the order of the pipeline.
    pub const ALL: [Self; 1] = [Self::PretrainAutoencoderMae];

    /// The name that configurations, directories and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::PretrainAutoencoderMae => "pretrain_autoencoder_mae",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = TrainerError;

    fn from_str(name: &str) -> Result<Self, TrainerError> {
        let names = || Self::ALL.iter().map(|stage| stage.name());
        Self::ALL
            .into_iter()
            .find(|stage| stage.name() == name)
            .ok_or_else(|| TrainerError::UnknownStage {
                name: name.to_string(),
                nearest: nearest(name, names()),
                known: names().collect::<Vec<_>>().join(", "),
            })
    }
}

/// A stage that is ready to run: everything that a user can get wrong has been checked, and
/// nothing has been written.
pub struct PreparedStage {
    stage: Stage,
    experiment: Experiment,
    dataset: Arc<Dataset>,
    files: Option<Arc<FileSource>>,
}

impl PreparedStage {
    /// Opens the data of `experiment` and measures the training split.
    ///
    /// # Errors
    /// The data can't be used.
    pub fn open(experiment: Experiment, stage: Stage) -> Result<Self, TrainerError> {
        let opened = OpenedSource::open(&experiment)?;
        let dataset = Dataset::open(opened.source, &experiment.data, experiment.seed)?;
        Ok(Self {
            stage,
            experiment,
            dataset: Arc::new(dataset),
            files: opened.files,
        })
    }

    /// Settings, resolved.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The sounds as the stage will see them.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// Sound files in use; 0 for the synthesizer.
    pub fn files_used(&self) -> usize {
        self.files.as_ref().map_or(0, |files| files.files().len())
    }

    /// Files that can't be used, each with its reason.
    pub fn rejected(&self) -> &[Rejected] {
        self.files.as_ref().map_or(&[], |files| files.rejected())
    }

    /// Trains, and leaves checkpoints, metrics, TensorBoard files, the picture and
    /// `summary.json` in `run`.
    ///
    /// # Errors
    /// Data that can't be read, files that can't be written, a loss that isn't finite.
    pub fn train(
        &self,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<Summary, TrainerError> {
        let started = Instant::now();
        let config = run.path().join("experiment.toml");
        std::fs::write(&config, self.experiment.to_toml()).map_err(TrainerError::write(&config))?;
        let directory = run.stage(self.stage.name())?;
        let mut metrics = MetricsFile::open(&directory.metrics())?;
        let mut tensorboard = TensorBoard::create(&directory.tensorboard())?;

        let task = self.task();
        let training = self.training();
        let fit = self.fit(training, devices);
        let baseline_loss = loss(&fit.evaluation().baseline(&task)?);
        let observers: &mut [&mut dyn Observer] = &mut [&mut metrics, &mut tensorboard, progress];
        let scalars = [(BASELINE_TAG.to_string(), baseline_loss as f32)];
        notify(
            observers,
            &Event::Logged {
                step: 0,
                scalars: &scalars,
            },
        )?;
        let Fitted { model, progress } = fit.run(&task, Some(&directory), None, observers)?;

        let shown = training.pictured_examples.max(1);
        let illustrations = fit.evaluation().illustrate(&task, &model, shown)?;
        if let Some(canvas) = Illustration::draw(&illustrations) {
            let path = directory.picture();
            std::fs::write(&path, canvas.to_png()).map_err(TrainerError::write(&path))?;
        }
        let summary = Summary {
            stage: self.stage.name().into(),
            run: run.name().into(),
            device: devices.name.clone(),
            seed: self.experiment.seed,
            steps: progress.step,
            seconds: started.elapsed().as_secs_f64(),
            train_examples: self.dataset.indices(Split::Train).len(),
            valid_examples: self.dataset.indices(Split::Valid).len(),
            files_used: self.files_used(),
            files_rejected: self.rejected().len(),
            valid_loss: progress.valid_loss.expect("the last step is validated"),
            best_valid_loss: progress
                .best_valid_loss
                .expect("the last step is validated"),
            baseline_loss,
            parameters: model.num_params(),
            peak_rss_bytes: peak_rss_bytes(),
            weights_sha256: weights_sha256(&model),
        };
        summary.write(&directory.summary())?;
        Ok(summary)
    }

    /// The model block by block, and the memory that training is expected to hold. Draws no
    /// weights, so that a model that is too large can be looked at.
    pub fn plan(&self, devices: &Devices) -> Plan {
        let model = self.task().init(&devices.host);
        let batch = self.training().batch_size;
        let kept = self
            .experiment
            .unet
            .activation_elements(batch, self.dataset.frames());
        Plan {
            memory: MemoryEstimate::new(model.num_params(), kept),
            blocks: model.parameters_per_block(),
        }
    }

    /// Runs one step of training and a validation. Writes nothing.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn dry_run(&self, devices: &Devices) -> Result<DryRun, TrainerError> {
        let task = self.task();
        let training = Training {
            steps: 1,
            warmup_steps: 0,
            ..self.training().clone()
        };
        let started = Instant::now();
        let fit = self.fit(&training, devices);
        let fitted = fit.run(&task, None, None, &mut [])?;
        Ok(DryRun {
            valid_loss: fitted
                .progress
                .valid_loss
                .expect("the last step is validated"),
            baseline_loss: loss(&fit.evaluation().baseline(&task)?),
            seconds: started.elapsed().as_secs_f64(),
            peak_rss_bytes: peak_rss_bytes(),
        })
    }

    fn task(&self) -> MaskedAutoencoder {
        match self.stage {
            Stage::PretrainAutoencoderMae => MaskedAutoencoder {
                model: self.experiment.unet.clone(),
                loss: self.experiment.stages.pretrain_autoencoder_mae.loss,
            },
        }
    }

    fn training(&self) -> &Training {
        match self.stage {
            Stage::PretrainAutoencoderMae => {
                &self.experiment.stages.pretrain_autoencoder_mae.training
            }
        }
    }

    fn fit<'a>(&self, training: &'a Training, devices: &Devices) -> Fit<'a> {
        Fit {
            training,
            dataset: self.dataset.clone(),
            workers: self.experiment.loader.workers,
            devices: devices.clone(),
            context: Context {
                stage: self.stage.name().into(),
                normalization: self.dataset.normalization(),
                experiment: self.experiment.clone(),
            },
        }
    }
}

fn loss(scores: &[(&'static str, f64)]) -> f64 {
    scores
        .iter()
        .find_map(|(name, value)| (*name == "loss").then_some(*value))
        .expect("scores begin with the loss")
}
