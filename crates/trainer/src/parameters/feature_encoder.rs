//! The encoders that parameter heads can be trained on.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor};
use heads::FeatureMap;
use transformer::{Encoder, StepSize, TransformerConfig};
use unet1d::{UNet1dConfig, UNet1dEncoder};

use crate::error::TrainerError;
use crate::run::checkpoint::Checkpoint;
use crate::settings::experiment::Experiment;
use crate::settings::stage::Stage;
use crate::settings::stages::{
    AutoencoderStart, EncoderStart, ParameterStage, Stages, TransformerStart,
};

/// An encoder's settings, and its features of a spectrogram.
pub trait FeatureEncoder {
    /// What is trained.
    type Encoder: Module + ModuleDisplay;

    /// Where it may start under parameter heads.
    type Start: EncoderStart;

    /// That of `experiment`.
    fn of(experiment: &Experiment) -> Self;

    /// The settings of the stage that puts parameter heads on it.
    fn heads_stage(stages: &Stages) -> &ParameterStage<Self::Start>;

    /// A new encoder on `device`, its parameters not yet drawn.
    fn init(&self, device: &Device) -> Self::Encoder;

    /// The encoder of an earlier stage.
    ///
    /// # Errors
    /// Its weights can't be read, or don't fit.
    fn load(&self, checkpoint: &Checkpoint, device: &Device)
    -> Result<Self::Encoder, TrainerError>;

    /// Channels of each feature map.
    fn channels(&self) -> Vec<usize>;

    /// The feature maps of normalised spectrograms, `[batch, bins, frames]`.
    fn maps(
        &self,
        encoder: &Self::Encoder,
        spectrogram: Tensor<3>,
        valid_frames: &[usize],
    ) -> Vec<FeatureMap>;

    /// The parts of `encoder` and how many parameters each has.
    fn parts(&self, encoder: &Self::Encoder) -> Vec<(String, usize)>;

    /// f32 values that a training step keeps for its backward pass, by estimate.
    fn activation_elements(&self, batch: usize, frames: usize) -> usize;
}

/// The U-Net's encoder: the features of every level, and the bottleneck.
pub struct UNetFeatures(pub UNet1dConfig);

impl FeatureEncoder for UNetFeatures {
    type Encoder = UNet1dEncoder;
    type Start = AutoencoderStart;

    fn of(experiment: &Experiment) -> Self {
        Self(experiment.unet.clone())
    }

    fn heads_stage(stages: &Stages) -> &ParameterStage<AutoencoderStart> {
        &stages.finetune_parameters_autoencoder
    }

    fn init(&self, device: &Device) -> UNet1dEncoder {
        self.0.init(device).into_encoder()
    }

    fn load(
        &self,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<UNet1dEncoder, TrainerError> {
        let model = checkpoint.load_model(self.0.init(device))?;
        Ok(model.into_encoder())
    }

    fn channels(&self) -> Vec<usize> {
        let mut channels = self.0.level_channels();
        channels.extend(channels.last().copied());
        channels
    }

    fn maps(
        &self,
        encoder: &UNet1dEncoder,
        spectrogram: Tensor<3>,
        valid_frames: &[usize],
    ) -> Vec<FeatureMap> {
        let [_, _, all_frames] = spectrogram.dims();
        let levels = encoder.levels(spectrogram).into_iter();
        levels
            .map(|values| {
                let [_, _, frames] = values.dims();
                // A frame of a level is about as long as `all_frames / frames` of the spectrogram's.
                let valid = |&valid: &usize| (valid * frames).div_ceil(all_frames).min(frames);
                FeatureMap {
                    valid_frames: valid_frames.iter().map(valid).collect(),
                    values,
                }
            })
            .collect()
    }

    fn parts(&self, encoder: &UNet1dEncoder) -> Vec<(String, usize)> {
        encoder.parameters_per_block()
    }

    fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        // Both ways are about as large.
        self.0.activation_elements(batch, frames) / 2
    }
}

/// The Transformer's encoder: the tokens of each row of patches as separate channels, so that frequency is kept.
pub struct TransformerFeatures(pub TransformerConfig);

impl FeatureEncoder for TransformerFeatures {
    type Encoder = Encoder;
    type Start = TransformerStart;

    fn of(experiment: &Experiment) -> Self {
        Self(experiment.transformer.clone())
    }

    fn heads_stage(stages: &Stages) -> &ParameterStage<TransformerStart> {
        &stages.finetune_parameters_transformer
    }

    fn init(&self, device: &Device) -> Encoder {
        self.0.init(device).encoder
    }

    fn load(&self, checkpoint: &Checkpoint, device: &Device) -> Result<Encoder, TrainerError> {
        // The network that the earlier stage trained; of it the encoder alone is inherited.
        let theirs = &checkpoint.context.experiment.transformer;
        let contrastive = Stage::PretrainTransformerContrastive.name();
        Ok(match checkpoint.context.stage == contrastive {
            true => {
                checkpoint
                    .load_model(theirs.init_contrastive(device))?
                    .encoder
            }
            false => checkpoint.load_model(theirs.init(device))?.encoder,
        })
    }

    fn channels(&self) -> Vec<usize> {
        let rows = self.0.encoder.grid(1).rows();
        vec![rows * self.0.encoder.d_model]
    }

    fn maps(
        &self,
        encoder: &Encoder,
        spectrogram: Tensor<3>,
        valid_frames: &[usize],
    ) -> Vec<FeatureMap> {
        let patches = encoder.patchify(spectrogram, valid_frames);
        let grid = patches.grid;
        let tokens = encoder.encode(&patches).tokens;
        let [batch, _, d_model] = tokens.dims();
        let (rows, columns) = (grid.rows(), grid.columns());
        let values = tokens
            .reshape([batch, rows, columns, d_model])
            .permute([0, 1, 3, 2])
            .reshape([batch, rows * d_model, columns]);
        let valid = valid_frames.iter();
        vec![FeatureMap {
            values,
            valid_frames: valid
                .map(|valid| valid.div_ceil(grid.patch_frames))
                .collect(),
        }]
    }

    fn parts(&self, encoder: &Encoder) -> Vec<(String, usize)> {
        vec![("encoder".to_owned(), encoder.num_params())]
    }

    fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        self.0.contrastive_activation_elements(StepSize {
            batch,
            frames,
            hidden_ratio: 0.0,
        })
    }
}
