use std::path::Path;
use std::sync::Arc;

use crate::audio::{Audio, MAX_SAMPLE};
use crate::clip::ClipConfig;
use crate::config::DataConfig;
use crate::decode::{Decoded, decode_with_facts};
use crate::decode_limits::DecodeLimits;
use crate::error::DataError;
use crate::resample::resample;
use crate::sound_cache::SoundCache;
use crate::sound_entry::Entry;
use crate::sound_files::SoundFile;
use crate::sound_index::SoundIndex;
use crate::sound_key::Key;
use crate::source::Fingerprint;
use crate::unusable::Unusable;

/// How sound files become samples: within which limits, and whether the result is kept on disk.
///
/// ```
/// use stft_data::{DataConfig, SoundCache, SoundReader};
///
/// let mut config = DataConfig::default();
/// config.decode.max_seconds = 60.0;
/// let reader = SoundReader::new(&config);
/// # let folder = tempfile::tempdir().unwrap();
/// # let cache_folder = folder.path().join("sounds");
/// // What is decoded once is read back in later runs, at the rate of the clips; 4 GiB at most.
/// let reader = reader.with_cache(SoundCache::open(&cache_folder, 4 << 30)?);
/// # Ok::<(), stft_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SoundReader {
    limits: DecodeLimits,
    clip: ClipConfig,
    cache: Option<Arc<SoundCache>>,
    index: Option<Arc<SoundIndex>>,
}

impl Default for SoundReader {
    fn default() -> Self {
        SoundReader::new(&DataConfig::default())
    }
}

impl SoundReader {
    /// Keeps to the limits of `config`, and decodes each time.
    pub fn new(config: &DataConfig) -> SoundReader {
        SoundReader {
            limits: config.decode,
            clip: config.clip,
            cache: None,
            index: None,
        }
    }

    /// Keeps sounds in `cache`, at the rate of the configuration's clips. What comes out of a
    /// [`Dataset`](crate::Dataset) of the same configuration is the same to the bit with and without.
    pub fn with_cache(self, cache: SoundCache) -> SoundReader {
        SoundReader {
            cache: Some(Arc::new(cache)),
            ..self
        }
    }

    /// Believes `index` of files that have the length and date that they had when it was made: they aren't opened before they are
    /// loaded, and have to be what it says then. It says nothing of files in another folder, or under other limits.
    pub fn with_index(self, index: SoundIndex) -> SoundReader {
        SoundReader {
            index: Some(Arc::new(index)),
            ..self
        }
    }

    /// What is known of the files below `root`.
    pub(crate) fn index_of(&self, root: &Path) -> Option<&SoundIndex> {
        self.index
            .as_deref()
            .filter(|index| index.is_of(root, &self.limits))
    }

    pub(crate) fn validate(&self) -> Result<(), DataError> {
        self.clip.validate()?;
        self.limits.validate()
    }

    /// What can be said of a file, but its path, and where its sound is kept, if it is to be kept.
    pub(crate) fn inspect(&self, path: &Path) -> Result<(SoundFile, Option<Key>), Unusable> {
        let decode = || decode_with_facts(path, &self.limits);
        let (Some(cache), Some(key)) = (&self.cache, self.key(path)?) else {
            return Ok((SoundFile::of(&decode()?), None));
        };
        let file = match cache.facts(&key) {
            Some(file) => file,
            None => self.decode_and_keep(path, cache, &key, decode)?.0,
        };
        Ok((file, Some(key)))
    }

    /// The sound of a file that was inspected, at the clips' rate if it is kept, or else as recorded; of one that an index knows
    /// instead, `expected` is what it has to be.
    pub(crate) fn read(
        &self,
        path: &Path,
        key: Option<&Key>,
        expected: Option<&Fingerprint>,
    ) -> Result<Audio, DataError> {
        let decode = || decode_with_facts(path, &self.limits);
        let found = match (&self.cache, key) {
            (Some(cache), Some(key)) => match cache.entry(key) {
                Some(entry) if entry.audio.sample_rate_hz == self.clip.sample_rate_hz => {
                    Ok((Some(entry.file.fingerprint), entry.audio))
                }
                _ => self
                    .decode_and_keep(path, cache, key, decode)
                    .map(|(file, audio)| (Some(file.fingerprint), audio)),
            },
            _ => decode().map(|decoded| {
                let fingerprint = expected.map(|_| SoundFile::of(&decoded).fingerprint);
                (fingerprint, decoded.audio)
            }),
        };
        match found {
            Ok((found, _)) if expected.is_some_and(|expected| found != Some(*expected)) => {
                Err(DataError::Changed {
                    path: path.to_owned(),
                })
            }
            Ok((_, audio)) => Ok(audio),
            Err(reason) => Err(DataError::Unusable {
                path: path.to_owned(),
                reason,
            }),
        }
    }

    /// What files may hold.
    pub(crate) fn limits(&self) -> DecodeLimits {
        self.limits
    }

    /// Where the sound of a file is kept, or would be; none where there is no cache, or it isn't kept.
    pub(crate) fn key(&self, path: &Path) -> Result<Option<Key>, Unusable> {
        if self.cache.is_none() {
            return Ok(None);
        }
        Key::of_file(path, &self.limits, self.clip.sample_rate_hz)
    }

    fn decode_and_keep(
        &self,
        path: &Path,
        cache: &SoundCache,
        key: &Key,
        decode: impl FnOnce() -> Result<Decoded, Unusable>,
    ) -> Result<(SoundFile, Audio), Unusable> {
        let decoded = decode()?;
        let file = SoundFile::of(&decoded);
        let audio = match at_rate(decoded.audio, self.clip.sample_rate_hz) {
            Ok(audio) => audio,
            Err(recorded) => return Ok((file, recorded)),
        };
        let entry = Entry { file, audio };
        // Nothing is kept of a file that was written to, or removed, while it was decoded.
        if matches!(self.key(path), Ok(Some(again)) if again == *key) {
            cache.put(key, &entry);
        }
        Ok((entry.file, entry.audio))
    }
}

/// A sound at another rate. One that can't be brought there, or overshoots there what is believed of a
/// sample, goes on as it was recorded: the pipeline has an error for that, with a name.
fn at_rate(recorded: Audio, rate_hz: u32) -> Result<Audio, Audio> {
    if recorded.sample_rate_hz == rate_hz {
        return Ok(recorded);
    }
    let believed = |audio: &Audio| audio.samples.iter().all(|x| x.abs() <= MAX_SAMPLE);
    match resample(&recorded, rate_hz) {
        Ok(audio) if believed(&audio) => Ok(audio),
        _ => Err(recorded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::FolderSource;
    use crate::sound_key::SOUND_VERSION;
    use crate::source::Source;
    use serde::Deserialize;
    use std::fs;
    use std::path::PathBuf;
    use tempfile::TempDir;

    const RATE_HZ: u32 = 16_384;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
    }

    fn cached(folder: &TempDir) -> SoundReader {
        SoundReader::default().with_cache(SoundCache::open(folder.path(), 64 << 20).unwrap())
    }

    fn kept(folder: &TempDir) -> usize {
        let found = walkdir::WalkDir::new(folder.path()).into_iter();
        found
            .filter(|found| found.as_ref().unwrap().file_type().is_file())
            .count()
    }

    #[test]
    fn a_warm_cache_decodes_nothing() {
        let (sounds, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = sounds.path().join("a.wav");
        // Nothing that could be decoded; only an entry says what it sounds like.
        fs::write(&path, "no sound at all").unwrap();
        let reader = cached(&folder);
        assert!(reader.inspect(&path).is_err());
        let entry = crate::sound_entry::tests::entry(&[0.5, 0.25, -0.5]);
        let audio = at_rate(entry.audio.clone(), RATE_HZ).unwrap();
        let key = reader.key(&path).unwrap().unwrap();
        let file = entry.file.clone();
        let cache = reader.cache.as_ref().unwrap();
        cache.put(&key, &Entry { file, audio });

        let source = FolderSource::open(sounds.path(), &cached(&folder)).unwrap();
        let name = PathBuf::from("a.wav");
        let expected = SoundFile {
            path: name,
            ..entry.file
        };
        assert_eq!(source.files(), [expected]);
        let loaded = source.load(0).unwrap();
        assert_eq!((loaded.samples.len(), loaded.sample_rate_hz), (6, RATE_HZ));
    }

    #[test]
    fn nothing_is_kept_of_a_file_that_changes_or_vanishes_while_it_is_decoded() {
        let (sounds, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = sounds.path().join("a.wav");
        let reader = cached(&folder);
        let put_sound = || fs::copy(fixtures().join("stereo_16bit.wav"), &path).unwrap();
        let during = |change: &dyn Fn()| {
            put_sound();
            let key = reader.key(&path).unwrap().unwrap();
            let decode = || {
                let decoded = decode_with_facts(&path, &reader.limits);
                change();
                decoded
            };
            let cache = reader.cache.as_ref().unwrap();
            // What was decoded is used all the same.
            let (file, audio) = reader.decode_and_keep(&path, cache, &key, decode).unwrap();
            assert_eq!(audio.samples.len(), file.samples_at(RATE_HZ));
            kept(&folder)
        };
        assert_eq!(during(&|| fs::write(&path, "another").unwrap()), 0);
        assert_eq!(during(&|| fs::remove_file(&path).unwrap()), 0);
        assert_eq!(during(&|| ()), 1);
    }

    #[test]
    fn what_overshoots_when_it_is_resampled_is_not_kept_and_goes_on_as_recorded() {
        let (sounds, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        for (name, peak) in [("absurd.wav", MAX_SAMPLE), ("loud.wav", MAX_SAMPLE / 2.0)] {
            let mut writer = hound::WavWriter::create(sounds.path().join(name), spec).unwrap();
            for n in 0..2_000 {
                let sample = if n / 50 % 2 == 0 { peak } else { -peak };
                writer.write_sample(sample).unwrap();
            }
            writer.finalize().unwrap();
        }
        let source = FolderSource::open(sounds.path(), &cached(&folder)).unwrap();
        assert_eq!(kept(&folder), 1);
        let rates = [0, 1].map(|index| source.load(index).unwrap().sample_rate_hz);
        assert_eq!(rates, [8_000, RATE_HZ]);
        assert_eq!(kept(&folder), 1);
    }

    #[test]
    fn a_sound_at_the_clips_rate_is_kept_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = DataConfig::default();
        config.clip.sample_rate_hz = 22_050;
        let cache = SoundCache::open(folder.path(), 1 << 20).unwrap();
        let reader = SoundReader::new(&config).with_cache(cache);
        let path = fixtures().join("stereo_16bit.wav");
        let (_, key) = reader.inspect(&path).unwrap();
        let plain = decode_with_facts(&path, &config.decode).unwrap().audio;
        assert!(reader.read(&path, key.as_ref(), None).unwrap() == plain);
        assert_eq!(kept(&folder), 1);
    }

    /// Samples `at`, `at + stride`, ... of a fixture, decoded and brought to 16,384 Hz.
    #[derive(Deserialize)]
    struct Pinned {
        version: u32,
        stride: usize,
        sounds: Vec<(String, Vec<f32>)>,
    }

    #[test]
    fn what_is_decoded_changes_only_with_the_version_of_the_cache() {
        // If this turns red because samples are meant to change, raise SOUND_VERSION in sound_key.rs, so that no
        // entry of the old kind is ever used again, and put what is printed into the file.
        let pinned: Pinned =
            serde_json::from_str(include_str!("../tests/golden/kept_sounds.json")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let source = FolderSource::open(&fixtures(), &cached(&folder)).unwrap();
        let (mut got, mut checked, mut differing) = (Vec::new(), 0, Vec::new());
        for (index, file) in source.files().iter().enumerate() {
            let name = file.path.display().to_string();
            let probes: Vec<f32> = source
                .load(index)
                .unwrap()
                .samples
                .into_iter()
                .step_by(pinned.stride)
                .collect();
            // The last bits of a transform differ between processors; lossy decoders take one more, and
            // amplify it.
            let lossy = name.ends_with(".ogg") || name.ends_with(".mp3");
            let tolerance = if lossy { 2e-4 } else { 1e-5 };
            let expected = pinned.sounds.iter().find(|sound| sound.0 == name);
            let same = expected.is_some_and(|(_, expected)| {
                expected.len() == probes.len()
                    && expected
                        .iter()
                        .zip(&probes)
                        .all(|(a, b)| (a - b).abs() <= tolerance)
            });
            checked += probes.len();
            if !same {
                differing.push(name.clone());
            }
            got.push((name, probes));
        }
        assert!(
            differing.is_empty() && pinned.version == SOUND_VERSION,
            "{differing:?}\n{}",
            serde_json::json!({"version": SOUND_VERSION, "stride": pinned.stride, "sounds": got})
        );
        assert!(checked > 150, "{checked}");
        assert_eq!(got.len(), pinned.sounds.len());
    }
}
