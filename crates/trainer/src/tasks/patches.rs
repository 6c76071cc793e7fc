//! Reconstruction by the Transformer: guess hidden patches from the visible ones.

use burn::tensor::{Bool, Device, Tensor};
use losses::{Composite, MagnitudeLoss, Norm, SpectrogramLoss, valid_weights};
use stft_data::Normalization;
use transformer::{MaskedTransformer, Patches, StepSize, TransformerConfig};

use crate::batch::TensorBatch;
use crate::checkpoint::Checkpoint;
use crate::error::TrainerError;
use crate::task::{Scores, Task};
use crate::tasks::MEAN_SPECTROGRAM;

/// Largest log1p magnitude that a prediction is taken at: a magnitude of 22,000, beyond what a clip at full scale
/// has. It keeps the exponential of a young network finite.
const LARGEST_LOG1P: f32 = 10.0;

/// The squared error of hidden patches, and with [`SpectralObjective`] that of the spectrogram they make
/// (He et al. 2022, §3).
///
/// Stage `train_transformer_decoder` takes the pretrained encoder as it is and trains a decoder on it; stage
/// `train_full_transformer` goes on with both.
pub struct PatchReconstruction {
    /// The network.
    pub model: TransformerConfig,
    /// Where the weights come from.
    pub start: Start,
    /// What is minimised besides the error of hidden patches.
    pub spectral: Option<SpectralObjective>,
    /// Share of the tokens that is hidden; for the estimate of memory.
    pub hidden_ratio: f32,
}

/// What a stage of reconstruction takes over.
pub enum Start {
    /// The encoder of contrastive pretraining; it stays as it is.
    Encoder(Checkpoint),
    /// Encoder and decoder; both are trained.
    Full(Checkpoint),
    /// Nothing, for a look at sizes only.
    Nowhere,
}

/// The distances between whole spectrograms, on magnitudes.
pub struct SpectralObjective {
    /// The distances and their weights.
    pub composite: Composite,
    /// Weight of all of them beside the error of hidden patches.
    pub weight: f32,
    /// What leads from the model's domain back to magnitudes.
    pub normalization: Normalization,
}

impl Task for PatchReconstruction {
    type Model = MaskedTransformer;

    fn init(&self, device: &Device) -> MaskedTransformer {
        self.model.init(device)
    }

    fn inherit(
        &self,
        model: MaskedTransformer,
        device: &Device,
    ) -> Result<MaskedTransformer, TrainerError> {
        match &self.start {
            Start::Encoder(checkpoint) => {
                let pretrained = checkpoint.load_model(self.model.init_contrastive(device))?;
                let mut model = model;
                model.encoder = pretrained.encoder;
                Ok(model)
            }
            Start::Full(checkpoint) => checkpoint.load_model(model),
            Start::Nowhere => Ok(model),
        }
    }

    fn freeze(&self, model: MaskedTransformer) -> MaskedTransformer {
        match self.start {
            Start::Encoder(_) => model.freeze_encoder(),
            Start::Full(_) | Start::Nowhere => model,
        }
    }

    fn scores(&self, model: &MaskedTransformer, batch: &TensorBatch) -> Scores {
        let (patches, hidden) = self.patches(batch);
        let predicted = model.forward(&patches, hidden.clone());
        let weights = patches.hidden_weights(hidden);
        let patch_loss = L2.per_item(predicted.clone(), model.targets(&patches), weights.clone());
        // In the domain of the spectrogram, so that figures of different targets can be compared.
        let raw = self
            .model
            .targets
            .undo(predicted.clone().detach(), &patches);
        let patch_mse = L2.per_item(raw, patches.values.clone(), weights);
        let mut terms = vec![
            ("patch_loss", patch_loss.clone().detach()),
            ("patch_mse", patch_mse),
        ];
        let Some(spectral) = &self.spectral else {
            return Scores {
                loss: patch_loss,
                terms,
                counted: None,
            };
        };
        let spectrogram = model.unpatchify(predicted, &patches);
        let scores = spectral.scores(spectrogram, batch);
        terms.extend(scores.terms);
        let loss = patch_loss + scores.total * spectral.weight;
        terms.push(("total_loss", loss.clone().detach()));
        Scores {
            loss,
            terms,
            counted: None,
        }
    }

    fn baseline(&self, mean: Tensor<2>, batch: &TensorBatch) -> Scores {
        let (patches, hidden) = self.patches(batch);
        let mean = mean.unsqueeze::<3>().expand(batch.spectrogram.dims());
        let predicted = patches.grid.patchify(mean.clone());
        let weights = patches.hidden_weights(hidden);
        let targets = self.model.targets.of(&patches);
        let as_target = self.model.targets.of(&Patches {
            values: predicted.clone(),
            ..patches.clone()
        });
        let patch_loss = L2.per_item(as_target, targets, weights.clone());
        let patch_mse = L2.per_item(predicted, patches.values, weights);
        let mut terms = vec![("patch_loss", patch_loss.clone()), ("patch_mse", patch_mse)];
        let loss = match &self.spectral {
            None => patch_loss,
            Some(spectral) => {
                let scores = spectral.scores(mean, batch);
                terms.extend(scores.terms);
                patch_loss + scores.total * spectral.weight
            }
        };
        Scores {
            loss,
            terms,
            counted: None,
        }
    }

    fn baseline_name(&self) -> &'static str {
        MEAN_SPECTROGRAM
    }

    /// Hidden patches as the model predicts them, among the visible ones as they are.
    fn reconstruct(&self, model: &MaskedTransformer, batch: &TensorBatch) -> Tensor<3> {
        let (patches, hidden) = self.patches(batch);
        let predicted = model.forward(&patches, hidden);
        let predicted = model.unpatchify(predicted, &patches);
        batch
            .spectrogram
            .clone()
            .mask_where(batch.hidden.clone(), predicted)
    }

    fn parts(&self, model: &MaskedTransformer) -> Vec<(String, usize)> {
        model.parameters_per_part()
    }

    fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        let step = StepSize {
            batch,
            frames,
            hidden_ratio: f64::from(self.hidden_ratio),
        };
        match self.spectral {
            None => self.model.decoder_activation_elements(step),
            Some(_) => self.model.masked_activation_elements(step),
        }
    }
}

const L2: MagnitudeLoss = MagnitudeLoss { norm: Norm::L2 };

impl PatchReconstruction {
    fn patches(&self, batch: &TensorBatch) -> (Patches, Tensor<2, Bool>) {
        let [_, _, frames] = batch.spectrogram.dims();
        let grid = self.model.encoder.grid(frames);
        let patches = Patches::new(grid, batch.spectrogram.clone(), &batch.valid_frames);
        let hidden = grid.hidden_tokens(batch.hidden.clone(), &batch.valid_frames);
        (patches, hidden)
    }
}

impl SpectralObjective {
    /// The composite of a normalised prediction and its target, over all valid frames.
    fn scores(&self, prediction: Tensor<3>, batch: &TensorBatch) -> losses::CompositeScores {
        let Normalization { mean, std } = self.normalization;
        let magnitude = |normalised: Tensor<3>| {
            let log1p = normalised * std + mean;
            log1p.clamp(0.0, LARGEST_LOG1P).exp() - 1.0
        };
        let target = batch.spectrogram.clone();
        let weights = valid_weights(target.dims(), &batch.valid_frames, &target.device());
        self.composite
            .scores(magnitude(prediction), magnitude(target), weights)
    }
}
