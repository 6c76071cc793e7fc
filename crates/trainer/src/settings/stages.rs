//! Settings of the stages.

use heads::{BandConfig, ParameterHeadsConfig};
use losses::{CompositeConfig, InfoNce, Norm, ParameterLoss, WaveformCompositeConfig};
use serde::{Deserialize, Serialize};
use stft_data::{DataConfig, DataError, MaskConfig, MaskStrategy};
use transformer::TransformerConfig;

use crate::error::TrainerError;
use crate::settings::range::within;
use crate::settings::spectral::SpectralSettings;
use crate::settings::stage::{Stage, stage_table};
use crate::settings::training::Training;

/// Settings that all stages share, where those of a stage have to fit them.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    /// What is done to a sound before a model sees it.
    pub data: &'a DataConfig,
    /// The Transformer.
    pub transformer: &'a TransformerConfig,
}

/// Settings of one stage.
pub(crate) trait StageSettings {
    /// The loop.
    fn training(&self) -> &Training;

    /// Refuses settings that can't work, alone or with the `shared` ones. `table` is their dotted path.
    fn validate(&self, table: &str, shared: Shared) -> Result<(), TrainerError>;

    /// Share of the labels that is used; none where labels aren't.
    fn label_fraction(&self) -> Option<f64> {
        None
    }

    /// Whether reconstructions are compared as sounds.
    fn compares_sounds(&self) -> bool {
        false
    }

    /// What parameter heads minimise; none where there are no heads.
    fn parameter_loss(&self) -> Option<ParameterLoss> {
        None
    }
}

macro_rules! define_settings {
    ($($(#[$doc:meta])* $variant:ident $name:ident in $group:ident $(: $settings:ty)?;)*) => {
        /// Settings of each stage, by its name.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Stages {
            $($(
                #[doc = concat!("Settings of `", stringify!($name), "`.")]
                pub $name: $settings,
            )?)*
        }

        impl Stages {
            /// Names of the stages that have settings.
            pub(crate) const NAMES: &[&str] = &[$($({
                type _Settings = $settings;
                stringify!($name)
            },)?)*];

            /// The settings of `stage`; none where it has none of its own.
            pub(crate) fn of(&self, stage: Stage) -> Option<&dyn StageSettings> {
                match stage {
                    $($(Stage::$variant => {
                        let settings: &$settings = &self.$name;
                        Some(settings)
                    })?)*
                    #[allow(unreachable_patterns)]
                    _ => None,
                }
            }
        }
    };
}
stage_table!(define_settings);

impl Stages {
    /// Refuses settings of any stage that can't work, alone or with the `shared` ones.
    pub(crate) fn validate(&self, shared: Shared) -> Result<(), TrainerError> {
        let stages = Stage::ALL.iter();
        let mut settings = stages.filter_map(|&stage| Some((stage, self.of(stage)?)));
        settings
            .try_for_each(|(stage, settings)| settings.validate(&format!("stages.{stage}"), shared))
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

impl StageSettings for AutoencoderStage {
    fn training(&self) -> &Training {
        &self.training
    }

    fn validate(&self, table: &str, shared: Shared) -> Result<(), TrainerError> {
        if shared.data.mask.ratio == 0.0 {
            let expected = "above 0: a masked autoencoder learns from what is hidden";
            return Err(TrainerError::value("data.mask.ratio", expected, 0));
        }
        self.training.validate(&format!("{table}.training"))
    }
}

/// Settings of the stage that finetunes the U-Net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinetuneStage {
    /// Distance between reconstruction and target: `"l1"` or `"l2"`.
    pub loss: Norm,
    /// Weight of the composite, added to that distance; 0 leaves it out.
    pub composite_weight: f32,
    /// Distances between whole spectrograms, on magnitudes.
    pub composite: CompositeConfig,
    /// Distances between sounds, each with its own weight; a reconstruction has the phases of its input.
    pub waveform: WaveformCompositeConfig,
    /// The loop.
    pub training: Training,
}

impl FinetuneStage {
    pub(crate) fn spectral(&self) -> SpectralSettings<'_> {
        SpectralSettings {
            composite_weight: self.composite_weight,
            composite: &self.composite,
            waveform: &self.waveform,
        }
    }
}

impl StageSettings for FinetuneStage {
    fn training(&self) -> &Training {
        &self.training
    }

    fn compares_sounds(&self) -> bool {
        self.spectral().compares_sounds()
    }

    fn validate(&self, table: &str, shared: Shared) -> Result<(), TrainerError> {
        validate_spectral(table, self.spectral(), shared.data)?;
        self.training.validate(&format!("{table}.training"))
    }
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

    fn validate(&self, table: &str, shared: Shared) -> Result<(), TrainerError> {
        if !(self.ratio > 0.0 && self.ratio < 1.0) {
            let expected = "above 0 and below 1: some patches have to be hidden and some visible";
            let key = format!("{table}.mask.ratio");
            return Err(TrainerError::value(key, expected, self.ratio));
        }
        let mask = self.over(shared.transformer);
        mask.validate().map_err(in_mask(table))
    }
}

/// Settings of the stage that trains the Transformer's encoder with a contrastive loss.
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

impl StageSettings for ContrastiveStage {
    fn training(&self) -> &Training {
        &self.training
    }

    fn validate(&self, table: &str, shared: Shared) -> Result<(), TrainerError> {
        let table_of_loss = format!("{table}.loss");
        self.loss.validate().map_err(in_loss(&table_of_loss))?;
        let ratio = self.mask.ratio;
        let grid = shared.transformer.encoder.grid(shared.data.frames());
        let tokens = grid.tokens();
        if ratio * (tokens as f32) < 2.0 {
            let expected = format!(
                "a share that hides two or more of the {tokens} patches: one has no negatives"
            );
            let key = format!("{table}.mask.ratio");
            return Err(TrainerError::value(key, expected, ratio));
        }
        self.mask.validate(table, shared)?;
        self.training.validate(&format!("{table}.training"))
    }
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

impl StageSettings for DecoderStage {
    fn training(&self) -> &Training {
        &self.training
    }

    fn validate(&self, table: &str, shared: Shared) -> Result<(), TrainerError> {
        self.mask.validate(table, shared)?;
        self.training.validate(&format!("{table}.training"))
    }
}

/// Settings of the stage that trains encoder and decoder together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullStage {
    /// What is hidden.
    pub mask: TokenMask,
    /// Weight of the composite, added to the squared error of hidden patches; 0 leaves it out.
    pub composite_weight: f32,
    /// Distances between whole spectrograms, on magnitudes.
    pub composite: CompositeConfig,
    /// Distances between sounds, each with its own weight; a reconstruction has the phases of its input.
    pub waveform: WaveformCompositeConfig,
    /// The loop.
    pub training: Training,
}

impl FullStage {
    pub(crate) fn spectral(&self) -> SpectralSettings<'_> {
        SpectralSettings {
            composite_weight: self.composite_weight,
            composite: &self.composite,
            waveform: &self.waveform,
        }
    }
}

impl StageSettings for FullStage {
    fn training(&self) -> &Training {
        &self.training
    }

    fn compares_sounds(&self) -> bool {
        self.spectral().compares_sounds()
    }

    fn validate(&self, table: &str, shared: Shared) -> Result<(), TrainerError> {
        validate_spectral(table, self.spectral(), shared.data)?;
        self.mask.validate(table, shared)?;
        self.training.validate(&format!("{table}.training"))
    }
}

/// Settings of a stage that trains parameter heads on an encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterStage<Start> {
    /// Where the encoder's weights come from: a stage, or `"scratch"`.
    pub start: Start,
    /// Whether the encoder is fine-tuned or frozen.
    pub encoder: EncoderTraining,
    /// Learning rate of the encoder, and of band networks that were transferred with it, as a multiple of the heads'.
    pub encoder_lr: f64,
    /// Share of the training split whose labels are used, in 0..1; at least one example is. A larger share contains a
    /// smaller one.
    pub label_fraction: f64,
    /// Pieces of the clip over which features are averaged separately.
    pub segments: usize,
    /// Time-shift augmentation: in training a sound starts up to so many frames earlier or later.
    pub shift_frames: usize,
    /// Band networks: small networks that read the spectrogram directly, in addition to a fine-tuned encoder.
    pub bands: Vec<BandConfig>,
    /// Weight of the linear probe in the estimate, from 0 (no probe) to below 1; the heads have the rest. A frozen encoder
    /// has no probe.
    pub probe_share: f64,
    /// What is hidden from the encoder in training, in cells of `data.mask`.
    pub mask: TokenMask,
    /// The heads.
    pub heads: ParameterHeadsConfig,
    /// The objective.
    pub loss: ParameterLoss,
    /// The loop.
    pub training: Training,
}

impl<Start> ParameterStage<Start> {
    /// The band networks in use. A frozen encoder has none, so that the heads measure its features alone.
    pub fn active_bands(&self) -> &[BandConfig] {
        match self.encoder {
            EncoderTraining::Finetuned => &self.bands,
            EncoderTraining::Frozen => &[],
        }
    }

    /// The weight of the linear probe in use; 0 with a frozen encoder.
    pub fn active_probe_share(&self) -> f64 {
        match self.encoder {
            EncoderTraining::Finetuned => self.probe_share,
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
}

impl<Start> StageSettings for ParameterStage<Start> {
    fn training(&self) -> &Training {
        &self.training
    }

    fn label_fraction(&self) -> Option<f64> {
        Some(self.label_fraction)
    }

    fn parameter_loss(&self) -> Option<ParameterLoss> {
        Some(self.loss)
    }

    fn validate(&self, table: &str, shared: Shared) -> Result<(), TrainerError> {
        let key = |name: &str| format!("{table}.{name}");
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
        let share = self.probe_share;
        if !(0.0..1.0).contains(&share) {
            let expected = "from 0 to below 1: the linear probe's weight in the estimate";
            return Err(TrainerError::value(key("probe_share"), expected, share));
        }
        within(&key("segments"), self.segments as u64, 1, 1024)?;
        for (place, bands) in self.bands.iter().enumerate() {
            bands.validate().map_err(|error| {
                let name = key(&format!("bands.{place}.{}", error.field));
                TrainerError::value(name, error.expected, error.got)
            })?;
        }
        let mask = self.mask_over(shared.data);
        mask.validate().map_err(in_mask(table))?;
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

/// Whether an encoder under parameter heads is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderTraining {
    /// Its weights are fixed; only the heads learn.
    Frozen,
    /// It learns with the heads.
    Finetuned,
}

/// Where an encoder under parameter heads starts.
pub trait EncoderStart: Copy {
    /// The stage that trained the weights; none from scratch.
    fn stage(self) -> Option<Stage>;
}

/// Where a U-Net under parameter heads starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoencoderStart {
    /// From newly initialised weights.
    Scratch,
    /// From [`Stage::PretrainAutoencoderMae`].
    PretrainAutoencoderMae,
    /// From [`Stage::TrainAutoencoderNomaskFinetune`].
    TrainAutoencoderNomaskFinetune,
    /// From [`Stage::FinetuneParametersAutoencoder`] of another run, such as one on another synthesizer: the encoder is
    /// copied, and so is each output whose parameter and class names match.
    FinetuneParametersAutoencoder,
}

impl EncoderStart for AutoencoderStart {
    fn stage(self) -> Option<Stage> {
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
    /// From newly initialised weights.
    Scratch,
    /// From [`Stage::PretrainTransformerContrastive`].
    PretrainTransformerContrastive,
    /// From [`Stage::TrainFullTransformer`].
    TrainFullTransformer,
    /// From [`Stage::FinetuneParametersTransformer`] of another run: the encoder is copied, and so is each output whose
    /// parameter and class names match.
    FinetuneParametersTransformer,
}

impl EncoderStart for TransformerStart {
    fn stage(self) -> Option<Stage> {
        match self {
            Self::Scratch => None,
            Self::PretrainTransformerContrastive => Some(Stage::PretrainTransformerContrastive),
            Self::TrainFullTransformer => Some(Stage::TrainFullTransformer),
            Self::FinetuneParametersTransformer => Some(Stage::FinetuneParametersTransformer),
        }
    }
}

/// Checks distances of whole reconstructions, whose dotted path is `table`.
fn validate_spectral(
    table: &str,
    settings: SpectralSettings,
    data: &DataConfig,
) -> Result<(), TrainerError> {
    let weight = settings.composite_weight;
    if !(weight.is_finite() && weight >= 0.0) {
        let key = format!("{table}.composite_weight");
        return Err(TrainerError::value(key, "a number from 0", weight));
    }
    let checked = settings.composite_on(data);
    checked.map_err(in_loss(&format!("{table}.composite")))?;
    let checked = settings.waveform.validate();
    checked.map_err(in_loss(&format!("{table}.waveform")))
}

/// The data crate's complaint about a mask, under the key that it has in `table`.
fn in_mask(table: &str) -> impl FnOnce(DataError) -> TrainerError {
    let table = table.to_owned();
    move |error| match error {
        DataError::Config {
            field,
            expected,
            got,
        } => {
            let name = field.rsplit('.').next().unwrap_or(field);
            TrainerError::value(format!("{table}.mask.{name}"), expected, got)
        }
        error => error.into(),
    }
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
        losses::LossError::NoResolutions => {
            let key = format!("{table}.stft.resolutions");
            TrainerError::value(key, "at least one transform", "[]")
        }
        error => error.into(),
    }
}
