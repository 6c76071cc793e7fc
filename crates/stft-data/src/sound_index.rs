use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::decode_limits::DecodeLimits;
use crate::sound_entry::KeptFacts;
use crate::sound_files::SoundFile;
use crate::sound_key::SOUND_VERSION;

/// What an earlier look at sound files has found. Files of the same length and date as then need not be opened to know what is in
/// them: see [`SoundReader::with_index`](crate::SoundReader::with_index).
///
/// Serialises as a map. Files whose names aren't Unicode are left out, and so are those dated before 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SoundIndex {
    /// [`SOUND_VERSION`](crate::SOUND_VERSION) of what has looked.
    version: u32,
    /// What was refused then.
    limits: DecodeLimits,
    /// Where the paths begin, with links resolved: files of the same name elsewhere are others.
    root: PathBuf,
    files: BTreeMap<PathBuf, IndexedFile>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct IndexedFile {
    stamp: Stamp,
    #[serde(with = "KeptFacts")]
    facts: SoundFile,
}

/// What changes with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    bytes: u64,
    /// Nanoseconds since the start of 1970.
    modified_ns: u64,
}

impl Stamp {
    /// That of the regular file at `path`, which isn't opened.
    pub(crate) fn of(path: &Path) -> Option<Stamp> {
        let facts = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
        let modified = facts.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Stamp {
            bytes: facts.len(),
            modified_ns: u64::try_from(modified.as_nanos()).ok()?,
        })
    }
}

impl SoundIndex {
    /// That of `files` below `root`, each with its stamp from before it was looked at.
    pub(crate) fn new<'a>(
        root: &Path,
        limits: DecodeLimits,
        files: impl Iterator<Item = (&'a SoundFile, Option<Stamp>)>,
    ) -> SoundIndex {
        let root = fs::canonicalize(root).unwrap_or_default();
        let is_unicode = |path: &Path| path.to_str().is_some();
        if !is_unicode(&root) {
            return SoundIndex::default();
        }
        let indexed = |(facts, stamp): (&SoundFile, Option<Stamp>)| {
            let stamp = stamp.filter(|_| is_unicode(&facts.path))?;
            let facts = SoundFile {
                path: PathBuf::new(),
                ..facts.clone()
            };
            Some(IndexedFile { stamp, facts })
        };
        let files = files.filter_map(|file| Some((file.0.path.clone(), indexed(file)?)));
        SoundIndex {
            version: SOUND_VERSION,
            limits,
            root,
            files: files.collect(),
        }
    }

    /// Whether it is about files below `root`, and what would be found of them today.
    pub(crate) fn is_of(&self, root: &Path, limits: &DecodeLimits) -> bool {
        let is_alike = self.version == SOUND_VERSION && self.limits == *limits;
        is_alike && fs::canonicalize(root).is_ok_and(|real| real == self.root)
    }

    /// What was found of the file at `path`, if it is as it was then.
    pub(crate) fn facts(&self, path: &Path, stamp: Stamp) -> Option<SoundFile> {
        let known = self.files.get(path).filter(|known| known.stamp == stamp)?;
        Some(SoundFile {
            path: path.to_owned(),
            ..known.facts.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::FolderSource;
    use crate::reader::SoundReader;
    use crate::sound_cache::SoundCache;
    use crate::source::Source;
    use std::fs::File;
    use std::time::{Duration, SystemTime};
    use tempfile::TempDir;

    /// A folder with a ramp under each of `names`, all of one length and date.
    fn ramps(names: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (place, name) in names.iter().enumerate() {
            write_ramp(&folder, name, place as i16 + 1);
        }
        folder
    }

    fn write_ramp(folder: &TempDir, name: &str, slope: i16) {
        let path = folder.path().join(name);
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for n in 0..400 {
            writer.write_sample(n * slope).unwrap();
        }
        writer.finalize().unwrap();
        date(&path, 0);
    }

    /// `seconds` after a day in 2001.
    fn date(path: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000 + seconds, 5);
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }

    /// Nothing in it can be decoded any more; length and date are as they were.
    fn spoil(path: &Path) {
        let bytes = fs::metadata(path).unwrap().len() as usize;
        fs::write(path, vec![b'x'; bytes]).unwrap();
        date(path, 0);
    }

    fn index(folder: &TempDir) -> SoundIndex {
        let source = FolderSource::open(folder.path(), &SoundReader::default()).unwrap();
        let json = serde_json::to_vec(&source.sounds.index()).unwrap();
        let read: SoundIndex = serde_json::from_slice(&json).unwrap();
        assert_eq!(read, source.sounds.index());
        read
    }

    fn open(folder: &TempDir, index: SoundIndex) -> FolderSource {
        let reader = SoundReader::default().with_index(index);
        FolderSource::open(folder.path(), &reader).unwrap()
    }

    #[test]
    fn files_of_the_same_length_and_date_are_not_opened_until_they_are_loaded() {
        // One is told to be a sound by its first bytes alone.
        let folder = ramps(&["a.wav", "ramp"]);
        let before = FolderSource::open(folder.path(), &SoundReader::default()).unwrap();
        let index = index(&folder);
        for name in ["a.wav", "ramp"] {
            spoil(&folder.path().join(name));
        }
        let source = open(&folder, index);
        assert_eq!(source.files(), before.files());
        assert_eq!(source.files().len(), 2);
        assert!(source.rejected().is_empty());
        assert!(source.load(0).is_err());
        assert!(source.load(1).is_err());
    }

    #[test]
    fn a_file_of_another_length_or_date_is_looked_at_again() {
        let folder = ramps(&["a.wav", "b.wav", "c.wav"]);
        let index = index(&folder);
        let [first, second] = ["a.wav", "b.wav"].map(|name| folder.path().join(name));
        spoil(&first);
        date(&first, 1);
        fs::write(&second, "short").unwrap();
        date(&second, 0);
        write_ramp(&folder, "new.wav", 9);
        let source = open(&folder, index);
        let names = |paths: Vec<&PathBuf>| -> Vec<String> {
            paths
                .iter()
                .map(|path| path.display().to_string())
                .collect()
        };
        let used = source.files().iter().map(|file| &file.path).collect();
        assert_eq!(names(used), ["c.wav", "new.wav"]);
        assert_eq!(source.sounds.opened(), 1);
        let rejected = source.rejected().iter().map(|file| &file.path).collect();
        assert_eq!(names(rejected), ["a.wav", "b.wav"]);
    }

    #[test]
    fn a_sound_that_is_another_under_the_same_length_and_date_is_found_out_when_it_is_loaded() {
        let folder = ramps(&["a.wav", "b.wav"]);
        let known = index(&folder);
        write_ramp(&folder, "a.wav", 9);
        let kept = tempfile::tempdir().unwrap();
        for cached in [false, true] {
            let mut reader = SoundReader::default().with_index(known.clone());
            if cached {
                reader = reader.with_cache(SoundCache::open(kept.path(), 1 << 20).unwrap());
            }
            let source = FolderSource::open(folder.path(), &reader).unwrap();
            assert_eq!(source.sounds.opened(), 0);
            // The second time it comes from the cache.
            for _ in 0..2 {
                let message = source.load(0).unwrap_err().to_string();
                assert!(message.contains("another sound"), "{message}");
                assert!(message.contains("a.wav"), "{message}");
                assert!(source.load(1).is_ok());
            }
        }
    }

    #[test]
    fn an_index_of_other_limits_or_another_version_is_not_believed() {
        let folder = ramps(&["a.wav"]);
        let known = index(&folder);
        let other = SoundIndex {
            version: SOUND_VERSION + 1,
            ..known.clone()
        };
        assert_eq!(open(&folder, known.clone()).sounds.opened(), 0);
        assert_eq!(open(&folder, other).sounds.opened(), 1);
        let mut config = crate::DataConfig::default();
        config.decode.max_seconds = 0.01;
        let reader = SoundReader::new(&config).with_index(known);
        // It is longer than that.
        assert!(FolderSource::open(folder.path(), &reader).is_err());
    }

    #[test]
    fn what_is_known_of_one_folder_says_nothing_of_another() {
        let [here, there] = [ramps(&["a.wav"]), ramps(&["a.wav"])];
        let index = index(&there);
        write_ramp(&here, "a.wav", 7);
        let plain = FolderSource::open(here.path(), &SoundReader::default()).unwrap();
        let known = FolderSource::open(there.path(), &SoundReader::default()).unwrap();
        assert_ne!(plain.files(), known.files());
        assert_eq!(open(&here, index).files(), plain.files());
    }

    #[test]
    fn a_sound_that_is_known_by_the_index_is_kept_by_the_cache_once_it_is_loaded() {
        let folder = ramps(&["a.wav"]);
        let kept = tempfile::tempdir().unwrap();
        let cache = || SoundCache::open(kept.path(), 1 << 20).unwrap();
        let reader = SoundReader::default()
            .with_cache(cache())
            .with_index(index(&folder));
        let source = FolderSource::open(folder.path(), &reader).unwrap();
        assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 0);
        let loaded = source.load(0).unwrap();
        assert_eq!(fs::read_dir(kept.path()).unwrap().count(), 1);
        let reader = SoundReader::default().with_cache(cache());
        let source = FolderSource::open(folder.path(), &reader).unwrap();
        assert_eq!(source.load(0).unwrap(), loaded);
    }
}
