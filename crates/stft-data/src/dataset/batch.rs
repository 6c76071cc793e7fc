use params::ParamVector;

use crate::transform::clip::Clip;

/// One masked, normalised spectrogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Normalised log1p magnitudes, row-major `[bins, frames]`. Padded frames, from `valid_frames` on,
    /// hold 0, the mean of the training split.
    pub spectrogram: Vec<f32>,
    /// True where hidden, row-major `[bins, frames]`; never in padded frames.
    pub hidden: Vec<bool>,
    /// Number of frames of sound, from the left: as many as the STFT of the valid samples alone has, at
    /// most `frames`. Frame `t` is valid if its centre, sample `t · hop`, is not beyond the end of the
    /// sound.
    pub valid_frames: usize,
    /// The clip itself, from a data set [`with_sounds`](crate::Dataset::with_sounds).
    pub sound: Option<Clip>,
    /// The parameters that made the sound, if they are known.
    pub truth: Option<ParamVector>,
    /// The first eight bytes of the sound's fingerprint.
    pub id: u64,
    /// The epoch of its crop and mask.
    pub epoch: u64,
    /// Index in the source.
    pub index: usize,
}

/// Examples of one size, stacked. All fields are in the order of the examples.
#[derive(Clone, Debug, PartialEq)]
pub struct SpectrogramBatch {
    /// Normalised log1p magnitudes, row-major `[batch, bins, frames]`; padded frames hold 0.
    pub values: Vec<f32>,
    /// True where hidden, row-major `[batch, bins, frames]`; never in padded frames.
    pub hidden: Vec<bool>,
    /// Number of frames of sound of each example, from the left.
    pub valid_frames: Vec<usize>,
    /// The clips themselves, from a data set [`with_sounds`](crate::Dataset::with_sounds).
    pub sounds: Option<Vec<Clip>>,
    /// The parameters that made each sound, if they are known for all sounds.
    pub truth: Option<Vec<ParamVector>>,
    /// The examples' ids: the first eight bytes of their fingerprints.
    pub ids: Vec<u64>,
    /// The epoch of each example's crop and mask.
    pub epochs: Vec<u64>,
    /// The examples' indices in the source.
    pub indices: Vec<usize>,
    /// Number of examples.
    pub batch: usize,
    /// Number of frequency bins.
    pub bins: usize,
    /// Number of frames, padding included.
    pub frames: usize,
}

impl SpectrogramBatch {
    pub(crate) fn stack(
        mut examples: Vec<Example>,
        bins: usize,
        frames: usize,
    ) -> SpectrogramBatch {
        let batch = examples.len();
        let mut values = Vec::with_capacity(batch * bins * frames);
        let mut hidden = Vec::with_capacity(batch * bins * frames);
        let mut stacked = SpectrogramBatch {
            values: Vec::new(),
            hidden: Vec::new(),
            valid_frames: examples
                .iter()
                .map(|example| example.valid_frames)
                .collect(),
            ids: examples.iter().map(|example| example.id).collect(),
            epochs: examples.iter().map(|example| example.epoch).collect(),
            indices: examples.iter().map(|example| example.index).collect(),
            sounds: None,
            truth: None,
            batch,
            bins,
            frames,
        };
        for example in &examples {
            values.extend_from_slice(&example.spectrogram);
            hidden.extend_from_slice(&example.hidden);
        }
        stacked.values = values;
        stacked.hidden = hidden;
        let sounds = examples.iter_mut().map(|example| example.sound.take());
        stacked.sounds = sounds.collect();
        stacked.truth = examples.into_iter().map(|example| example.truth).collect();
        stacked
    }
}
