use std::path::Path;
use std::sync::Arc;

use crate::audio::{Audio, MAX_SAMPLE};
use crate::decode::{DecodeLimits, decode_with_facts};
use crate::error::{DataError, Unusable};
use crate::resample::resample;
use crate::sound_cache::{Key, SoundCache};
use crate::sound_entry::Entry;
use crate::sound_files::SoundFile;

/// How sound files become samples: within which limits, and whether the result is kept on disk.
///
/// ```
/// use stft_data::{DecodeLimits, SoundCache, SoundReader};
///
/// let reader = SoundReader::new(DecodeLimits { max_seconds: 60.0, ..DecodeLimits::default() });
/// # let folder = tempfile::tempdir().unwrap();
/// # let cache_folder = folder.path().join("sounds");
/// // What is decoded once at 16,384 Hz is read back in later runs; 4 GiB at most.
/// let reader = reader.with_cache(SoundCache::open(&cache_folder, 4 << 30)?, 16_384);
/// # Ok::<(), stft_data::DataError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SoundReader {
    limits: DecodeLimits,
    cache: Option<Cached>,
}

#[derive(Clone, Debug)]
struct Cached {
    cache: Arc<SoundCache>,
    sample_rate_hz: u32,
}

impl SoundReader {
    /// Decodes each time.
    pub fn new(limits: DecodeLimits) -> SoundReader {
        SoundReader {
            limits,
            cache: None,
        }
    }

    /// Keeps sounds at `sample_rate_hz`, the rate of the clips, in `cache`. What comes out of a
    /// [`Dataset`](crate::Dataset) is the same to the bit with and without.
    pub fn with_cache(self, cache: SoundCache, sample_rate_hz: u32) -> SoundReader {
        SoundReader {
            cache: Some(Cached {
                cache: Arc::new(cache),
                sample_rate_hz,
            }),
            ..self
        }
    }

    pub(crate) fn validate(&self) -> Result<(), DataError> {
        self.limits.validate()
    }

    /// What can be said of a file, but its path, and where its sound is kept, if it is to be kept.
    pub(crate) fn inspect(&self, path: &Path) -> Result<(SoundFile, Option<Key>), Unusable> {
        let Some(cached) = &self.cache else {
            return Ok((SoundFile::of(&decode_with_facts(path, &self.limits)?), None));
        };
        let Some(key) = Key::of_file(path, &self.limits, cached.sample_rate_hz)? else {
            return Ok((SoundFile::of(&decode_with_facts(path, &self.limits)?), None));
        };
        let file = match cached.cache.facts(&key) {
            Some(file) => file,
            None => self.decode_and_keep(path, cached, &key)?.0,
        };
        Ok((file, Some(key)))
    }

    /// The sound of a file that was inspected: at the cache's rate if it is kept, or else as recorded.
    pub(crate) fn read(&self, path: &Path, key: Option<&Key>) -> Result<Audio, DataError> {
        let audio = match (&self.cache, key) {
            (Some(cached), Some(key)) => match cached.cache.entry(key) {
                Some(entry) => Ok(entry.audio),
                None => self.decode_and_keep(path, cached, key).map(|kept| kept.1),
            },
            _ => decode_with_facts(path, &self.limits).map(|decoded| decoded.audio),
        };
        audio.map_err(|reason| DataError::Unusable {
            path: path.to_owned(),
            reason,
        })
    }

    fn decode_and_keep(
        &self,
        path: &Path,
        cached: &Cached,
        key: &Key,
    ) -> Result<(SoundFile, Audio), Unusable> {
        let decoded = decode_with_facts(path, &self.limits)?;
        let file = SoundFile::of(&decoded);
        // A sound that can't be brought to the cache's rate, or overshoots what is believed of a
        // sample there, goes on as it was recorded: the pipeline has an error for that, with a name.
        let Ok(audio) = resample(&decoded.audio, cached.sample_rate_hz) else {
            return Ok((file, decoded.audio));
        };
        if audio.samples.iter().any(|sample| sample.abs() > MAX_SAMPLE) {
            return Ok((file, decoded.audio));
        }
        let entry = Entry { file, audio };
        // Nothing is kept of a file that was written to while it was decoded.
        if Key::of_file(path, &self.limits, cached.sample_rate_hz)? == Some(*key) {
            cached.cache.put(key, &entry);
        }
        Ok((entry.file, entry.audio))
    }
}
