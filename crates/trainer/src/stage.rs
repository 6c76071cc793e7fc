//! The stages by name, and how one is run from an experiment to its report.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use losses::Domain;
use stft_data::{Dataset, FileSource, Rejected, Split};

use crate::checkpoint::{Checkpoint, Context};
use crate::devices::Devices;
use crate::error::TrainerError;
use crate::experiment::{Experiment, Training};
use crate::fit::{Fit, Fitted, notify};
use crate::layers::nearest;
use crate::memory::{MemoryEstimate, peak_rss_bytes};
use crate::observe::{Event, Illustration, MetricsFile, Observer};
use crate::report::{DryRun, Plan, Summary};
use crate::run_dir::{RunDir, StageState};
use crate::settings::first_difference;
use crate::source::OpenedSource;
use crate::task::Task;
use crate::tasks::{
    ContrastivePretraining, MaskedAutoencoder, PatchReconstruction, SpectralObjective, Start,
};
use crate::tensorboard::TensorBoard;
use crate::weights::weights_sha256;

/// Tag of the loss that a model has to beat.
pub const BASELINE_TAG: &str = "valid/baseline_loss";

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Masked-autoencoder pretraining of the U-Net.
    PretrainAutoencoderMae,
    /// Contrastive pretraining of the Transformer's encoder.
    PretrainTransformerContrastive,
    /// A decoder on the pretrained encoder, which stays as it is.
    TrainTransformerDecoder,
    /// Encoder and decoder together.
    TrainFullTransformer,
}

impl Stage {
    /// Every stage, in the order of the pipeline.
    pub const ALL: [Self; 4] = [
        Self::PretrainAutoencoderMae,
        Self::PretrainTransformerContrastive,
        Self::TrainTransformerDecoder,
        Self::TrainFullTransformer,
    ];

    /// What learns from unlabelled sounds, from nothing.
    pub const PRETRAIN: [Self; 2] = [
        Self::PretrainAutoencoderMae,
        Self::PretrainTransformerContrastive,
    ];

    /// What goes on with pretrained weights.
    pub const TRAIN: [Self; 2] = [Self::TrainTransformerDecoder, Self::TrainFullTransformer];

    /// The name that configurations, directories and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::PretrainAutoencoderMae => "pretrain_autoencoder_mae",
            Self::PretrainTransformerContrastive => "pretrain_transformer_contrastive",
            Self::TrainTransformerDecoder => "train_transformer_decoder",
            Self::TrainFullTransformer => "train_full_transformer",
        }
    }

    /// The stage whose weights it takes over, if any.
    pub fn starts_from(self) -> Option<Self> {
        match self {
            Self::PretrainAutoencoderMae | Self::PretrainTransformerContrastive => None,
            Self::TrainTransformerDecoder => Some(Self::PretrainTransformerContrastive),
            Self::TrainFullTransformer => Some(Self::TrainTransformerDecoder),
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

/// Where the weights are that a stage starts from.
#[derive(Clone, Copy, Debug)]
pub enum StartsIn<'a> {
    /// In the same run, whose directory this is.
    Run(&'a RunDir),
    /// In another run, the directory of one of its stages, or that of a checkpoint.
    Path(&'a Path),
    /// Nowhere: the weights stay as they are drawn. For a look at sizes and speed.
    Nowhere,
}

/// An experiment with its sounds open: what all of its stages have in common.
pub struct OpenExperiment {
    experiment: Experiment,
    dataset: Dataset,
    files: Option<Arc<FileSource>>,
}

impl OpenExperiment {
    /// Opens the data of `experiment` and measures the training split. Decoded sound files are kept
    /// in the folder `cache`, if one is given.
    ///
    /// # Errors
    /// The data can't be used.
    pub fn open(experiment: Experiment, cache: Option<&Path>) -> Result<Self, TrainerError> {
        let opened = OpenedSource::open(&experiment, cache)?;
        let dataset = Dataset::open(opened.source, &experiment.data, experiment.seed)?;
        Ok(Self {
            experiment,
            dataset,
            files: opened.files,
        })
    }

    /// Settings, resolved.
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The sounds, masked as the U-Net's stages see them.
    pub fn dataset(&self) -> &Dataset {
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

    /// A stage, with the weights that it starts from looked up.
    ///
    /// # Errors
    /// [`TrainerError::NoStart`] and [`TrainerError::StartDiffers`], if what it starts from isn't there or
    /// belongs to other settings.
    pub fn stage(&self, stage: Stage, starts: StartsIn) -> Result<PreparedStage<'_>, TrainerError> {
        let start = match stage.starts_from() {
            Some(needs) => self.start(stage, needs, starts)?,
            None => None,
        };
        let stages = &self.experiment.stages;
        let mask = match stage {
            Stage::PretrainAutoencoderMae => None,
            Stage::PretrainTransformerContrastive => {
                Some(stages.pretrain_transformer_contrastive.mask)
            }
            Stage::TrainTransformerDecoder => Some(stages.train_transformer_decoder.mask),
            Stage::TrainFullTransformer => Some(stages.train_full_transformer.mask),
        };
        let mut dataset = self.dataset.clone();
        if let Some(mask) = mask {
            dataset = dataset.with_mask(mask.over(&self.experiment.transformer))?;
        }
        if let Some(start) = &start {
            // The scale that the weights know.
            dataset = dataset.with_normalization(start.context.normalization);
        }
        Ok(PreparedStage {
            stage,
            job: self.job(stage, &dataset, start)?,
            opened: self,
            dataset: Arc::new(dataset),
        })
    }

    fn start(
        &self,
        stage: Stage,
        needs: Stage,
        starts: StartsIn,
    ) -> Result<Option<Checkpoint>, TrainerError> {
        let candidates = match starts {
            StartsIn::Nowhere => return Ok(None),
            StartsIn::Run(run) => vec![run.stage(needs.name()).best()],
            StartsIn::Path(path) => vec![
                RunDir::at(path).stage(needs.name()).best(),
                path.join("checkpoints").join("best"),
                path.to_owned(),
            ],
        };
        let found = candidates.iter().find(|path| Checkpoint::is_at(path));
        let path = found.ok_or_else(|| TrainerError::NoStart {
            stage: stage.name(),
            needs: needs.name(),
            path: candidates[0].clone(),
        })?;
        let checkpoint = Checkpoint::open(path)?;
        let Context {
            stage: left_by,
            experiment: theirs,
            ..
        } = &checkpoint.context;
        let differs = |key: &str, there: String, here: String| TrainerError::StartDiffers {
            path: path.clone(),
            key: key.to_owned(),
            there,
            here,
        };
        if left_by != needs.name() {
            return Err(differs("stage", left_by.clone(), needs.name().to_owned()));
        }
        // What decides on the shape and the meaning of its inputs and weights.
        let same = |key: &str| {
            key.starts_with("transformer.encoder.")
                || key.starts_with("data.stft.")
                || key == "data.clip.sample_rate_hz"
                || (stage == Stage::TrainFullTransformer && key.starts_with("transformer."))
        };
        match first_difference(theirs, &self.experiment, same) {
            Some((key, there, here)) => Err(differs(&key, there, here)),
            None => Ok(Some(checkpoint)),
        }
    }

    fn job(
        &self,
        stage: Stage,
        dataset: &Dataset,
        start: Option<Checkpoint>,
    ) -> Result<Box<dyn Job>, TrainerError> {
        let Experiment {
            seed,
            data,
            unet,
            transformer,
            stages,
            ..
        } = &self.experiment;
        let hidden_ratio = dataset.config().mask.ratio;
        Ok(match stage {
            Stage::PretrainAutoencoderMae => Box::new(MaskedAutoencoder {
                model: unet.clone(),
                loss: stages.pretrain_autoencoder_mae.loss,
            }),
            Stage::PretrainTransformerContrastive => Box::new(ContrastivePretraining {
                model: transformer.clone(),
                loss: stages.pretrain_transformer_contrastive.loss,
                hidden_ratio,
                normalization: dataset.normalization(),
                n_fft: data.stft.n_fft,
                seed: *seed,
            }),
            Stage::TrainTransformerDecoder => Box::new(PatchReconstruction {
                model: transformer.clone(),
                start: start.map_or(Start::Nowhere, Start::Encoder),
                spectral: None,
                hidden_ratio,
            }),
            Stage::TrainFullTransformer => {
                let settings = &stages.train_full_transformer;
                let composite = settings.composite.init(Domain::Magnitude)?;
                Box::new(PatchReconstruction {
                    model: transformer.clone(),
                    start: start.map_or(Start::Nowhere, Start::Full),
                    spectral: (settings.composite_weight > 0.0).then_some(SpectralObjective {
                        composite,
                        weight: settings.composite_weight,
                        normalization: dataset.normalization(),
                    }),
                    hidden_ratio,
                })
            }
        })
    }
}

/// A stage that is ready to run: everything that a user can get wrong has been checked, and
/// nothing has been written.
pub struct PreparedStage<'a> {
    stage: Stage,
    opened: &'a OpenExperiment,
    dataset: Arc<Dataset>,
    job: Box<dyn Job>,
}

impl PreparedStage<'_> {
    /// The stage.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The sounds as the stage will see them.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.dataset
    }

    /// Trains, from where an earlier call was interrupted if there was one, and leaves checkpoints, metrics,
    /// TensorBoard files, the picture and `summary.json` in `run`.
    ///
    /// # Errors
    /// Data that can't be read, files that can't be written, a loss that isn't finite.
    pub fn train(
        &self,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<Summary, TrainerError> {
        self.job.train(self, run, devices, progress)
    }

    /// The model block by block, and the memory that training is expected to hold. Draws no
    /// weights, so that a model that is too large can be looked at.
    pub fn plan(&self, devices: &Devices) -> Plan {
        self.job.plan(self, devices)
    }

    /// Runs one step of training and a validation. Writes nothing.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn dry_run(&self, devices: &Devices) -> Result<DryRun, TrainerError> {
        self.job.dry_run(self, devices)
    }

    /// The loop's settings.
    pub fn training(&self) -> &Training {
        let stages = &self.opened.experiment.stages;
        match self.stage {
            Stage::PretrainAutoencoderMae => &stages.pretrain_autoencoder_mae.training,
            Stage::PretrainTransformerContrastive => {
                &stages.pretrain_transformer_contrastive.training
            }
            Stage::TrainTransformerDecoder => &stages.train_transformer_decoder.training,
            Stage::TrainFullTransformer => &stages.train_full_transformer.training,
        }
    }

    fn fit<'a>(&self, training: &'a Training, devices: &Devices) -> Fit<'a> {
        let experiment = &self.opened.experiment;
        Fit {
            training,
            dataset: self.dataset.clone(),
            workers: experiment.loader.workers,
            devices: devices.clone(),
            context: Context {
                stage: self.stage.name().into(),
                normalization: self.dataset.normalization(),
                experiment: experiment.clone(),
            },
        }
    }
}

/// What can be done with a stage, whatever its model is. Every [`Task`] is one.
trait Job {
    fn train(
        &self,
        prepared: &PreparedStage,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<Summary, TrainerError>;

    fn plan(&self, prepared: &PreparedStage, devices: &Devices) -> Plan;

    fn dry_run(&self, prepared: &PreparedStage, devices: &Devices) -> Result<DryRun, TrainerError>;
}

impl<T: Task> Job for T {
    fn train(
        &self,
        prepared: &PreparedStage,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<Summary, TrainerError> {
        let started = Instant::now();
        let directory = run.stage(prepared.stage.name());
        let resume = match directory.state() {
            StageState::Interrupted => Some(Checkpoint::open(&directory.last())?),
            StageState::Fresh | StageState::Finished => None,
        };
        directory.create()?;
        let first_step = resume.as_ref().map(|checkpoint| checkpoint.progress.step);
        let mut metrics = MetricsFile::open(&directory.metrics(), first_step)?;
        let mut tensorboard = TensorBoard::create(&directory.tensorboard())?;

        let training = prepared.training();
        let fit = prepared.fit(training, devices);
        let baseline = fit.evaluation().baseline(self)?;
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
        } = fit.run(self, Some(&directory), resume, observers)?;

        let shown = training.pictured_examples.max(1);
        let illustrations = fit.evaluation().illustrate(self, &model, shown)?;
        if let Some(canvas) = Illustration::draw(&illustrations) {
            let path = directory.picture();
            std::fs::write(&path, canvas.to_png()).map_err(TrainerError::write(&path))?;
        }
        let named = |scores: &[(&'static str, f64)], suffix: &str| {
            let terms = scores.iter().filter(|(name, _)| *name != "loss");
            let name = |(name, value): &(&'static str, f64)| (format!("{name}{suffix}"), *value);
            terms.map(name).collect::<Vec<_>>()
        };
        let opened = prepared.opened;
        let summary = Summary {
            stage: prepared.stage.name().into(),
            run: run.name().into(),
            device: devices.name.clone(),
            seed: opened.experiment.seed,
            steps: progress.step,
            seconds: started.elapsed().as_secs_f64(),
            train_examples: prepared.dataset.indices(Split::Train).len(),
            valid_examples: prepared.dataset.indices(Split::Valid).len(),
            files_used: opened.files_used(),
            files_rejected: opened.rejected().len(),
            valid_loss: loss(&measures),
            best_valid_loss: progress
                .best_valid_loss
                .expect("the last step is validated"),
            baseline: self.baseline_name().into(),
            baseline_loss,
            measures: named(&measures, "")
                .into_iter()
                .chain(named(&baseline, "_baseline"))
                .collect(),
            parameters: model.num_params(),
            peak_rss_bytes: peak_rss_bytes(),
            weights_sha256: weights_sha256(&model),
        };
        summary.write(&directory.summary())?;
        Ok(summary)
    }

    fn plan(&self, prepared: &PreparedStage, devices: &Devices) -> Plan {
        let model = self.init(&devices.host);
        let batch = prepared.training().batch_size;
        let kept = self.activation_elements(batch, prepared.dataset.frames());
        Plan {
            stage: prepared.stage.name().into(),
            memory: MemoryEstimate::new(model.num_params(), kept),
            blocks: self.parts(&model),
        }
    }

    fn dry_run(&self, prepared: &PreparedStage, devices: &Devices) -> Result<DryRun, TrainerError> {
        let training = Training {
            steps: 1,
            warmup_steps: 0,
            ..prepared.training().clone()
        };
        let started = Instant::now();
        let fit = prepared.fit(&training, devices);
        let fitted = fit.run(self, None, None, &mut [])?;
        Ok(DryRun {
            valid_loss: fitted
                .progress
                .valid_loss
                .expect("the last step is validated"),
            baseline: self.baseline_name().into(),
            baseline_loss: loss(&fit.evaluation().baseline(self)?),
            seconds: started.elapsed().as_secs_f64(),
            peak_rss_bytes: peak_rss_bytes(),
        })
    }
}

fn loss(scores: &[(&'static str, f64)]) -> f64 {
    scores
        .iter()
        .find_map(|(name, value)| (*name == "loss").then_some(*value))
        .expect("scores begin with the loss")
}
