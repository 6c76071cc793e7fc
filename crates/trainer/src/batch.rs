//! A batch as tensors: the one place where data becomes something that a model can take.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use losses::hidden_weights;
use stft_data::SpectrogramBatch;

/// A batch on a device. Spectrograms are normalised log1p magnitudes.
#[derive(Clone, Debug)]
pub struct TensorBatch {
    /// Normalised spectrograms, `[batch, bins, frames]`; padded frames hold 0.
    pub spectrogram: Tensor<3>,
    /// True where a bin is hidden from the model, `[batch, bins, frames]`.
    pub hidden: Tensor<3, Bool>,
    /// Frames that are no padding, for each item.
    pub valid_frames: Vec<usize>,
    /// What stands for each item in this epoch: `(epoch, id)`.
    pub keys: Vec<(u64, u64)>,
}

impl TensorBatch {
    /// Moves `batch` to `device`.
    pub fn new(batch: &SpectrogramBatch, device: &Device) -> Self {
        let shape = [batch.batch, batch.bins, batch.frames];
        Self {
            spectrogram: Tensor::from_data(TensorData::new(batch.values.clone(), shape), device),
            hidden: Tensor::from_data(TensorData::new(batch.hidden.clone(), shape), device),
            valid_frames: batch.valid_frames.clone(),
            keys: std::iter::zip(&batch.epochs, &batch.ids)
                .map(|(&epoch, &id)| (epoch, id))
                .collect(),
        }
    }

    /// The spectrograms with every hidden bin at 0, the mean of the training data.
    pub fn visible(&self) -> Tensor<3> {
        self.spectrogram.clone().mask_fill(self.hidden.clone(), 0.0)
    }

    /// 1 at hidden bins that are no padding, else 0: `[batch, bins, frames]`.
    pub fn hidden_weights(&self) -> Tensor<3> {
        hidden_weights(self.hidden.clone(), &self.valid_frames)
    }
}
