use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::decode::DecodeLimits;
use crate::error::{DataError, Unusable};
use crate::sound_entry::Entry;
use crate::sound_files::SoundFile;

/// Raised whenever decoding or resampling gives other samples than before, or other facts are kept: no
/// older entry is found after that. A test holds it and the samples together.
const VERSION: u32 = 1;

/// Larger files are decoded each time: to know whether an entry is theirs they would have to be read
/// to their end first, and a header may be followed by a terabyte of holes.
const LARGEST_FILE_BYTES: u64 = 256 << 20;

/// An entry's name ends like this; nothing else is ever counted.
const EXTENSION: &str = ".sound";

/// Begins the names of entries that are being written.
const UNFINISHED: &str = ".unfinished-";

/// An unfinished entry of this age was left behind by a process that was killed.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// A process counts again after writing this share of the limit, since others write as well.
const RECOUNT_SHARE: u64 = 16;

/// Decoded and resampled sounds on disk, for later runs.
///
/// An entry is found by the SHA-256 of everything that it is made from: the file's bytes, the limits of
/// decoding, the rate, and the version of this code. A changed file or setting leads to another entry; a
/// renamed or copied file leads to the same. An entry is written under another name and then renamed, so
/// several processes may use one cache at once, and it holds digests of its content, so one that was cut
/// off or damaged is made again and never used.
///
/// The limit counts the bytes of all entries. Where a new one has no room, those go that were used least
/// recently, but never one that this process has used: training asks for every sound once in an epoch,
/// and throwing out the oldest would throw out each sound just before its turn. What has no room after
/// that is not kept. Several processes that fill one cache at once may overshoot the limit by a sixteenth
/// each. A cache that can't be written to is reported once and then only read.
#[derive(Debug)]
pub struct SoundCache {
    root: PathBuf,
    limit_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of all entries when they were counted last, and of those written since.
    total_bytes: u64,
    /// How much may be written before they are counted again.
    until_recount_bytes: u64,
    /// Nothing more is written: there is no room, or the folder can't be written to.
    closed: bool,
    in_use: HashSet<Key>,
}

/// Stands for everything that an entry is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of a regular file's sound at a rate; none if the file is too large to be kept.
    pub(crate) fn of_file(
        path: &Path,
        limits: &DecodeLimits,
        sample_rate_hz: u32,
    ) -> Result<Option<Key>, Unusable> {
        let facts = fs::metadata(path)?;
        if !facts.is_file() {
            return Err(Unusable::NotRegular);
        }
        if facts.len() > LARGEST_FILE_BYTES {
            return Ok(None);
        }
        let mut hash = Sha256::new();
        hash.update(VERSION.to_le_bytes());
        hash.update(limits.max_seconds.to_le_bytes());
        hash.update(limits.max_channels.to_le_bytes());
        hash.update(sample_rate_hz.to_le_bytes());
        let mut file = File::open(path)?.take(LARGEST_FILE_BYTES);
        let mut block = vec![0; 64 * 1024];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(Some(Key(hash.finalize().into()))),
                n => hash.update(&block[..n]),
            }
        }
    }

    fn name(&self) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        hex + EXTENSION
    }

    fn from_name(name: &str) -> Option<Key> {
        let hex = name.strip_suffix(EXTENSION)?;
        let mut key = [0; 32];
        if hex.len() != 2 * key.len() || !hex.is_ascii() {
            return None;
        }
        for (i, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Key(key))
    }
}

impl SoundCache {
    /// A cache in a folder of its own, which is made with the first entry.
    ///
    /// # Errors
    /// [`DataError::Cache`] if there is something at `root` that can't be listed.
    pub fn open(root: &Path, limit_bytes: u64) -> Result<SoundCache, DataError> {
        match fs::read_dir(root) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DataError::Cache {
                path: root.to_owned(),
                source,
            }),
            _ => Ok(SoundCache {
                root: root.to_owned(),
                limit_bytes,
                state: Mutex::default(),
            }),
        }
    }

    /// What is said of a sound, without reading it.
    pub(crate) fn facts(&self, key: &Key) -> Option<SoundFile> {
        let path = self.path(key);
        let facts = self.found(&path, Entry::read_facts(&mut File::open(&path).ok()?))?;
        // Only the order in which entries go depends on this, so a cache that can't be written to will do.
        let _ = File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(SystemTime::now()));
        self.state().in_use.insert(*key);
        Some(facts)
    }

    /// A whole entry.
    pub(crate) fn entry(&self, key: &Key) -> Option<Entry> {
        let path = self.path(key);
        self.found(&path, Entry::read(&mut File::open(&path).ok()?))
    }

    /// Keeps an entry if there is room.
    pub(crate) fn put(&self, key: &Key, entry: &Entry) {
        let bytes = entry.to_bytes();
        if !self.make_room(key, bytes.len() as u64) {
            return;
        }
        if let Err(error) = self.write(key, &bytes) {
            self.state().closed = true;
            tracing::warn!(cache = %self.root.display(), %error, "can't keep decoded sounds; going on without");
        }
    }

    /// An entry that is there but damaged counts as missing, and will be written over.
    fn found<T>(&self, path: &Path, outcome: io::Result<T>) -> Option<T> {
        outcome
            .inspect_err(|error| {
                tracing::warn!(entry = %path.display(), %error, "damaged; decoding the sound again");
            })
            .ok()
    }

    fn write(&self, key: &Key, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(key);
        let folder = path.parent().expect("an entry lies in a folder");
        fs::create_dir_all(folder)?;
        let mut unfinished = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(folder)?;
        unfinished.write_all(bytes)?;
        unfinished.persist(&path)?;
        Ok(())
    }

    fn make_room(&self, key: &Key, bytes: u64) -> bool {
        let mut state = self.state();
        state.in_use.insert(*key);
        if state.closed {
            return false;
        }
        if state.until_recount_bytes < bytes || state.total_bytes + bytes > self.limit_bytes {
            state.total_bytes = self.shrink_to(self.limit_bytes.saturating_sub(bytes), &state);
            state.until_recount_bytes = self.limit_bytes / RECOUNT_SHARE;
        }
        if state.total_bytes + bytes > self.limit_bytes {
            state.closed = true;
            tracing::warn!(
                cache = %self.root.display(),
                limit_mib = self.limit_bytes >> 20,
                "full; the remaining sounds are decoded each time"
            );
            return false;
        }
        state.total_bytes += bytes;
        state.until_recount_bytes = state.until_recount_bytes.saturating_sub(bytes);
        true
    }

    /// Removes what was used least recently until at most `goal_bytes` remain or everything is in use,
    /// and returns how many bytes remain.
    fn shrink_to(&self, goal_bytes: u64, state: &State) -> u64 {
        let now = SystemTime::now();
        let mut total_bytes = 0;
        let mut removable = Vec::new();
        // What can't be listed or removed (perhaps another process was faster) is simply not counted.
        for found in WalkDir::new(&self.root).min_depth(2).max_depth(2) {
            let Ok(found) = found else { continue };
            let Ok(facts) = found.metadata() else {
                continue;
            };
            let Ok(used) = facts.modified() else { continue };
            let name = found.file_name().to_string_lossy();
            if let Some(key) = Key::from_name(&name) {
                total_bytes += facts.len();
                if !state.in_use.contains(&key) {
                    removable.push((used, facts.len(), found.into_path()));
                }
            } else if name.starts_with(UNFINISHED)
                && now
                    .duration_since(used)
                    .is_ok_and(|age| age > ABANDONED_AFTER)
            {
                let _ = fs::remove_file(found.path());
            }
        }
        removable.sort();
        for (_, bytes, path) in removable {
            if total_bytes <= goal_bytes {
                break;
            }
            if fs::remove_file(path).is_ok() {
                total_bytes -= bytes;
            }
        }
        total_bytes
    }

    fn path(&self, key: &Key) -> PathBuf {
        let name = key.name();
        self.root.join(&name[..2]).join(name)
    }

    /// Numbers that are right at any point, so a thread that panicked while it held them did no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound_entry::tests::entry;

    fn key(n: u8) -> Key {
        Key([n; 32])
    }

    fn names(root: &Path) -> Vec<u8> {
        let mut keys: Vec<u8> = WalkDir::new(root)
            .into_iter()
            .filter_map(|found| Key::from_name(found.unwrap().file_name().to_str()?))
            .map(|key| key.0[0])
            .collect();
        keys.sort();
        keys
    }

    #[test]
    fn what_was_put_is_found_by_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let kept = entry(&[0.5, 0.25]);
        SoundCache::open(folder.path(), 1 << 20)
            .unwrap()
            .put(&key(7), &kept);
        let cache = SoundCache::open(folder.path(), 1 << 20).unwrap();
        assert_eq!(cache.facts(&key(7)), Some(kept.file.clone()));
        assert_eq!(cache.entry(&key(7)), Some(kept));
        assert_eq!(cache.entry(&key(8)), None);
    }

    #[test]
    fn the_least_recently_used_go_first_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let one = entry(&[0.5; 1000]);
        let limit = 3 * one.to_bytes().len() as u64;
        let first = SoundCache::open(folder.path(), limit).unwrap();
        for n in [1, 2, 3] {
            first.put(&key(n), &one);
            let age = Duration::from_secs(100 - u64::from(n));
            File::options()
                .append(true)
                .open(first.path(&key(n)))
                .unwrap()
                .set_modified(SystemTime::now() - age)
                .unwrap();
        }
        assert_eq!(names(folder.path()), [1, 2, 3]);
        // What this process wrote is in use: there is no room for a fourth.
        first.put(&key(4), &one);
        assert_eq!(names(folder.path()), [1, 2, 3]);

        // Another one uses the oldest, so the second oldest has to go.
        let second = SoundCache::open(folder.path(), limit).unwrap();
        assert!(second.facts(&key(1)).is_some());
        second.put(&key(4), &one);
        assert_eq!(names(folder.path()), [1, 3, 4]);
        second.put(&key(5), &one);
        assert_eq!(names(folder.path()), [1, 4, 5]);
        second.put(&key(6), &one);
        assert_eq!(names(folder.path()), [1, 4, 5]);
    }

    #[test]
    fn a_smaller_limit_removes_and_only_entries_are_ever_removed() {
        let folder = tempfile::tempdir().unwrap();
        let one = entry(&[0.5; 1000]);
        let bytes = one.to_bytes().len() as u64;
        let wide = SoundCache::open(folder.path(), 10 * bytes).unwrap();
        for n in 1..=5 {
            wide.put(&key(n), &one);
        }
        let letter = folder.path().join("01/letter.txt");
        fs::write(&letter, vec![0; 5 * bytes as usize]).unwrap();
        let narrow = SoundCache::open(folder.path(), 2 * bytes).unwrap();
        narrow.put(&key(6), &one);
        assert_eq!(names(folder.path()).len(), 2);
        assert!(names(folder.path()).contains(&6));
        assert!(letter.exists());
    }

    #[test]
    fn a_limit_below_one_entry_keeps_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let cache = SoundCache::open(folder.path(), 100).unwrap();
        cache.put(&key(1), &entry(&[0.5; 1000]));
        assert_eq!(names(folder.path()), [0; 0]);
    }

    #[test]
    fn a_folder_that_is_a_file_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = SoundCache::open(file.path(), 1).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&file.path().display().to_string())
        );
    }

    #[test]
    fn many_at_once_write_and_read_whole_entries() {
        let folder = tempfile::tempdir().unwrap();
        let expected = |n: u8| entry(&vec![f32::from(n); 500 + usize::from(n)]);
        let caches = [(); 2].map(|()| SoundCache::open(folder.path(), 1 << 20).unwrap());
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let cache = &caches[thread % 2];
                scope.spawn(move || {
                    for round in 0..50_u8 {
                        let n = round % 5;
                        match cache.entry(&key(n)) {
                            Some(found) => assert_eq!(found, expected(n)),
                            None => cache.put(&key(n), &expected(n)),
                        }
                        cache.put(&key(n), &expected(n));
                    }
                });
            }
        });
        assert_eq!(names(folder.path()), [0, 1, 2, 3, 4]);
        let unfinished = WalkDir::new(folder.path()).into_iter().filter(|found| {
            let name = found.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(UNFINISHED)
        });
        assert_eq!(unfinished.count(), 0);
    }
}
