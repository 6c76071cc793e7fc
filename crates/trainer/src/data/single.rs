//! The spectrogram of a single sound, as models see it.

use std::sync::Arc;

use stft_data::{
    Audio, DataConfig, DataError, Dataset, EVALUATION_EPOCH, Fingerprint, Normalization, Source,
    Spectrogram, SpectrogramBatch, SplitConfig, TrainStatistics,
};

/// A batch of one: the spectrogram of `sound`, which is no longer than a clip and has its rate, with nothing hidden.
///
/// # Errors
/// The sound is empty, or holds something that is no sample.
pub(crate) fn spectrogram_of(
    sound: Audio,
    data: &DataConfig,
    normalization: Normalization,
) -> Result<SpectrogramBatch, DataError> {
    let config = DataConfig {
        split: SplitConfig {
            valid: 0.0,
            test: 0.0,
        },
        mask: data.mask.nothing_hidden(),
        ..*data
    };
    let statistics = TrainStatistics {
        normalization,
        mean_log1p: Spectrogram {
            values: vec![0.0; data.bins() * data.frames()],
            bins: data.bins(),
            frames: data.frames(),
        },
    };
    let one = Arc::new(OneSound(sound));
    Dataset::open_with(one, &config, 0, statistics)?.batch(&[(0, EVALUATION_EPOCH)])
}

/// A source of one sound.
struct OneSound(Audio);

impl Source for OneSound {
    fn len(&self) -> usize {
        1
    }

    fn name(&self, _index: usize) -> String {
        "the sound".to_owned()
    }

    fn fingerprint(&self, _index: usize) -> Fingerprint {
        Fingerprint([0; 32])
    }

    fn load(&self, _index: usize) -> Result<Audio, DataError> {
        Ok(self.0.clone())
    }
}
