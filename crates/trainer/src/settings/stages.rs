//! Settings of the stages.

use heads::{BandConfig, ParameterHeadsConfig};
use losses::{CompositeConfig, Domain, InfoNce, Norm, ParameterLoss};
use serde::{Deserialize, Serialize};
use stft_data::{DataConfig, DataError, MaskConfig, MaskStrategy};
use transformer::TransformerConfig;

use super::training::Training;
use super::within;
use crate::error::TrainerError;
use crate::settings::stage::Stage;

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

impl AutoencoderStage {
    /// A stage that learns from what is hidden.
    pub(super) fn validate_masked(
        &self,
        data: &DataConfig,
        table: &str,
    ) -> Result<(), TrainerError> {
        if data.mask.ratio == 0.0 {
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
    /// The small networks that read the spectrogram beside the encoder. Beside a frozen one nothing does: heads tell what
    /// is in its features.
    pub fn active_bands(&self) -> &[BandConfig] {
        match self.encoder {
            EncoderTraining::Finetuned => &self.bands,
            EncoderTraining::Frozen => &[],
        }
    }

    /// How much of the estimate the linear map tells, which a frozen encoder is without as well.
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

    pub(super) fn validate(&self, data: &DataConfig, stage: Stage) -> Result<(), TrainerError> {
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
        let share = self.probe_share;
        if !(0.0..1.0).contains(&share) {
            let expected = "from 0 to below 1: how much of the estimate the linear map tells";
            return Err(TrainerError::value(key("probe_share"), expected, share));
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
    /// hears is taken over, and of what tells those outputs whose parameter and class are called the same there.
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
    /// From [`Stage::FinetuneParametersTransformer`] of another run: what hears is taken over, and of what tells those outputs
    /// whose parameter and class are called the same there.
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

/// A composite and its weight, which stand in `table`.
pub(super) fn validate_composite(
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

/// The data crate's complaint about the mask of a stage.
pub(super) fn in_mask(stage: impl std::fmt::Display) -> impl FnOnce(DataError) -> TrainerError {
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

/// A loss's own complaint, under the key that it has in an experiment.
pub(super) fn in_loss(table: &str) -> impl FnOnce(losses::LossError) -> TrainerError {
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
