//! Reconstruction with the U-Net: of hidden bins from the visible ones, or of everything.

use burn::tensor::{Device, Tensor};
use losses::{MagnitudeLoss, Norm, SpectrogramLoss, valid_weights};
use unet1d::{UNet1d, UNet1dConfig};

use crate::data::batch::TensorBatch;
use crate::error::TrainerError;
use crate::run::checkpoint::Checkpoint;
use crate::tasks::spectral::{MEAN_SPECTROGRAM, SpectralObjective, named};
use crate::training::task::{Scored, Scores, Task};

/// Hidden bins are set to 0, the training data's mean; the loss is taken on them alone (He et al. 2022, §3, with
/// a U-Net in place of the Transformer), or on the whole spectrogram where nothing is hidden.
///
/// Stage `pretrain_autoencoder_mae` is the former, stage `train_autoencoder_nomask_finetune` the latter.
pub struct SpectrogramAutoencoder {
    /// The network.
    pub model: UNet1dConfig,
    /// Checkpoint with pretrained weights; none for new ones.
    pub start: Option<Checkpoint>,
    /// Distance that is minimised, between normalised log1p magnitudes.
    pub loss: Norm,
    /// Where that distance is taken.
    pub scored: Scored,
    /// Further distances that are minimised.
    pub spectral: Option<SpectralObjective>,
}

impl Task for SpectrogramAutoencoder {
    type Model = UNet1d;

    fn init(&self, device: &Device) -> UNet1d {
        self.model.init(device)
    }

    fn inherit(&self, model: UNet1d, _device: &Device) -> Result<UNet1d, TrainerError> {
        match &self.start {
            Some(checkpoint) => checkpoint.load_model(model),
            None => Ok(model),
        }
    }

    fn scores(&self, model: &UNet1d, batch: &TensorBatch) -> Scores {
        self.score(model.forward(batch.visible()), batch)
    }

    fn baseline(&self, mean: Tensor<2>, batch: &TensorBatch) -> Scores {
        let prediction = mean.unsqueeze::<3>().expand(batch.spectrogram.dims());
        self.score(prediction, batch)
    }

    fn baseline_name(&self) -> &'static str {
        MEAN_SPECTROGRAM
    }

    fn reconstruct(&self, model: &UNet1d, batch: &TensorBatch) -> Option<Tensor<3>> {
        Some(model.forward(batch.visible()))
    }

    fn parts(&self, model: &UNet1d) -> Vec<(String, usize)> {
        model.parameters_per_block()
    }

    fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        self.model.activation_elements(batch, frames)
    }
}

impl SpectrogramAutoencoder {
    /// The configured distance and the further ones as the loss; each distance as a term.
    fn score(&self, prediction: Tensor<3>, batch: &TensorBatch) -> Scores {
        let target = &batch.spectrogram;
        let weights = match self.scored {
            Scored::Hidden => batch.hidden_weights(),
            Scored::Everything => {
                valid_weights(target.dims(), &batch.valid_frames, &target.device())
            }
        };
        let distance = |norm, prediction| {
            MagnitudeLoss { norm }.per_item(prediction, target.clone(), weights.clone())
        };
        // Terms are only read, so they stay off the graph that the loss hangs on.
        let detached = prediction.clone().detach();
        let mut terms = vec![
            ("normalized_l1".into(), distance(Norm::L1, detached.clone())),
            ("normalized_l2".into(), distance(Norm::L2, detached)),
        ];
        let mut loss = distance(self.loss, prediction.clone());
        if let Some(spectral) = &self.spectral {
            let scores = spectral.scores(prediction, batch);
            terms.extend(named(scores.terms));
            loss = loss + scores.total;
            terms.push(("total_loss".into(), loss.clone().detach()));
        }
        Scores {
            loss,
            terms,
            counted: None,
            parameters: None,
        }
    }
}
