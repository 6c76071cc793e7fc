//! Reconstruction of hidden patches by the Transformer.

use burn::tensor::{Bool, Device, Tensor};
use losses::{MagnitudeLoss, Norm, SpectrogramLoss};
use transformer::{MaskedTransformer, Patches, StepSize, TransformerConfig};

use crate::data::batch::TensorBatch;
use crate::error::TrainerError;
use crate::run::checkpoint::Checkpoint;
use crate::tasks::spectral::{MEAN_SPECTROGRAM, SpectralObjective, named};
use crate::training::task::{Scored, Scores, Task};

/// The squared error of hidden patches, and with [`SpectralObjective`] that of the spectrogram they make
/// (He et al. 2022, §3).
///
/// Stage `train_transformer_decoder` trains a decoder on the frozen, pretrained encoder; stage `train_full_transformer`
/// continues with both.
pub struct PatchReconstruction {
    /// The network.
    pub model: TransformerConfig,
    /// What is trained, and thereby what is inherited: an encoder, or encoder and decoder.
    pub trained: Trained,
    /// Checkpoint with the initial weights; none for new ones.
    pub start: Option<Checkpoint>,
    /// Which patches' error is minimised.
    pub scored: Scored,
    /// Further distances that are minimised.
    pub spectral: Option<SpectralObjective>,
    /// Share of the tokens that is hidden; for the estimate of memory.
    pub hidden_ratio: f32,
}

/// What a stage of reconstruction trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trained {
    /// The decoder, on the frozen encoder of contrastive pretraining.
    Decoder,
    /// Encoder and decoder.
    Everything,
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
        let Some(checkpoint) = &self.start else {
            return Ok(model);
        };
        match self.trained {
            Trained::Decoder => {
                // The network that the earlier stage trained; of it the encoder alone is inherited.
                let theirs = &checkpoint.context.experiment.transformer;
                let pretrained = checkpoint.load_model(theirs.init_contrastive(device))?;
                let mut model = model;
                model.encoder = pretrained.encoder;
                Ok(model)
            }
            Trained::Everything => checkpoint.load_model(model),
        }
    }

    fn freeze(&self, model: MaskedTransformer) -> MaskedTransformer {
        match self.trained {
            Trained::Decoder => model.freeze_encoder(),
            Trained::Everything => model,
        }
    }

    fn scores(&self, model: &MaskedTransformer, batch: &TensorBatch) -> Scores {
        let (patches, hidden) = self.patches(batch);
        let predicted = model.forward(&patches, hidden.clone());
        let weights = self.weights(&patches, hidden);
        let patch_loss = L2.per_item(predicted.clone(), model.targets(&patches), weights.clone());
        // In the domain of the spectrogram, so that figures of different targets can be compared.
        let raw = self
            .model
            .targets
            .undo(predicted.clone().detach(), &patches);
        let patch_mse = L2.per_item(raw, patches.values.clone(), weights);
        let mut terms = vec![
            ("patch_loss".into(), patch_loss.clone().detach()),
            ("patch_mse".into(), patch_mse),
        ];
        let Some(spectral) = &self.spectral else {
            return Scores {
                loss: patch_loss,
                terms,
                counted: None,
                parameters: None,
            };
        };
        let spectrogram = model.unpatchify(predicted, &patches);
        let scores = spectral.scores(spectrogram, batch);
        terms.extend(named(scores.terms));
        let loss = patch_loss + scores.total;
        terms.push(("total_loss".into(), loss.clone().detach()));
        Scores {
            loss,
            terms,
            counted: None,
            parameters: None,
        }
    }

    fn baseline(&self, mean: Tensor<2>, batch: &TensorBatch) -> Scores {
        let (patches, hidden) = self.patches(batch);
        let mean = mean.unsqueeze::<3>().expand(batch.spectrogram.dims());
        let predicted = patches.grid.patchify(mean.clone());
        let weights = self.weights(&patches, hidden);
        let targets = self.model.targets.of(&patches);
        let as_target = self.model.targets.of(&Patches {
            values: predicted.clone(),
            ..patches.clone()
        });
        let patch_loss = L2.per_item(as_target, targets, weights.clone());
        let patch_mse = L2.per_item(predicted, patches.values, weights);
        let mut terms = vec![
            ("patch_loss".into(), patch_loss.clone()),
            ("patch_mse".into(), patch_mse),
        ];
        let loss = match &self.spectral {
            None => patch_loss,
            Some(spectral) => {
                let scores = spectral.scores(mean, batch);
                terms.extend(named(scores.terms));
                let total = patch_loss + scores.total;
                terms.push(("total_loss".into(), total.clone()));
                total
            }
        };
        Scores {
            loss,
            terms,
            counted: None,
            parameters: None,
        }
    }

    fn baseline_name(&self) -> &'static str {
        MEAN_SPECTROGRAM
    }

    /// Patches as the model predicts them; where hidden ones are scored, among the visible ones as they are.
    fn reconstruct(&self, model: &MaskedTransformer, batch: &TensorBatch) -> Option<Tensor<3>> {
        let (patches, hidden) = self.patches(batch);
        let predicted = model.forward(&patches, hidden);
        let predicted = model.unpatchify(predicted, &patches);
        Some(match self.scored {
            Scored::Everything => predicted,
            Scored::Hidden => batch
                .spectrogram
                .clone()
                .mask_where(batch.hidden.clone(), predicted),
        })
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
        match self.trained {
            Trained::Decoder => self.model.decoder_activation_elements(step),
            Trained::Everything => self.model.masked_activation_elements(step),
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

    /// 1 at the values that are scored, else 0: `[batch, tokens, patch_len]`.
    fn weights(&self, patches: &Patches, hidden: Tensor<2, Bool>) -> Tensor<3> {
        match self.scored {
            Scored::Hidden => patches.hidden_weights(hidden),
            Scored::Everything => {
                let all = hidden.clone().bool_or(hidden.bool_not());
                patches.hidden_weights(all)
            }
        }
    }
}
