//! An experiment with its sounds open, on which stages are prepared.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use params::ParamSpec;
use stft_data::{Dataset, FileSource, Fingerprint, Rejected, Source, Split, TrainStatistics};

use crate::data::labels::labelled;
use crate::data::sounds::SoundSet;
use crate::data::source::OpenedSource;
use crate::error::TrainerError;
use crate::run::checkpoint::{Checkpoint, Context};
use crate::run::run_dir::{RunDir, RunLock};
use crate::run::trained_on::{TrainedOn, fingerprints};
use crate::settings::experiment::Experiment;
use crate::settings::stage::Stage;
use crate::settings::stages::Stages;
use crate::settings::training::Training;
use crate::stages::context::StageContext;
use crate::stages::lineage::{Init, WeightSource};
use crate::stages::spec::WorkInputs;
use crate::stages::stage_run::StageRun;
use crate::stages::start::{find_start, unused};
use crate::stages::weights::checkpoint_sha256;
use crate::training::devices::Devices;
use crate::training::fit::Fit;

/// An experiment with its sounds open: what all of its stages have in common.
pub struct Session {
    experiment: Experiment,
    dataset: Dataset,
    files: Option<Arc<FileSource>>,
    sounds: SoundSet,
    training_sounds: OnceLock<TrainedOn>,
}

impl Session {
    /// Opens the sounds of `experiment`. All files are read, and the training split is measured, unless its `statistics` are
    /// known from an earlier call.
    ///
    /// # Errors
    /// The data can't be used.
    pub fn open(
        experiment: Experiment,
        statistics: Option<TrainStatistics>,
    ) -> Result<Self, TrainerError> {
        let _sounds = tracing::info_span!("open_sounds").entered();
        let OpenedSource { source, files } = OpenedSource::open(&experiment)?;
        Self::with_files(source, files, experiment, statistics)
    }

    /// The same on sounds of your own, whatever source `experiment` names.
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
            training_sounds: OnceLock::new(),
        })
    }

    /// The same sounds, read and measured once, under other settings of the stages.
    pub fn with_stages(&self, stages: Stages) -> Self {
        Self {
            experiment: Experiment {
                stages,
                ..self.experiment.clone()
            },
            dataset: self.dataset.clone(),
            files: self.files.clone(),
            sounds: self.sounds.clone(),
            training_sounds: self.training_sounds.clone(),
        }
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

    /// The training loop over these sounds, for a task of one's own that checkpoints call `name`.
    pub fn fit<'a>(&self, name: &str, training: &'a Training, devices: Devices) -> Fit<'a> {
        Fit {
            training,
            dataset: Arc::new(self.dataset.clone()),
            workers: self.experiment.loader.workers,
            devices,
            started: Instant::now(),
            context: Context {
                stage: name.to_owned(),
                normalization: self.dataset.normalization(),
                experiment: self.experiment.clone(),
                parameters: self.parameters().cloned(),
                provenance: None,
            },
            trained_on: self.training_sounds().clone(),
        }
    }

    /// Locks `run` for this process, and writes the settings, the statistics of the training split and which sounds these
    /// are.
    ///
    /// # Errors
    /// As [`RunDir::begin`].
    pub fn begin(&self, run: &RunDir) -> Result<RunLock, TrainerError> {
        let lock = run.begin(&self.experiment, self.dataset.statistics())?;
        run.keep_sounds(&self.sounds)?;
        Ok(lock)
    }

    /// Checks that the sounds are such as `stage` needs.
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

    /// Checks that there is something to test on.
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

    /// Checks that every sound has labels.
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

    /// The sounds that stages of this session are trained on or selected by.
    fn training_sounds(&self) -> &TrainedOn {
        self.training_sounds.get_or_init(|| {
            let mut sounds = TrainedOn::default();
            for split in [Split::Train, Split::Valid] {
                for &index in self.dataset.indices(split) {
                    sounds.add(self.fingerprints(index));
                }
            }
            sounds
        })
    }

    fn fingerprints(&self, index: usize) -> impl Iterator<Item = Fingerprint> + use<> {
        fingerprints(&**self.dataset.source(), self.files.as_deref(), index)
    }

    /// The sounds that the weights of `stage` will have been trained on, where they are initialised from `start`.
    ///
    /// # Errors
    /// [`TrainerError::Contaminated`], or `start` has no record of its training sounds.
    fn trained_on(
        &self,
        stage: Stage,
        start: Option<&Checkpoint>,
    ) -> Result<TrainedOn, TrainerError> {
        let here = self.training_sounds();
        let Some(start) = start else {
            return Ok(here.clone());
        };
        let mut trained_on = start.trained_on()?;
        let held_out = self.dataset.indices(Split::Test);
        // Patches that sound the same may be in different splits here: that is a property of the data.
        let is_contaminated = |&&index: &&usize| {
            self.fingerprints(index)
                .any(|fingerprint| trained_on.has(fingerprint) && !here.has(fingerprint))
        };
        let contaminated: Vec<usize> = held_out.iter().filter(is_contaminated).copied().collect();
        if let Some(&first) = contaminated.first() {
            return Err(TrainerError::Contaminated {
                stage: stage.name(),
                path: start.path().to_owned(),
                known: contaminated.len(),
                held_out: held_out.len(),
                first: self.dataset.source().name(first),
            });
        }
        trained_on.join(here);
        Ok(trained_on)
    }

    /// A stage that is ready to run, initialised from the weights in `source`.
    ///
    /// # Errors
    /// As [`check`](Self::check); [`TrainerError::NoStart`], [`TrainerError::StartDiffers`] and
    /// [`TrainerError::Contaminated`], if the weights are missing, belong to other settings, or were trained on sounds that
    /// are held out here.
    pub fn stage(&self, stage: Stage, source: WeightSource) -> Result<StageRun<'_>, TrainerError> {
        self.check(stage)?;
        let stages = &self.experiment.stages;
        let start = match (source, stage.starts_from(stages)) {
            (WeightSource::Path(path), None) => return Err(unused(stage, path)),
            (WeightSource::Itself(_), _) | (_, None) => None,
            (_, Some(needs)) => find_start(&self.experiment, stage, needs, source)?,
        };
        let init = match (source, &start) {
            (WeightSource::Itself(run), _) => {
                let last = Checkpoint::open(&run.stage(stage.name()).last())?;
                Init::Resume(Box::new(last))
            }
            (_, None) => Init::New,
            (source, Some(start)) => Init::From {
                path: match source {
                    WeightSource::Path(path) => path.to_owned(),
                    _ => start.path().to_owned(),
                },
                checkpoint: Box::new(start.clone()),
            },
        };
        let dataset = self.dataset_for(stage, init.checkpoint())?;
        let trained_on = self.trained_on(stage, init.checkpoint())?;
        let all_sounds = self
            .dataset
            .evaluating_beginnings()
            .with_normalization(dataset.normalization());
        let work = stage.spec().work(WorkInputs {
            experiment: &self.experiment,
            dataset: &dataset,
            all_sounds: &all_sounds,
            parameters: self.parameters(),
            start,
            resumed: init.resumed_provenance(),
        })?;
        Ok(StageRun {
            context: StageContext {
                stage,
                experiment: &self.experiment,
                training: stages.training(stage),
                dataset: Arc::new(dataset),
                parameters: self.parameters(),
                sounds: &self.sounds,
                files_used: self.files_used(),
                files_rejected: self.rejected().len(),
                init,
                hash: checkpoint_sha256,
                trained_on,
            },
            work,
        })
    }

    /// The sounds as `stage` sees them, in the scale of the weights that it is initialised from.
    fn dataset_for(
        &self,
        stage: Stage,
        start: Option<&Checkpoint>,
    ) -> Result<Dataset, TrainerError> {
        let mut dataset = self
            .dataset
            .with_mask(stage.spec().mask(&self.experiment))?;
        if stage.is_labelled() {
            // As in `predict`.
            dataset = dataset.evaluating_beginnings();
        }
        if let Some(share) = self.experiment.stages.label_fraction(stage) {
            dataset = dataset.with_training(&labelled(&dataset, share));
        }
        if self.experiment.stages.compares_sounds(stage) {
            dataset = dataset.with_sounds();
        }
        if let Some(checkpoint) = start {
            dataset = dataset.with_normalization(checkpoint.context.normalization);
        }
        Ok(dataset)
    }
}
