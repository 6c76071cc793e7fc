//! An experiment whose sounds are open, and how a stage is prepared on it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use losses::{CompositeConfig, Domain};
use params::ParamSpec;
use stft_data::{
    Dataset, FileSource, Fingerprint, MaskConfig, Rejected, Source, Split, TrainStatistics,
};

use crate::run::checkpoint::Checkpoint;
use crate::error::TrainerError;
use crate::stages::test::TestStage;
use crate::settings::experiment::Experiment;
use crate::parameters::feature_encoder::{FeatureEncoder, TransformerFeatures, UNetFeatures};
use crate::stages::train::TrainStage;
use crate::run::trained_on::{TrainedOn, names};
use crate::stages::job::Job;
use crate::data::labels::labelled;
use crate::parameters::probe_data::ProbeData;
use crate::parameters::network::ParameterNetwork;
use crate::run::lineage::{Init, Provenance};
use crate::parameters::metrics::{Average, truths};
use crate::stages::stage_run::StageRun;
use crate::run::run_dir::{RunDir, RunLock};
use crate::data::sounds::{Findings, SoundSet};
use crate::data::source::OpenedSource;
use crate::settings::stage::Stage;
use crate::stages::start::{WeightSource, start, unused};
use crate::tasks::{
    ContrastivePretraining, ParameterEstimation, PatchReconstruction, Scored, SpectralObjective,
    SpectrogramAutoencoder, Trained,
};

/// An experiment with its sounds open: what all of its stages have in common.
pub struct Session {
    experiment: Experiment,
    dataset: Dataset,
    files: Option<Arc<FileSource>>,
    sounds: SoundSet,
    learned: OnceLock<TrainedOn>,
}

impl Session {
    /// Opens the data of `experiment`. All files are looked at and the training split is measured, but for what is known from an
    /// earlier call. Decoded sound files are kept in the folder `cache`, if one is given.
    ///
    /// # Errors
    /// The data can't be used.
    pub fn open(
        experiment: Experiment,
        cache: Option<&Path>,
        known: Findings,
    ) -> Result<Self, TrainerError> {
        let Findings { statistics, index } = known;
        let OpenedSource { source, files } = OpenedSource::open(&experiment, cache, index)?;
        Self::with_files(source, files, experiment, statistics)
    }

    /// The same on sounds of your own, whatever `experiment` says of their source.
    ///
    /// # Errors
    /// The data can't be used.
    pub fn over(
        source: Arc<dyn Source>,
        experiment: Experiment,
        statistics: Option<TrainStatistics>,
    ) -> Result<Self, TrainerError> {
        Self::with_files(source, None, experiment, statistics)
    }

    fn with_files(
        source: Arc<dyn Source>,
        files: Option<Arc<FileSource>>,
        experiment: Experiment,
        statistics: Option<TrainStatistics>,
    ) -> Result<Self, TrainerError> {
        let sounds = SoundSet::of(&*source, files.as_deref());
        let (data, seed) = (&experiment.data, experiment.seed);
        let dataset = match statistics {
            Some(statistics) => Dataset::open_with(source, data, seed, statistics)?,
            None => Dataset::open(source, data, seed)?,
        };
        Ok(Self {
            experiment,
            dataset,
            files,
            sounds,
            learned: OnceLock::new(),
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

    /// How many of them were opened to see what they are; the others are as an earlier call has left them.
    pub fn files_opened(&self) -> usize {
        self.files.as_ref().map_or(0, |files| files.opened())
    }

    /// Which sounds these are.
    pub fn sounds(&self) -> &SoundSet {
        &self.sounds
    }

    /// Files that can't be used, each with its reason.
    pub fn rejected(&self) -> &[Rejected] {
        self.files.as_ref().map_or(&[], |files| files.rejected())
    }

    /// The parameters that the sounds are labelled with, if they are.
    pub fn parameters(&self) -> Option<&ParamSpec> {
        self.dataset.source().spec()
    }

    /// Takes `run` for this process, and has it keep the settings, what was measured of the training split, which sounds
    /// these are, and what was found of their files.
    ///
    /// # Errors
    /// As [`RunDir::begin`].
    pub fn begin(&self, run: &RunDir) -> Result<RunLock, TrainerError> {
        let lock = run.begin(&self.experiment, self.dataset.statistics())?;
        run.keep_sounds(&self.sounds)?;
        if let Some(files) = &self.files {
            run.keep_index(&files.index())?;
        }
        Ok(lock)
    }

    /// That the sounds are such as `stage` needs.
    ///
    /// # Errors
    /// [`TrainerError::Unlabelled`] and [`TrainerError::NothingHeldOut`].
    pub fn check(&self, stage: Stage) -> Result<(), TrainerError> {
        if stage.is_labelled() {
            self.check_labels(stage)?;
        }
        if stage.is_test() {
            self.check_held_out()?;
        }
        Ok(())
    }

    /// That there is something to test on.
    ///
    /// # Errors
    /// [`TrainerError::NothingHeldOut`]
    pub fn check_held_out(&self) -> Result<(), TrainerError> {
        match self.dataset.indices(Split::Test).is_empty() {
            false => Ok(()),
            true => Err(TrainerError::NothingHeldOut {
                sounds: self.sounds.count,
                share: self.experiment.data.split.test,
            }),
        }
    }

    /// That there are labels, and that no sound is without.
    fn check_labels(&self, stage: Stage) -> Result<(), TrainerError> {
        let unlabelled = |sounds: String| TrainerError::Unlabelled {
            stage: stage.name(),
            sounds,
        };
        if self.parameters().is_none() {
            let source = PathBuf::from(self.experiment.source.path.clone());
            return Err(unlabelled(source.display().to_string()));
        }
        let source = self.dataset.source();
        match (0..source.len()).find(|&index| source.truth(index).is_none()) {
            Some(index) => Err(unlabelled(source.name(index))),
            None => Ok(()),
        }
    }

    /// The sounds that stages learn from here, or are chosen by.
    fn learned(&self) -> &TrainedOn {
        self.learned.get_or_init(|| {
            let mut learned = TrainedOn::default();
            for split in [Split::Train, Split::Valid] {
                for &index in self.dataset.indices(split) {
                    learned.add(self.names(index));
                }
            }
            learned
        })
    }

    fn names(&self, index: usize) -> impl Iterator<Item = Fingerprint> + use<> {
        names(&**self.dataset.source(), self.files.as_deref(), index)
    }

    /// Which sounds the weights that `stage` leaves will know, where they grow from those of `start`.
    ///
    /// # Errors
    /// [`TrainerError::Contaminated`], or `start` doesn't say what it knows.
    fn heard(&self, stage: Stage, start: Option<&Checkpoint>) -> Result<TrainedOn, TrainerError> {
        let learned = self.learned();
        let Some(start) = start else {
            return Ok(learned.clone());
        };
        let mut heard = start.heard()?;
        let held_out = self.dataset.indices(Split::Test);
        // Presets that sound the same may be apart here, and are the data's own affair.
        let is_known = |&&index: &&usize| {
            self.names(index)
                .any(|name| heard.has(name) && !learned.has(name))
        };
        let known: Vec<usize> = held_out.iter().filter(is_known).copied().collect();
        if let Some(&first) = known.first() {
            return Err(TrainerError::Contaminated {
                stage: stage.name(),
                path: start.path().to_owned(),
                known: known.len(),
                held_out: held_out.len(),
                first: self.dataset.source().name(first),
            });
        }
        heard.join(learned);
        Ok(heard)
    }

    /// A stage, with the weights that it starts from looked up.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`TrainerError::NoStart`], [`TrainerError::StartDiffers`] and [`TrainerError::Contaminated`], if
    /// what it starts from isn't there, belongs to other settings, or knows sounds that are held out here.
    pub fn stage(&self, stage: Stage, starts: WeightSource) -> Result<StageRun<'_>, TrainerError> {
        let stages = &self.experiment.stages;
        self.check(stage)?;
        let start = match (starts, stage.starts_from(stages)) {
            (WeightSource::Path(path), None) => return Err(unused(stage, path)),
            (WeightSource::Itself(_), _) | (_, None) => None,
            (_, Some(needs)) => start(&self.experiment, stage, needs, starts)?,
        };
        let mut dataset = self.dataset.with_mask(self.mask(stage))?;
        if stage.is_labelled() {
            // As `predict` hears them.
            dataset = dataset.evaluating_beginnings();
        }
        if let Some(share) = stages.label_fraction(stage) {
            dataset = dataset.with_training(&labelled(&dataset, share));
        }
        let beginning = match (starts, &start) {
            (WeightSource::Itself(run), _) => {
                let last = Checkpoint::open(&run.stage(stage.name()).last())?;
                Init::Last(Box::new(last))
            }
            (_, None) => Init::New,
            (starts, Some(start)) => Init::Of {
                path: match starts {
                    WeightSource::Path(path) => path.to_owned(),
                    _ => start.path().to_owned(),
                },
                checkpoint: Box::new(start.clone()),
            },
        };
        // The scale that the weights know, and the sounds.
        if let Some(checkpoint) = beginning.checkpoint() {
            dataset = dataset.with_normalization(checkpoint.context.normalization);
        }
        let heard = self.heard(stage, beginning.checkpoint())?;
        Ok(StageRun {
            stage,
            job: self.job(stage, &dataset, start, beginning.earlier())?,
            opened: self,
            dataset: Arc::new(dataset),
            beginning,
            heard,
        })
    }

    /// What a stage hides.
    fn mask(&self, stage: Stage) -> MaskConfig {
        let Experiment {
            data,
            transformer,
            stages,
            ..
        } = &self.experiment;
        match stage {
            Stage::PretrainAutoencoderMae | Stage::TestAutoencoder => data.mask,
            Stage::TrainAutoencoderNomaskFinetune => nothing_hidden(data.mask),
            Stage::PretrainTransformerContrastive => stages
                .pretrain_transformer_contrastive
                .mask
                .over(transformer),
            Stage::TrainTransformerDecoder => {
                stages.train_transformer_decoder.mask.over(transformer)
            }
            Stage::TrainFullTransformer | Stage::TestTransformer => {
                stages.train_full_transformer.mask.over(transformer)
            }
            Stage::FinetuneParametersAutoencoder => {
                stages.finetune_parameters_autoencoder.mask_over(data)
            }
            Stage::FinetuneParametersTransformer => {
                stages.finetune_parameters_transformer.mask_over(data)
            }
        }
    }

    fn job(
        &self,
        stage: Stage,
        dataset: &Dataset,
        start: Option<Checkpoint>,
        earlier: Option<&Provenance>,
    ) -> Result<Box<dyn Job>, TrainerError> {
        let Experiment {
            seed,
            data,
            transformer,
            stages,
            ..
        } = &self.experiment;
        Ok(match stage {
            Stage::PretrainAutoencoderMae => {
                Box::new(TrainStage(self.autoencoder(Scored::Hidden, None, dataset)?))
            }
            Stage::TrainAutoencoderNomaskFinetune => Box::new(TrainStage(self.autoencoder(
                Scored::Everything,
                start,
                dataset,
            )?)),
            Stage::PretrainTransformerContrastive => Box::new(TrainStage(ContrastivePretraining {
                model: transformer.clone(),
                loss: stages.pretrain_transformer_contrastive.loss,
                hidden_ratio: dataset.config().mask.ratio,
                normalization: dataset.normalization(),
                n_fft: data.stft.n_fft,
                seed: *seed,
            })),
            Stage::TrainTransformerDecoder => Box::new(TrainStage(PatchReconstruction {
                trained: Trained::Decoder,
                start,
                spectral: None,
                ..self.patches(Scored::Hidden, dataset)?
            })),
            Stage::TrainFullTransformer => Box::new(TrainStage(PatchReconstruction {
                start,
                ..self.patches(Scored::Hidden, dataset)?
            })),
            Stage::TestAutoencoder => Box::new(TestStage {
                hidden: self.autoencoder(Scored::Hidden, None, dataset)?,
                whole: self.autoencoder(Scored::Everything, None, dataset)?,
                trained_for: Scored::Everything,
                tested: start,
            }),
            Stage::TestTransformer => Box::new(TestStage {
                hidden: self.patches(Scored::Hidden, dataset)?,
                whole: self.patches(Scored::Everything, dataset)?,
                trained_for: Scored::Hidden,
                tested: start,
            }),
            Stage::FinetuneParametersAutoencoder => Box::new(TrainStage(
                self.estimation::<UNetFeatures>(start, earlier, dataset),
            )),
            Stage::FinetuneParametersTransformer => Box::new(TrainStage(
                self.estimation::<TransformerFeatures>(start, earlier, dataset),
            )),
        })
    }

    /// The task of learning the parameters of labelled sounds, from `start` or, where it was begun, with weights of `earlier`.
    fn estimation<E: FeatureEncoder>(
        &self,
        start: Option<Checkpoint>,
        earlier: Option<&Provenance>,
        dataset: &Dataset,
    ) -> ParameterEstimation<E> {
        let settings = E::heads_stage(&self.experiment.stages);
        let spec = self.parameters().expect("labels were checked");
        let giver = start.as_ref().and_then(|start| {
            let theirs = &start.context;
            let spec = theirs.parameters.as_ref()?;
            Some(ParameterNetwork::new(
                &theirs.experiment,
                spec,
                theirs.normalization,
            ))
        });
        let labels = truths(dataset, dataset.indices(Split::Train));
        let network = ParameterNetwork::new(&self.experiment, spec, dataset.normalization());
        ParameterEstimation {
            head_transfer: match &giver {
                Some(giver) => Some(network.transfer_from(giver).0),
                None => earlier.and_then(|origin| origin.heads.clone()),
            },
            network,
            shift_frames: settings.shift_frames,
            seed: self.experiment.seed,
            training: settings.encoder,
            encoder_lr: settings.encoder_lr,
            loss: settings.loss,
            average: Average::of(&labels, spec),
            start,
            giver,
            linear: ProbeData {
                // Sounds to train with, whether their labels are used or not.
                dataset: self
                    .dataset
                    .evaluating_beginnings()
                    .with_normalization(dataset.normalization()),
                labelled: dataset.indices(Split::Train).to_vec(),
                workers: self.experiment.loader.workers,
            },
        }
    }

    /// The U-Net's task: that of pretraining, or that of finetuning.
    fn autoencoder(
        &self,
        scored: Scored,
        start: Option<Checkpoint>,
        dataset: &Dataset,
    ) -> Result<SpectrogramAutoencoder, TrainerError> {
        let stages = &self.experiment.stages;
        let finetuning = &stages.train_autoencoder_nomask_finetune;
        let (loss, spectral) = match scored {
            Scored::Hidden => (stages.pretrain_autoencoder_mae.loss, None),
            Scored::Everything => (
                finetuning.loss,
                spectral(&finetuning.composite, finetuning.composite_weight, dataset)?,
            ),
        };
        Ok(SpectrogramAutoencoder {
            model: self.experiment.unet.clone(),
            start,
            loss,
            scored,
            spectral,
        })
    }

    /// The whole Transformer's task, from new weights.
    fn patches(
        &self,
        scored: Scored,
        dataset: &Dataset,
    ) -> Result<PatchReconstruction, TrainerError> {
        let settings = &self.experiment.stages.train_full_transformer;
        Ok(PatchReconstruction {
            model: self.experiment.transformer.clone(),
            trained: Trained::Everything,
            start: None,
            scored,
            spectral: spectral(&settings.composite, settings.composite_weight, dataset)?,
            hidden_ratio: dataset.config().mask.ratio,
        })
    }
}

/// The same mask with nothing under it.
pub(crate) fn nothing_hidden(mask: MaskConfig) -> MaskConfig {
    MaskConfig { ratio: 0.0, ..mask }
}

fn spectral(
    composite: &CompositeConfig,
    weight: f32,
    dataset: &Dataset,
) -> Result<Option<SpectralObjective>, TrainerError> {
    let composite = composite.init(Domain::Magnitude)?;
    Ok((weight > 0.0).then_some(SpectralObjective {
        composite,
        weight,
        normalization: dataset.normalization(),
    }))
}
