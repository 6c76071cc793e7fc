//! The experiment file: everything that a run depends on, and how it is read.
//!
//! The default experiment is part of the program. A file says only what it changes, and
//! `--set` changes that again; every number thus stands in one place.

use std::path::{Path, PathBuf};

use heads::{BandConfig, ParameterHeadsConfig};
use losses::{CompositeConfig, Domain, InfoNce, Norm, ParameterLoss};
use serde::{Deserialize, Serialize};
use stft_data::{ClipConfig, DataConfig, DataError, MaskConfig, MaskStrategy, StftConfig};
use transformer::TransformerConfig;
use unet1d::UNet1dConfig;

use crate::error::TrainerError;
use crate::layers::Layers;
use crate::optimizer::OptimizerConfig;
use crate::schedule::LrSchedule;
use crate::stage::Stage;

/// The default experiment, `configs/experiments.toml`.
const DEFAULT_EXPERIMENT: &str = include_str!("../../../configs/experiments.toml");

/// All settings of a run, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Every random draw of the run follows from this number.
    pub seed: u64,
    /// Where sounds come from.
    pub source: SourceConfig,
    /// What is done to a sound before a model sees it.
    pub data: DataConfig,
    /// How batches are fetched.
    pub loader: LoaderConfig,
    /// The U-Net. `in_channels` follows from the STFT and need not be written.
    pub unet: UNet1dConfig,
    /// The Transformer. `encoder.bins` and `encoder.max_frames` follow from the STFT and the clip and need
    /// not be written.
    pub transformer: TransformerConfig,
    /// One table for each stage.
    pub stages: Stages,
}

/// Where sounds come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// `"synth"`, the embedded synthesizer, or where sound files are.
    pub path: SoundSource,
    /// Number of patches that are drawn, where the source is the synthesizer.
    pub synth_examples: usize,
    /// Disk space for decoded and resampled sound files, in MiB; 0 keeps none. Decides on speed alone.
    pub disk_cache_mib: u64,
}

/// The embedded synthesizer, or files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PathBuf", into = "PathBuf")]
pub enum SoundSource {
    /// Patches of the embedded synthesizer, rendered when they are needed.
    Synth,
    /// A directory that is searched recursively, or a list of sounds: `manifest.jsonl` with
    /// its `params.json`, NSynth's `examples.json`, AudioCraft's JSONL.
    Files(PathBuf),
}

impl From<PathBuf> for SoundSource {
    fn from(path: PathBuf) -> Self {
        // Not `Path::eq`, which takes `synth/`, a directory, for the same.
        if path.as_os_str() == "synth" {
            Self::Synth
        } else {
            Self::Files(path)
        }
    }
}

impl From<SoundSource> for PathBuf {
    fn from(source: SoundSource) -> Self {
        match source {
            SoundSource::Synth => "synth".into(),
            SoundSource::Files(path) => path,
        }
    }
}

/// How batches are fetched. Results don't depend on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoaderConfig {
    /// Threads that make batches while the model trains; 0 makes them in the training thread.
    pub workers: usize,
}

/// Settings of each stage, by its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stages {
    /// Masked-autoencoder pretraining of the U-Net.
    pub pretrain_autoencoder_mae: AutoencoderStage,
    /// Contrastive pretraining of the Transformer's encoder.
    pub pretrain_transformer_contrastive: ContrastiveStage,
    /// Training of a decoder on the pretrained encoder, which stays as it is.
    pub train_transformer_decoder: DecoderStage,
    /// Training of encoder and decoder together.
    pub train_full_transformer: FullStage,
    /// Finetuning of the U-Net, with nothing hidden.
    pub train_autoencoder_nomask_finetune: FinetuneStage,
    /// Parameter heads on the U-Net.
    pub finetune_parameters_autoencoder: ParameterStage<AutoencoderStart>,
    /// Parameter heads on the Transformer's encoder.
    pub finetune_parameters_transformer: ParameterStage<TransformerStart>,
}

impl Stages {
    /// The share of the labels that `stage` uses; none for stages that use none.
    pub fn label_fraction(&self, stage: Stage) -> Option<f64> {
        match stage {
            Stage::FinetuneParametersAutoencoder => {
                Some(self.finetune_parameters_autoencoder.label_fraction)
            }
            Stage::FinetuneParametersTransformer => {
                Some(self.finetune_parameters_transformer.label_fraction)
            }
            _ => None,
        }
    }

    /// The loop's settings of `stage`; for a test those of what is tested, whose batches it takes.
    pub fn training(&self, stage: Stage) -> &Training {
        match stage {
            Stage::PretrainAutoencoderMae => &self.pretrain_autoencoder_mae.training,
            Stage::PretrainTransformerContrastive => {
                &self.pretrain_transformer_contrastive.training
            }
            Stage::TrainTransformerDecoder => &self.train_transformer_decoder.training,
            Stage::TrainFullTransformer | Stage::TestTransformer => {
                &self.train_full_transformer.training
            }
            Stage::TrainAutoencoderNomaskFinetune | Stage::TestAutoencoder => {
                &self.train_autoencoder_nomask_finetune.training
            }
            Stage::FinetuneParametersAutoencoder => &self.finetune_parameters_autoencoder.training,
            Stage::FinetuneParametersTransformer => &self.finetune_parameters_transformer.training,
        }
    }
}

/// Settings of a stage that trains the U-Net to reconstruct.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderStage {
    /// Distance between reconstruction and target: `"l1"` or `"l2"`.
    pub loss: Norm,
    /// The loop.
    pub training: Training,
}

/// Settings of the stage that finetunes the U-Net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneStage {
    /// Distance between reconstruction and target: `"l1"` or `"l2"`.
    pub loss: Norm,
    /// Weight of the composite beside that distance; 0 leaves it out.
    pub composite_weight: f32,
    /// Distances between whole spectrograms, on magnitudes.
    pub composite: CompositeConfig,
    /// The loop.
    pub training: Training,
}

/// Which of the Transformer's patches are hidden: the mask's cells are the patches.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenMask {
    /// Share of the patches, in 0..1.
    pub ratio: f32,
    /// Which ones.
    pub strategy: MaskStrategy,
}

/// Settings of the stage that trains the Transformer's encoder by contrast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContrastiveStage {
    /// What is hidden.
    pub mask: TokenMask,
    /// The objective.
    pub loss: InfoNce,
    /// The loop.
    pub training: Training,
}

/// Settings of the stage that trains a decoder on a fixed encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderStage {
    /// What is hidden.
    pub mask: TokenMask,
    /// The loop.
    pub training: Training,
}

/// Settings of the stage that trains encoder and decoder together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullStage {
    /// What is hidden.
    pub mask: TokenMask,
    /// Weight of the composite beside the squared error of hidden patches; 0 leaves it out.
    pub composite_weight: f32,
    /// Distances between whole spectrograms, on magnitudes.
    pub composite: CompositeConfig,
    /// The loop.
    pub training: Training,
}

/// Settings of a stage that trains parameter heads on an encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterStage<Start> {
    /// Where the encoder's weights come from: a stage, or `"scratch"`.
    pub start: Start,
    /// Whether the encoder is trained as well.
    pub encoder: EncoderTraining,
    /// Learning rate of the encoder, and of what reads the spectrogram beside it where another run has trained it, as a
    /// multiple of the heads'.
    pub encoder_lr: f64,
    /// Share of the training split whose labels are used, in 0..1; at least one example is. A larger share has all of
    /// a smaller one's.
    pub label_fraction: f64,
    /// Pieces of the clip whose features are averaged apart.
    pub segments: usize,
    /// Sounds begin by up to so many frames earlier or later in training.
    pub shift_frames: usize,
    /// Small networks that read the spectrogram beside an encoder that is finetuned.
    pub bands: Vec<BandConfig>,
    /// How much of the estimate a linear map of what the spectrogram does over time tells, beside an encoder that is
    /// finetuned: from 0, for no such map, to below 1, where nobody would see what the heads learn. Files from before there was one say nothing of it.
    #[serde(default)]
    pub linear_share: f64,
    /// What is hidden from the encoder in training, in cells of `data.mask`.
    pub mask: TokenMask,
    /// The heads.
    pub heads: ParameterHeadsConfig,
    /// The objective.
    pub loss: ParameterLoss,
    /// The loop.
    pub training: Training,
}

/// What becomes of an encoder under parameter heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderTraining {
    /// It stays as it is; the heads alone learn.
    Frozen,
    /// It learns with the heads.
    Finetuned,
}

/// Where a U-Net under parameter heads starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoencoderStart {
    /// From weights as they are drawn.
    Scratch,
    /// From [`Stage::PretrainAutoencoderMae`].
    PretrainAutoencoderMae,
    /// From [`Stage::TrainAutoencoderNomaskFinetune`].
    TrainAutoencoderNomaskFinetune,
    /// From [`Stage::FinetuneParametersAutoencoder`] of another run, on another synthesizer's sounds for example: what
    /// hears is taken over, and what tells is new.
    FinetuneParametersAutoencoder,
}

impl AutoencoderStart {
    /// The stage that leaves the weights; none from scratch.
    pub fn stage(self) -> Option<Stage> {
        match self {
            Self::Scratch => None,
            Self::PretrainAutoencoderMae => Some(Stage::PretrainAutoencoderMae),
            Self::TrainAutoencoderNomaskFinetune => Some(Stage::TrainAutoencoderNomaskFinetune),
            Self::FinetuneParametersAutoencoder => Some(Stage::FinetuneParametersAutoencoder),
        }
    }
}

/// Where a Transformer's encoder under parameter heads starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransformerStart {
    /// From weights as they are drawn.
    Scratch,
    /// From [`Stage::PretrainTransformerContrastive`].
    PretrainTransformerContrastive,
    /// From [`Stage::TrainFullTransformer`].
    TrainFullTransformer,
    /// From [`Stage::FinetuneParametersTransformer`] of another run: what hears is taken over, and what tells is new.
    FinetuneParametersTransformer,
}

impl TransformerStart {
    /// The stage that leaves the weights; none from scratch.
    pub fn stage(self) -> Option<Stage> {
        match self {
            Self::Scratch => None,
            Self::PretrainTransformerContrastive => Some(Stage::PretrainTransformerContrastive),
            Self::TrainFullTransformer => Some(Stage::TrainFullTransformer),
            Self::FinetuneParametersTransformer => Some(Stage::FinetuneParametersTransformer),
        }
    }
}

impl TokenMask {
    /// The mask over bins whose cells are the patches of `transformer`.
    pub fn over(&self, transformer: &TransformerConfig) -> MaskConfig {
        MaskConfig {
            patch_bins: transformer.encoder.patch_bins,
            patch_frames: transformer.encoder.patch_frames,
            ratio: self.ratio,
            strategy: self.strategy,
        }
    }
}

/// Settings of the training loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Optimizer steps.
    pub steps: u64,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Batches whose gradients are averaged into one step.
    pub accumulation_steps: usize,
    /// Learning rate at the end of the warm-up.
    pub lr: f64,
    /// Learning rate at the end of the cosine decay.
    pub min_lr: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Steps between two validations; the last step is always validated.
    pub validate_every: u64,
    /// Steps between two log entries, which hold means over those steps.
    pub log_every: u64,
    /// Validation examples that are drawn and played at each validation.
    pub pictured_examples: usize,
    /// AdamW.
    pub optimizer: OptimizerConfig,
}

impl Training {
    /// The learning rate as a function of the step.
    pub fn schedule(&self) -> LrSchedule {
        LrSchedule {
            peak_lr: self.lr,
            min_lr: self.min_lr,
            warmup_steps: self.warmup_steps,
            steps: self.steps,
        }
    }
}

impl Experiment {
    /// Reads the default experiment, changed by `file` where given, then by `overrides`
    /// (each `a.b=value`; a value that isn't TOML is taken as a string).
    ///
    /// # Errors
    /// A file that can't be read, a key that doesn't exist (with its line and the nearest
    /// key), a value that doesn't fit, or settings that contradict each other.
    pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Self, TrainerError> {
        let (experiment, layers) = Self::read(file, overrides)?;
        experiment.validate().map_err(|error| layers.trace(error))?;
        Ok(experiment)
    }

    /// The data of an experiment and its seed, where nothing is trained: the rest must be written well, but need not
    /// fit.
    ///
    /// # Errors
    /// As [`load`](Self::load), of the data alone.
    pub fn load_data(
        file: Option<&Path>,
        overrides: &[String],
    ) -> Result<(DataConfig, u64), TrainerError> {
        let (experiment, layers) = Self::read(file, overrides)?;
        let valid = experiment.data.validate().map_err(in_data);
        valid.map_err(|error| layers.trace(error))?;
        Ok((experiment.data, experiment.seed))
    }

    fn read(file: Option<&Path>, overrides: &[String]) -> Result<(Self, Layers), TrainerError> {
        let mut layers = Layers::new("the default experiment", DEFAULT_EXPERIMENT)?;
        if let Some(path) = file {
            let text = std::fs::read_to_string(path).map_err(TrainerError::read(path))?;
            layers.add_text(&path.display().to_string(), &text)?;
        }
        let mut experiment: Self = layers.resolve(derive_sizes)?;
        for text in overrides {
            layers.add_override(text)?;
            experiment = layers.resolve(derive_sizes)?;
        }
        Ok((experiment, layers))
    }

    /// The experiment as TOML, complete.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("an experiment consists of plain tables and values")
    }

    /// What serde can't see: settings that can't work, alone or together.
    fn validate(&self) -> Result<(), TrainerError> {
        self.data.validate().map_err(in_data)?;
        if self.data.split.valid == 0.0 {
            let expected = "above 0: the loss on held-out sounds decides which weights are best";
            return Err(TrainerError::value("data.split.valid", expected, 0));
        }
        let rate = self.data.clip.sample_rate_hz;
        if self.source.path == SoundSource::Synth && rate < synth::MIN_SAMPLE_RATE_HZ {
            let expected = format!("at least {} for the synthesizer", synth::MIN_SAMPLE_RATE_HZ);
            return Err(TrainerError::value(
                "data.clip.sample_rate_hz",
                expected,
                rate,
            ));
        }
        within(
            "source.synth_examples",
            self.source.synth_examples as u64,
            1,
            100_000_000,
        )?;
        within("loader.workers", self.loader.workers as u64, 0, 256)?;
        let bins = self.data.stft.bins();
        if self.unet.in_channels != bins {
            let expected = format!(
                "{bins}, the bins of data.stft.n_fft = {} (n_fft / 2 + 1); leave the key out to have it derived",
                self.data.stft.n_fft
            );
            return Err(TrainerError::value(
                "unet.in_channels",
                expected,
                self.unet.in_channels,
            ));
        }
        self.unet.validate()?;
        self.validate_transformer()?;
        let stages = &self.stages;
        stages
            .pretrain_autoencoder_mae
            .validate_masked(&self.data, "stages.pretrain_autoencoder_mae")?;
        let contrastive = &stages.pretrain_transformer_contrastive;
        let table = "stages.pretrain_transformer_contrastive";
        contrastive
            .loss
            .validate()
            .map_err(in_loss(&format!("{table}.loss")))?;
        let ratio = contrastive.mask.ratio;
        let tokens = self.transformer.encoder.grid(self.data.frames()).tokens();
        if ratio * (tokens as f32) < 2.0 {
            let expected = format!(
                "a share of the {tokens} patches that hides two or more: one has no wrong answers"
            );
            return Err(TrainerError::value(
                format!("{table}.mask.ratio"),
                expected,
                ratio,
            ));
        }
        let decoder = &stages.train_transformer_decoder;
        let full = &stages.train_full_transformer;
        let finetuning = &stages.train_autoencoder_nomask_finetune;
        let full_table = "stages.train_full_transformer";
        let finetuning_table = "stages.train_autoencoder_nomask_finetune";
        validate_composite(full_table, full.composite_weight, &full.composite)?;
        validate_composite(
            finetuning_table,
            finetuning.composite_weight,
            &finetuning.composite,
        )?;
        finetuning
            .training
            .validate(&format!("{finetuning_table}.training"))?;
        for (table, mask, training) in [
            (table, &contrastive.mask, &contrastive.training),
            (
                "stages.train_transformer_decoder",
                &decoder.mask,
                &decoder.training,
            ),
            (full_table, &full.mask, &full.training),
        ] {
            self.validate_token_mask(mask, table)?;
            training.validate(&format!("{table}.training"))?;
        }
        stages
            .finetune_parameters_autoencoder
            .validate(&self.data, Stage::FinetuneParametersAutoencoder)?;
        stages
            .finetune_parameters_transformer
            .validate(&self.data, Stage::FinetuneParametersTransformer)
    }

    fn validate_transformer(&self) -> Result<(), TrainerError> {
        let encoder = &self.transformer.encoder;
        for (name, got, expected, from) in [
            ("bins", encoder.bins, self.data.bins(), "data.stft"),
            (
                "max_frames",
                encoder.max_frames,
                self.data.frames(),
                "data.clip and data.stft",
            ),
        ] {
            if got != expected {
                let expected = format!(
                    "{expected}, which follows from {from}; leave the key out to have it derived"
                );
                return Err(TrainerError::value(
                    format!("transformer.encoder.{name}"),
                    expected,
                    got,
                ));
            }
        }
        self.transformer.validate()?;
        for (name, got, most, whole) in [
            ("patch_bins", encoder.patch_bins, encoder.bins, "bins"),
            (
                "patch_frames",
                encoder.patch_frames,
                self.data.frames(),
                "frames",
            ),
        ] {
            if got > most {
                let expected = format!("at most {most}, the {whole} of a spectrogram");
                let key = format!("transformer.encoder.{name}");
                return Err(TrainerError::value(key, expected, got));
            }
        }
        Ok(())
    }

    fn validate_token_mask(&self, mask: &TokenMask, table: &str) -> Result<(), TrainerError> {
        if !(mask.ratio > 0.0 && mask.ratio < 1.0) {
            let expected =
                "above 0 and below 1: something has to be hidden, and something to be seen";
            return Err(TrainerError::value(
                format!("{table}.mask.ratio"),
                expected,
                mask.ratio,
            ));
        }
        mask.over(&self.transformer)
            .validate()
            .map_err(in_mask(table.trim_start_matches("stages.")))
    }
}

impl<Start> ParameterStage<Start> {
    /// The small networks that read the spectrogram beside the encoder. Beside a frozen one nothing does: heads tell what
    /// is in its features.
    pub fn bands_beside(&self) -> &[BandConfig] {
        match self.encoder {
            EncoderTraining::Finetuned => &self.bands,
            EncoderTraining::Frozen => &[],
        }
    }

    /// How much of the estimate the linear map tells, which a frozen encoder is without as well.
    pub fn linear_share_beside(&self) -> f64 {
        match self.encoder {
            EncoderTraining::Finetuned => self.linear_share,
            EncoderTraining::Frozen => 0.0,
        }
    }

    /// What is hidden in training, in cells of the mask of `data`.
    pub fn mask_over(&self, data: &DataConfig) -> MaskConfig {
        MaskConfig {
            ratio: self.mask.ratio,
            strategy: self.mask.strategy,
            ..data.mask
        }
    }

    fn validate(&self, data: &DataConfig, stage: Stage) -> Result<(), TrainerError> {
        let key = |name: &str| format!("stages.{stage}.{name}");
        let share = self.label_fraction;
        if !(share > 0.0 && share <= 1.0) {
            let expected =
                "above 0, up to 1: the share of the training split whose labels are used";
            return Err(TrainerError::value(key("label_fraction"), expected, share));
        }
        let rate = self.encoder_lr;
        if !(rate.is_finite() && rate > 0.0) {
            let expected = "a number above 0; `encoder = \"frozen\"` keeps the encoder as it is";
            return Err(TrainerError::value(key("encoder_lr"), expected, rate));
        }
        let share = self.linear_share;
        if !(0.0..1.0).contains(&share) {
            let expected = "from 0 to below 1: how much of the estimate the linear map tells";
            return Err(TrainerError::value(key("linear_share"), expected, share));
        }
        within(&key("segments"), self.segments as u64, 1, 1024)?;
        for (place, bands) in self.bands.iter().enumerate() {
            bands.validate().map_err(|error| {
                let name = key(&format!("bands.{place}.{}", error.field));
                TrainerError::value(name, error.expected, error.got)
            })?;
        }
        self.mask_over(data).validate().map_err(in_mask(stage))?;
        self.heads.validate().map_err(|error| {
            TrainerError::value(
                key(&format!("heads.{}", error.field)),
                error.expected,
                error.got,
            )
        })?;
        self.loss.validate().map_err(in_loss(&key("loss")))?;
        self.training.validate(&key("training"))
    }
}

/// The data crate's complaint about the mask of a stage.
fn in_mask(stage: impl std::fmt::Display) -> impl FnOnce(DataError) -> TrainerError {
    move |error| match error {
        DataError::Config {
            field,
            expected,
            got,
        } => {
            let name = field.rsplit('.').next().unwrap_or(field);
            TrainerError::value(format!("stages.{stage}.mask.{name}"), expected, got)
        }
        error => error.into(),
    }
}

impl AutoencoderStage {
    /// A stage that learns from what is hidden.
    fn validate_masked(&self, data: &DataConfig, table: &str) -> Result<(), TrainerError> {
        if data.mask.ratio == 0.0 {
            let expected = "above 0: a masked autoencoder learns from what is hidden";
            return Err(TrainerError::value("data.mask.ratio", expected, 0));
        }
        self.training.validate(&format!("{table}.training"))
    }
}

impl Training {
    /// `table` is the dotted path of these settings.
    fn validate(&self, table: &str) -> Result<(), TrainerError> {
        let key = |name: &str| format!("{table}.{name}");
        within(&key("steps"), self.steps, 1, u64::MAX)?;
        within(&key("batch_size"), self.batch_size as u64, 1, 65_536)?;
        within(
            &key("accumulation_steps"),
            self.accumulation_steps as u64,
            1,
            65_536,
        )?;
        within(&key("validate_every"), self.validate_every, 1, u64::MAX)?;
        within(&key("log_every"), self.log_every, 1, u64::MAX)?;
        let require = |holds: bool, name: &str, expected: &str, got: f64| match holds {
            true => Ok(()),
            false => Err(TrainerError::value(key(name), expected, got)),
        };
        let above_0 = |value: f64| value.is_finite() && value > 0.0;
        let from_0 = |value: f64| value.is_finite() && value >= 0.0;
        require(above_0(self.lr), "lr", "a number above 0", self.lr)?;
        let min_lr = (0.0..=self.lr).contains(&self.min_lr);
        require(min_lr, "min_lr", "a number from 0 to lr", self.min_lr)?;
        let optimizer = &self.optimizer;
        for (name, beta) in [("beta_1", optimizer.beta_1), ("beta_2", optimizer.beta_2)] {
            let name = format!("optimizer.{name}");
            let holds = (0.0..1.0).contains(&beta);
            require(holds, &name, "a number from 0 to below 1", beta.into())?;
        }
        // A parameter without a gradient divides zero by the square root of zero plus epsilon.
        let epsilon = f64::from(optimizer.epsilon);
        require(
            above_0(epsilon),
            "optimizer.epsilon",
            "a number above 0",
            epsilon,
        )?;
        for (name, value) in [
            ("optimizer.weight_decay", optimizer.weight_decay),
            ("optimizer.clip_norm", optimizer.clip_norm),
        ] {
            require(
                from_0(value.into()),
                name,
                "a number from 0 up",
                value.into(),
            )?;
        }
        Ok(())
    }
}

/// Settings of the data crate stand in the table `data` here.
fn in_data(error: DataError) -> TrainerError {
    match error {
        DataError::Config {
            field,
            expected,
            got,
        } => TrainerError::value(format!("data.{field}"), expected, got),
        other => other.into(),
    }
}

fn within(key: &str, got: u64, min: u64, max: u64) -> Result<(), TrainerError> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    let expected = match max {
        u64::MAX => format!("at least {min}"),
        _ => format!("from {min} to {max}"),
    };
    Err(TrainerError::value(key, expected, got))
}

/// `unet.in_channels` is the STFT's number of bins where nobody wrote another.
fn derive_sizes(table: &mut toml::Table) {
    fn number<T>(
        table: &toml::Table,
        path: [&str; 3],
        read: impl Fn(&toml::Value) -> Option<T>,
    ) -> Option<T> {
        let [outer, inner, key] = path;
        read(table.get(outer)?.get(inner)?.get(key)?)
    }
    let integer = |path| number(table, path, toml::Value::as_integer);
    let seconds = number(table, ["data", "clip", "seconds"], |value| {
        value
            .as_float()
            .or(value.as_integer().map(|whole| whole as f64))
    });
    let n_fft = integer(["data", "stft", "n_fft"]);
    let hop_length = integer(["data", "stft", "hop_length"]);
    let rate = integer(["data", "clip", "sample_rate_hz"]);
    let (Some(n_fft), Some(hop), Some(rate), Some(seconds)) = (n_fft, hop_length, rate, seconds)
    else {
        // Whatever is missing or of the wrong type is reported when the table is read.
        return;
    };
    let clip = ClipConfig {
        seconds: seconds as f32,
        sample_rate_hz: u32::try_from(rate).unwrap_or(0),
    };
    let stft = StftConfig {
        n_fft: usize::try_from(n_fft).unwrap_or(0),
        hop_length: usize::try_from(hop).unwrap_or(0),
        win_length: None,
    };
    let bins = stft.bins() as i64;
    let frames = match stft.validate().is_ok() && clip.samples() > 0 {
        true => stft.frames(clip.samples()) as i64,
        false => 0,
    };
    let fill = |table: Option<&mut toml::Value>, key: &str, value: i64| {
        if let Some(toml::Value::Table(table)) = table {
            table.entry(key).or_insert(toml::Value::Integer(value));
        }
    };
    fill(table.get_mut("unet"), "in_channels", bins);
    for (key, value) in [("bins", bins), ("max_frames", frames)] {
        let encoder = table
            .get_mut("transformer")
            .and_then(|table| table.get_mut("encoder"));
        fill(encoder, key, value);
    }
}

/// A composite and its weight, which stand in `table`.
fn validate_composite(
    table: &str,
    weight: f32,
    composite: &CompositeConfig,
) -> Result<(), TrainerError> {
    if !(weight.is_finite() && weight >= 0.0) {
        let key = format!("{table}.composite_weight");
        return Err(TrainerError::value(key, "a number from 0", weight));
    }
    let checked = composite.init(Domain::Magnitude);
    checked.map_err(in_loss(&format!("{table}.composite")))?;
    Ok(())
}

/// A loss's own complaint, under the key that it has in an experiment.
fn in_loss(table: &str) -> impl FnOnce(losses::LossError) -> TrainerError {
    let table = table.to_owned();
    move |error| match error {
        losses::LossError::OutOfRange {
            field,
            expected,
            got,
        } => TrainerError::value(format!("{table}.{field}"), expected, got),
        error => TrainerError::value(table, error.to_string(), "something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mine.toml");
        std::fs::write(&path, text).unwrap();
        (directory, path)
    }

    fn message(text: &str) -> String {
        let (_directory, path) = write(text);
        Experiment::load(Some(&path), &[]).unwrap_err().to_string()
    }

    #[test]
    fn a_file_changes_only_what_it_names() {
        let (_directory, path) = write("seed = 9\n[data.clip]\nseconds = 0.25\n");
        let mut expected = Experiment::load(None, &[]).unwrap();
        expected.seed = 9;
        expected.data.clip.seconds = 0.25;
        // And what follows from that.
        expected.transformer.encoder.max_frames = expected.data.frames();
        assert_eq!(Experiment::load(Some(&path), &[]).unwrap(), expected);
    }

    #[test]
    fn sizes_follow_from_any_n_fft() {
        for n_fft in [255, 256, 441, 511, 512, 513] {
            let experiment = Experiment::load(None, &[format!("data.stft.n_fft={n_fft}")]).unwrap();
            let encoder = &experiment.transformer.encoder;
            assert_eq!(encoder.max_frames, experiment.data.frames());
            assert_eq!(encoder.bins, experiment.data.stft.bins());
            assert_eq!(experiment.unet.in_channels, encoder.bins);
        }
    }

    #[test]
    fn the_default_experiment_takes_the_data_crates_own_defaults() {
        let experiment = Experiment::load(None, &[]).unwrap();
        assert_eq!(experiment.data, DataConfig::default());
    }

    #[test]
    fn the_resolved_experiment_is_read_back_as_itself() {
        let experiment = Experiment::load(None, &["seed=3".into()]).unwrap();
        let (_directory, path) = write(&experiment.to_toml());
        assert_eq!(Experiment::load(Some(&path), &[]).unwrap(), experiment);
    }

    #[test]
    fn a_misspelt_key_is_named_with_its_line_and_the_nearest_key() {
        let text =
            "seed = 1\n\n[stages.pretrain_autoencoder_mae.training]\nsteps = 5\nbatchsize = 4\n";
        let message = message(text);
        assert!(message.contains("mine.toml, line 5"), "{message}");
        assert!(message.contains("batchsize"), "{message}");
        assert!(message.contains("did you mean `batch_size`"), "{message}");
    }

    #[test]
    fn misspelt_tables_and_values_are_named_too() {
        let table = message("[data.stfft]\nn_fft = 512\n");
        assert!(
            table.contains("line 1") && table.contains("`stft`"),
            "{table}"
        );
        let value = message("[stages.pretrain_autoencoder_mae]\n\nloss = \"l3\"\n");
        assert!(value.contains("line 3"), "{value}");
        let kind = message("seed = \"one\"\n");
        assert!(kind.contains("line 1") && kind.contains("seed"), "{kind}");
        let syntax = message("seed = 1\n[data\n");
        assert!(syntax.contains("line 2"), "{syntax}");
    }

    #[test]
    fn overrides_win_and_their_mistakes_name_them() {
        let set = |text: &str| Experiment::load(None, &[text.to_string()]);
        assert_eq!(set("data.stft.n_fft=600").unwrap().unet.in_channels, 301);
        let path = set("source.path=/my sounds").unwrap().source.path;
        assert_eq!(path, SoundSource::Files("/my sounds".into()));
        assert_eq!(
            set("source.path=synth").unwrap().source.path,
            SoundSource::Synth
        );
        for wrong in [
            "seeed=1",
            "data.stft=4",
            "seed=-1",
            "unet.base_channels=\"x\"",
        ] {
            let message = set(wrong).unwrap_err().to_string();
            let key = wrong.split('=').next().unwrap();
            assert!(
                message.contains("--set") && message.contains(key),
                "{message}"
            );
        }
        assert!(matches!(set("seed"), Err(TrainerError::Override { .. })));
    }

    #[test]
    fn every_experiment_file_of_the_project_loads() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs");
        let mut loaded = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            Experiment::load(Some(&path), &[]).unwrap_or_else(|error| panic!("{error}"));
            loaded += 1;
        }
        assert!(loaded >= 2, "{loaded} files in {directory}");
    }

    #[test]
    fn in_channels_follow_from_the_stft_and_must_not_contradict_it() {
        let derived = Experiment::load(None, &[]).unwrap();
        assert_eq!(derived.unet.in_channels, derived.data.stft.bins());
        let message = message("[unet]\nin_channels = 256\n");
        assert!(
            message.contains("256") && message.contains("257"),
            "{message}"
        );
    }

    #[test]
    fn impossible_values_are_refused_with_what_would_do() {
        for wrong in [
            "training.steps=0",
            "training.batch_size=0",
            "training.log_every=0",
            "training.lr=0.0",
            "training.min_lr=1.0",
            "training.optimizer.beta_2=1.0",
            "training.optimizer.epsilon=0.0",
            "training.optimizer.clip_norm=-1.0",
        ] {
            let set = format!("stages.pretrain_autoencoder_mae.{wrong}");
            let message = Experiment::load(None, std::slice::from_ref(&set))
                .unwrap_err()
                .to_string();
            let key = set.split('=').next().unwrap();
            assert!(
                message.contains(&format!("--set {set}: `{key}`")),
                "{message}"
            );
            assert!(message.contains("expected"), "{message}");
        }
        for wrong in [
            "data.split.valid=0.0",
            "data.mask.ratio=0.0",
            "data.stft.hop_length=0",
            "data.clip.sample_rate_hz=3000",
            "loader.workers=1000000",
            "stages.finetune_parameters_autoencoder.linear_share=1.0",
        ] {
            let message = Experiment::load(None, &[wrong.to_string()])
                .unwrap_err()
                .to_string();
            let key = wrong.split('=').next().unwrap();
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }

    #[test]
    fn a_value_that_cannot_work_names_the_line_that_set_it() {
        for (text, line) in [
            ("seed = 1\n[data.split]\n\nvalid = 0.0\n", 4),
            ("[transformer.encoder]\nn_heads = 3\n", 2),
            ("[transformer.encoder]\n\npatch_bins = 300\n", 3),
            ("[unet]\n\n\nnorm_groups = 7\n", 4),
        ] {
            let message = message(text);
            let place = format!("mine.toml, line {line}: ");
            assert!(message.contains(&place), "{message}");
        }
    }

    #[test]
    fn contrast_needs_two_hidden_patches() {
        let set = "stages.pretrain_transformer_contrastive.mask.ratio=0.001".to_owned();
        let message = Experiment::load(None, &[set]).unwrap_err().to_string();
        assert!(message.contains("mask.ratio"), "{message}");
    }
}
