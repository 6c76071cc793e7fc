use std::sync::Arc;

use params::keyed_rng;

use crate::audio::{Audio, MAX_SAMPLE};
use crate::config::DataConfig;
use crate::dataset::epoch::EVALUATION_EPOCH;
use crate::dataset::memory_cache::MemoryCache;
use crate::error::DataError;
use crate::source::Source;
use crate::transform::clip::{Clip, beginning, cut};
use crate::transform::resample::resample_owned;
use crate::transform::scale::log1p;
use crate::transform::statistics::LogSpectrogram;
use crate::transform::stft::Stft;

/// Label of the [`keyed_rng`] stream of crops.
const CROP_STREAM: u64 = u64::from_le_bytes(*b"datacrop");

/// The steps before normalisation: load, resample, crop, STFT and log1p.
pub(crate) struct Chain<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) config: &'a DataConfig,
    pub(crate) seed: u64,
    pub(crate) stft: &'a Stft,
    pub(crate) cache: &'a MemoryCache,
    /// In [`EVALUATION_EPOCH`], a long sound is cut to its beginning instead of a drawn crop.
    pub(crate) evaluates_beginnings: bool,
}

impl Chain<'_> {
    fn audio(&self, index: usize) -> Result<Arc<Audio>, DataError> {
        self.cache.get_or_load(index, || {
            let audio = self.source.load(index)?;
            check(&audio, || self.source.name(index))?;
            resample_owned(audio, self.config.clip.sample_rate_hz)
        })
    }

    pub(crate) fn clip(&self, index: usize, epoch: u64) -> Result<Clip, DataError> {
        let audio = self.audio(index)?;
        let length = self.config.clip.samples();
        if self.evaluates_beginnings && epoch == EVALUATION_EPOCH {
            return Ok(beginning(&audio.samples, length));
        }
        let id = self.source.fingerprint(index).id();
        let mut rng = keyed_rng([self.seed, CROP_STREAM, epoch, id]);
        Ok(cut(&audio.samples, length, &mut rng))
    }

    pub(crate) fn log_spectrogram(
        &self,
        index: usize,
        epoch: u64,
    ) -> Result<LogSpectrogram, DataError> {
        Ok(self.log_spectrogram_of(&self.clip(index, epoch)?))
    }

    pub(crate) fn log_spectrogram_of(&self, clip: &Clip) -> LogSpectrogram {
        let valid_frames = self.config.stft.frames(clip.valid_samples);
        let mut spectrogram = self.stft.magnitude_of_first(valid_frames, &clip.samples);
        for row in spectrogram.values.chunks_exact_mut(spectrogram.frames) {
            for value in &mut row[..valid_frames] {
                *value = log1p(*value);
            }
        }
        LogSpectrogram {
            spectrogram,
            valid_frames,
        }
    }
}

/// Checks a sound of a source, which may be any implementation, while its name is known.
fn check(audio: &Audio, name: impl Fn() -> String) -> Result<(), DataError> {
    let Audio {
        samples,
        sample_rate_hz,
    } = audio;
    if samples.is_empty() || *sample_rate_hz == 0 {
        return Err(DataError::EmptyExample {
            name: name(),
            samples: samples.len(),
            sample_rate_hz: *sample_rate_hz,
        });
    }
    // Not `abs() > MAX_SAMPLE`, which is false for NaN.
    let is_valid = |sample: &f32| sample.abs() <= MAX_SAMPLE;
    match samples.iter().position(|sample| !is_valid(sample)) {
        Some(at_sample) => Err(DataError::ImpossibleSample {
            name: name(),
            at_sample,
            value: samples[at_sample],
            max: MAX_SAMPLE,
        }),
        None => Ok(()),
    }
}
