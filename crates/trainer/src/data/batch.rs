//! A batch as tensors: the one place where data becomes something that a model can take.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use losses::{ParameterTarget, hidden_weights};
use params::ParamVector;
use stft_data::{Clip, SpectrogramBatch};

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
    /// The sounds, where the data set keeps them.
    pub sounds: Option<Sounds>,
    /// The synthesizer parameters that made the sounds, where they are known for all.
    pub truth: Option<ParameterTarget>,
}

/// The sounds of a batch.
#[derive(Clone, Debug)]
pub struct Sounds {
    /// Samples, `[batch, samples]`; zeros after the valid ones.
    pub samples: Tensor<2>,
    /// How many samples each sound fills, from the left.
    pub valid_samples: Vec<usize>,
}

impl Sounds {
    fn new(clips: &[Clip], device: &Device) -> Self {
        let samples: Vec<f32> = clips.iter().flat_map(|clip| clip.samples.clone()).collect();
        let shape = [clips.len(), samples.len() / clips.len().max(1)];
        Self {
            samples: Tensor::from_data(TensorData::new(samples, shape), device),
            valid_samples: clips.iter().map(|clip| clip.valid_samples).collect(),
        }
    }
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
            sounds: batch
                .sounds
                .as_ref()
                .map(|clips| Sounds::new(clips, device)),
            truth: batch.truth.as_deref().map(|truth| target(truth, device)),
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

/// Parameter vectors, stacked; there is at least one.
fn target(vectors: &[ParamVector], device: &Device) -> ParameterTarget {
    let (batch, first) = (vectors.len(), &vectors[0]);
    let positions: Vec<f32> = vectors.iter().flat_map(|v| v.cont.clone()).collect();
    let classes = vectors.iter().flat_map(|v| &v.cat);
    let classes: Vec<i64> = classes.map(|&class| class as i64).collect();
    let continuous = (!positions.is_empty()).then(|| {
        let data = TensorData::new(positions, [batch, first.cont.len()]);
        Tensor::from_data(data, device)
    });
    let classes = (!classes.is_empty()).then(|| {
        let data = TensorData::new(classes, [batch, first.cat.len()]);
        Tensor::<2, Int>::from_data(data, device)
    });
    ParameterTarget {
        continuous,
        classes,
    }
}
