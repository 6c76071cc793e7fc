//! Masked autoencoding with the U-Net: guess the hidden bins from the visible ones.

use burn::tensor::{Device, Tensor};
use losses::{MagnitudeLoss, Norm, SpectrogramLoss};
use unet1d::{UNet1d, UNet1dConfig};

use crate::batch::TensorBatch;
use crate::task::{Scores, Task};
use crate::tasks::MEAN_SPECTROGRAM;

/// Hidden bins are set to 0, the training data's mean, and the loss is taken on them alone
/// (He et al. 2022, §3, with a U-Net in place of the Transformer).
#[derive(Clone, Debug)]
pub struct MaskedAutoencoder {
    /// The network.
    pub model: UNet1dConfig,
    /// Distance that is minimised.
    pub loss: Norm,
}

impl Task for MaskedAutoencoder {
    type Model = UNet1d;

    fn init(&self, device: &Device) -> UNet1d {
        self.model.init(device)
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

    fn reconstruct(&self, model: &UNet1d, batch: &TensorBatch) -> Tensor<3> {
        model.forward(batch.visible())
    }

    fn parts(&self, model: &UNet1d) -> Vec<(String, usize)> {
        model.parameters_per_block()
    }

    fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        self.model.activation_elements(batch, frames)
    }
}

impl MaskedAutoencoder {
    /// The configured distance over the hidden bins as the loss, and both as terms.
    fn score(&self, prediction: Tensor<3>, batch: &TensorBatch) -> Scores {
        let weights = batch.hidden_weights();
        let distance = |norm, prediction| {
            MagnitudeLoss { norm }.per_item(prediction, batch.spectrogram.clone(), weights.clone())
        };
        // Terms are only read, so they stay off the graph that the loss hangs on.
        let detached = prediction.clone().detach();
        Scores {
            loss: distance(self.loss, prediction),
            terms: vec![
                ("spec_l1", distance(Norm::L1, detached.clone())),
                ("spec_l2", distance(Norm::L2, detached)),
            ],
            counted: None,
        }
    }
}
