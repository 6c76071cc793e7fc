use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use walkdir::WalkDir;

use crate::error::DataError;
use crate::shown::shown;
use crate::sound_entry::Entry;
use crate::sound_files::SoundFile;
use crate::sound_key::Key;

/// Begins the names of entries that are being written.
const UNFINISHED: &str = ".unfinished-";

/// An unfinished entry of this age was left behind by a process that was killed.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// How old the date of an entry in use may become, by which other processes see that it is.
const REFRESH_AFTER: Duration = Duration::from_secs(3600);

/// A process counts again after writing this share of the limit, since others write as well; and as much
/// is made free at once, since it takes a walk over the whole folder.
const RECOUNT_SHARE: u64 = 16;

/// Decoded and resampled sounds on disk, for later runs.
///
/// An entry is found by the SHA-256 of everything that it is made from: the file's bytes, the limits of
/// decoding, the rate, and the version of this code. A changed file or setting leads to another entry; a
/// renamed or copied file leads to the same. An entry is written under another name and then renamed, so
/// several processes may use one cache at once. It holds its own key and digests of its content, so one
/// that was cut off, damaged or put in the place of another is made again and never used.
///
/// The limit counts the bytes of all entries, and a folder that has more when it is used first is brought
/// down to it. Where a new entry has no room, those go that were used least
/// recently, a sixteenth of the limit at once, but never one that this process has used: training asks
/// for every sound once in an epoch, and throwing out the oldest would throw out each sound just before
/// its turn. What has no room after that is not kept. Several processes that fill one cache at once may
/// overshoot the limit by a sixteenth or one entry each, until the next one begins; and in one that is too small for
/// them they may remove each other's entries, which costs decoding again and nothing else. A cache that can't be written to is reported once and then
/// only read.
#[derive(Debug)]
pub struct SoundCache {
    root: PathBuf,
    limit_bytes: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What this process has used, or is writing.
    in_use: HashMap<Key, InUse>,
    in_use_bytes: u64,
    /// All entries were counted once.
    counted: bool,
    /// Bytes of all other entries when they were counted last.
    other_bytes: u64,
    /// How much may be written before they are counted again.
    until_recount_bytes: u64,
    /// It was said that there is no room for all.
    said_full: bool,
    /// The kinds of failure that were told.
    said_failures: HashSet<io::ErrorKind>,
    /// Nothing more is written: the folder can't be written to.
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct InUse {
    bytes: u64,
    /// The date that the entry was given last.
    dated: SystemTime,
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
        self.find(key, SystemTime::now(), Entry::read_facts)
    }

    /// A whole entry.
    pub(crate) fn entry(&self, key: &Key) -> Option<Entry> {
        self.find(key, SystemTime::now(), Entry::read)
    }

    /// Keeps an entry if there is room.
    pub(crate) fn put(&self, key: &Key, entry: &Entry) {
        self.put_with(key, entry.bytes(key), || self.write(key, entry));
    }

    fn put_with(&self, key: &Key, bytes: u64, mut write: impl FnMut() -> io::Result<()>) {
        if !self.make_room(key, bytes) {
            return;
        }
        let written = write().or_else(|error| match error.kind() {
            // Somebody removed the folder meanwhile.
            io::ErrorKind::NotFound => write(),
            _ => Err(error),
        });
        if let Err(error) = written {
            self.not_written(key, &error);
        }
    }

    /// Reads an entry with `read`; one that is damaged counts as missing, and will be written over.
    fn find<T>(
        &self,
        key: &Key,
        now: SystemTime,
        read: impl FnOnce(&mut File, &Key) -> io::Result<T>,
    ) -> Option<T> {
        self.count_once();
        let path = self.path(key);
        let mut file = File::open(&path).ok()?;
        let found = read(&mut file, key)
            .inspect_err(|error| {
                tracing::warn!(entry = %shown(&path), %error, "damaged; decoding the sound again");
            })
            .ok()?;
        self.use_entry(key, &path, file.metadata().ok()?.len(), now);
        Some(found)
    }

    /// The folder may have been filled under a larger limit.
    fn count_once(&self) {
        let mut state = self.state();
        if !state.counted {
            state.counted = true;
            state.other_bytes = self.shrink(state.in_use_bytes, 0, &state);
            state.until_recount_bytes = self.limit_bytes / RECOUNT_SHARE;
        }
    }

    /// Notes that an entry is in use, here and, by its date, for other processes.
    fn use_entry(&self, key: &Key, path: &Path, bytes: u64, now: SystemTime) {
        let mut state = self.state();
        let recent = |dated| {
            now.duration_since(dated)
                .is_ok_and(|age| age < REFRESH_AFTER)
        };
        match state.in_use.get(key) {
            Some(known) if recent(known.dated) => return,
            Some(_) => {}
            // Others filled the folder meanwhile: what is more than the limit may go.
            None if state.in_use_bytes + bytes > self.limit_bytes => return,
            None => state.other_bytes = state.other_bytes.saturating_sub(bytes),
        }
        state.claim(key, InUse { bytes, dated: now });
        drop(state);
        // Only the order in which entries go depends on this, so a cache that can't be written to will do.
        let _ = File::options()
            .append(true)
            .open(path)
            .and_then(|file| file.set_modified(now));
    }

    fn write(&self, key: &Key, entry: &Entry) -> io::Result<()> {
        let path = self.path(key);
        let folder = path.parent().expect("an entry lies in a folder");
        fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        // Temporary files are private by default; these become entries for whoever may use the folder.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut unfinished = builder.tempfile_in(folder)?;
        entry.write(key, unfinished.as_file_mut())?;
        unfinished.as_file_mut().flush()?;
        unfinished.persist(&path)?;
        Ok(())
    }

    /// One entry that could not be written is no reason to give up on the next, unless none can be.
    fn not_written(&self, key: &Key, error: &io::Error) {
        // Another process may have put the same entry there, and hold it so that it can't be replaced.
        let path = self.path(key);
        if File::open(&path).is_ok_and(|mut file| Entry::check(&mut file, key).is_ok()) {
            return;
        }
        let mut state = self.state();
        state.release(key);
        let news = state.said_failures.insert(error.kind());
        if hopeless(error.kind()) {
            if !state.closed {
                tracing::warn!(cache = %shown(&self.root), %error, "can't keep decoded sounds; going on without");
            }
            state.closed = true;
        } else if news {
            tracing::warn!(entry = %shown(&path), %error, "can't keep this sound; others that fail alike are not named");
        }
    }

    /// Reserves room for an entry; false if it is not to be kept.
    fn make_room(&self, key: &Key, bytes: u64) -> bool {
        self.count_once();
        let mut state = self.state();
        let claimed = state.in_use.get(key).map_or(0, |known| known.bytes);
        let kept_bytes = state.in_use_bytes - claimed + bytes;
        if state.closed || kept_bytes > self.limit_bytes {
            if !state.closed && !state.said_full {
                state.said_full = true;
                tracing::warn!(
                    cache = %shown(&self.root),
                    limit_mib = self.limit_bytes >> 20,
                    "not all sounds have room here; the others are decoded each time"
                );
            }
            return false;
        }
        let full = |state: &State| kept_bytes + state.other_bytes > self.limit_bytes;
        if state.until_recount_bytes < bytes || full(&state) {
            state.other_bytes = self.shrink(kept_bytes, bytes, &state);
            state.until_recount_bytes = self.limit_bytes / RECOUNT_SHARE;
        }
        // What another process is not allowed to remove may still be there.
        if full(&state) {
            return false;
        }
        let dated = SystemTime::now();
        state.claim(key, InUse { bytes, dated });
        state.until_recount_bytes = state.until_recount_bytes.saturating_sub(bytes);
        true
    }

    /// Counts the entries that are not in use, and returns their bytes. If they and `kept_bytes` are more
    /// than the limit, it removes those that were used least recently until a sixteenth is free beyond
    /// that, or they are all gone. Also removes what was left unfinished.
    fn shrink(&self, kept_bytes: u64, new_bytes: u64, state: &State) -> u64 {
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
                if !state.in_use.contains_key(&key) {
                    total_bytes += facts.len();
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
        if kept_bytes + total_bytes <= self.limit_bytes {
            return total_bytes;
        }
        let more_bytes = (self.limit_bytes / RECOUNT_SHARE).saturating_sub(new_bytes);
        let goal_bytes = self.limit_bytes.saturating_sub(kept_bytes + more_bytes);
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

impl State {
    fn claim(&mut self, key: &Key, claim: InUse) {
        self.release(key);
        self.in_use.insert(*key, claim);
        self.in_use_bytes += claim.bytes;
    }

    fn release(&mut self, key: &Key) {
        if let Some(known) = self.in_use.remove(key) {
            self.in_use_bytes -= known.bytes;
        }
    }
}

/// Errors that the next entry would meet as well.
fn hopeless(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem, StorageFull};
    matches!(kind, StorageFull | PermissionDenied | ReadOnlyFilesystem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sound_entry::tests::entry;

    fn key(n: u8) -> Key {
        Key([n; 32])
    }

    fn numbered(n: u16) -> Key {
        let mut key = Key([0; 32]);
        key.0[..2].copy_from_slice(&n.to_le_bytes());
        key
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

    fn set_age(path: &Path, age_s: u64) {
        File::options()
            .append(true)
            .open(path)
            .unwrap()
            .set_modified(SystemTime::now() - Duration::from_secs(age_s))
            .unwrap();
    }

    fn age_s(path: &Path) -> u64 {
        let used = fs::metadata(path).unwrap().modified().unwrap();
        SystemTime::now()
            .duration_since(used)
            .unwrap_or_default()
            .as_secs()
    }

    fn open(folder: &tempfile::TempDir, limit_bytes: u64) -> SoundCache {
        SoundCache::open(folder.path(), limit_bytes).unwrap()
    }

    #[test]
    fn what_was_put_is_found_by_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let kept = entry(&[0.5, 0.25]);
        open(&folder, 1 << 20).put(&key(7), &kept);
        let cache = open(&folder, 1 << 20);
        assert_eq!(cache.facts(&key(7)), Some(kept.file.clone()));
        assert_eq!(cache.entry(&key(7)), Some(kept));
        assert_eq!(cache.entry(&key(8)), None);
    }

    #[test]
    fn an_entry_in_the_place_of_another_is_not_used_and_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder, 1 << 20);
        let (one, two) = (entry(&[0.5, 0.25]), entry(&[0.5, 0.75]));
        cache.put(&key(1), &one);
        cache.put(&key(2), &two);
        fs::copy(cache.path(&key(1)), cache.path(&key(2))).unwrap();
        assert_eq!((cache.facts(&key(2)), cache.entry(&key(2))), (None, None));
        cache.put(&key(2), &two);
        assert_eq!(cache.entry(&key(2)), Some(two));
        assert_eq!(cache.entry(&key(1)), Some(one));
    }

    #[cfg(unix)]
    #[test]
    fn an_entry_has_the_permissions_of_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder, 1 << 20);
        cache.put(&key(1), &entry(&[0.5]));
        let usual = folder.path().join("usual");
        fs::write(&usual, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&cache.path(&key(1))), mode(&usual));
    }

    #[test]
    fn the_least_recently_used_go_first_and_what_is_in_use_stays() {
        let folder = tempfile::tempdir().unwrap();
        let one = entry(&[0.5; 1000]);
        let limit = 3 * one.bytes(&key(1));
        let first = open(&folder, limit);
        for n in [1, 2, 3] {
            first.put(&key(n), &one);
            // The last by name is the oldest.
            set_age(&first.path(&key(n)), 1000 + 10 * u64::from(n));
        }
        assert_eq!(names(folder.path()), [1, 2, 3]);
        // What this process wrote is in use: there is no room for a fourth.
        first.put(&key(4), &one);
        assert_eq!(names(folder.path()), [1, 2, 3]);

        // Another one uses the oldest, so the second oldest has to go.
        let second = open(&folder, limit);
        assert!(second.facts(&key(3)).is_some());
        assert!(age_s(&second.path(&key(3))) < 100);
        second.put(&key(4), &one);
        assert_eq!(names(folder.path()), [1, 3, 4]);
        second.put(&key(5), &one);
        assert_eq!(names(folder.path()), [3, 4, 5]);
        second.put(&key(6), &one);
        assert_eq!(names(folder.path()), [3, 4, 5]);

        // A third sees by the dates what the second one used.
        set_age(&second.path(&key(5)), 2000);
        let third = open(&folder, limit);
        third.put(&key(7), &one);
        assert_eq!(names(folder.path()), [3, 4, 7]);
    }

    #[test]
    fn an_entry_in_use_is_dated_again_after_an_hour_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder, 1 << 20);
        cache.put(&key(1), &entry(&[0.5; 10]));
        let (path, now) = (cache.path(&key(1)), SystemTime::now());
        let load = |after_s| {
            let later = now + Duration::from_secs(after_s);
            cache.find(&key(1), later, Entry::read).unwrap();
        };
        set_age(&path, 5000);
        load(3500);
        assert!(age_s(&path) >= 5000);
        load(3700);
        // An hour from now.
        assert_eq!(age_s(&path), 0);
        set_age(&path, 5000);
        load(2 * 3600);
        assert!(age_s(&path) >= 5000);
        load(2 * 3600 + 200);
        assert_eq!(age_s(&path), 0);
    }

    #[test]
    fn a_full_cache_makes_room_for_a_sixteenth_of_itself_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let one = entry(&[0.5; 10]);
        let limit = 160 * one.bytes(&key(1));
        let first = open(&folder, limit);
        for n in 0..160 {
            first.put(&numbered(n), &one);
        }
        assert_eq!(names(folder.path()).len(), 160);
        let second = open(&folder, limit);
        // Each walk over the folder shows as a jump.
        let counts: Vec<usize> = (200..230)
            .map(|n| {
                second.put(&numbered(n), &one);
                names(folder.path()).len()
            })
            .collect();
        let ten: Vec<usize> = (151..=160).collect();
        assert_eq!(counts, ten.repeat(3));
    }

    #[test]
    fn a_smaller_limit_removes_and_only_entries_are_ever_removed() {
        let folder = tempfile::tempdir().unwrap();
        let one = entry(&[0.5; 1000]);
        let bytes = one.bytes(&key(1));
        let wide = open(&folder, 10 * bytes);
        for n in 1..=5 {
            wide.put(&key(n), &one);
        }
        let letter = folder.path().join("01/letter.txt");
        fs::write(&letter, vec![0; 5 * bytes as usize]).unwrap();
        let narrow = open(&folder, 2 * bytes);
        narrow.put(&key(6), &one);
        assert_eq!(names(folder.path()).len(), 2);
        assert!(names(folder.path()).contains(&6));
        assert!(letter.exists());
    }

    #[test]
    fn a_folder_that_was_filled_under_a_larger_limit_shrinks_though_it_is_only_read() {
        let folder = tempfile::tempdir().unwrap();
        let one = entry(&[0.5; 1000]);
        let bytes = one.bytes(&key(1));
        let wide = open(&folder, 10 * bytes);
        for n in 1..=9 {
            wide.put(&key(n), &one);
            set_age(&wide.path(&key(n)), 100 - u64::from(n));
        }
        let narrow = open(&folder, 4 * bytes);
        for n in 1..=9 {
            let found = narrow.facts(&key(n));
            assert_eq!(found.is_some(), n >= 7, "entry {n}");
        }
        assert_eq!(names(folder.path()), [7, 8, 9]);
    }

    #[test]
    fn what_others_wrote_beyond_the_limit_is_read_and_not_claimed() {
        let folder = tempfile::tempdir().unwrap();
        let one = entry(&[0.5; 1000]);
        let bytes = one.bytes(&key(1));
        let narrow = open(&folder, 2 * bytes);
        assert_eq!(narrow.entry(&key(1)), None);
        let wide = open(&folder, 10 * bytes);
        for n in 1..=5 {
            wide.put(&key(n), &one);
        }
        for n in 1..=5 {
            assert!(narrow.entry(&key(n)).is_some());
        }
        assert_eq!(narrow.state().in_use_bytes, 2 * bytes);
    }

    #[test]
    fn an_entry_without_room_removes_nothing_and_smaller_ones_are_still_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (small, large) = (entry(&[0.5; 100]), entry(&[0.5; 4000]));
        let bytes = small.bytes(&key(1));
        assert!(large.bytes(&key(1)) > 10 * bytes);
        let first = open(&folder, 10 * bytes);
        for n in 1..=4 {
            first.put(&key(n), &small);
        }
        // Larger than the limit.
        let second = open(&folder, 10 * bytes);
        second.put(&key(9), &large);
        assert_eq!(names(folder.path()), [1, 2, 3, 4]);
        second.put(&key(5), &small);
        assert_eq!(names(folder.path()), [1, 2, 3, 4, 5]);

        // Within the limit, but not beside what is in use, even if all the rest went.
        let wide = large.bytes(&key(1)) + bytes;
        let third = open(&folder, wide);
        for n in [1, 2] {
            assert!(third.facts(&key(n)).is_some());
        }
        third.put(&key(9), &large);
        assert_eq!(names(folder.path()), [1, 2, 3, 4, 5]);
        third.put(&key(6), &small);
        assert_eq!(names(folder.path()), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_after_an_hour() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = folder.path().join("01");
        fs::create_dir(&shelf).unwrap();
        let [old, young, stranger] =
            [".unfinished-old", ".unfinished-young", "finished"].map(|n| {
                let path = shelf.join(n);
                fs::write(&path, "half an entry").unwrap();
                path
            });
        set_age(&old, 3700);
        set_age(&young, 3500);
        set_age(&stranger, 9000);
        open(&folder, 1 << 20).put(&key(1), &entry(&[0.5]));
        assert!(!old.exists());
        assert!(young.exists() && stranger.exists());
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
    fn a_cache_that_can_not_be_written_to_is_closed_and_one_failed_entry_closes_nothing() {
        use io::ErrorKind::*;
        for (kind, closes) in [
            (StorageFull, true),
            (PermissionDenied, true),
            (ReadOnlyFilesystem, true),
            (NotFound, false),
            (AlreadyExists, false),
            (NotADirectory, false),
            (TimedOut, false),
            (Other, false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let cache = open(&folder, 1 << 20);
            let mut calls = 0;
            cache.put_with(&key(1), 100, || {
                calls += 1;
                Err(kind.into())
            });
            assert_eq!(calls, 1 + usize::from(kind == NotFound));
            assert_eq!(cache.state().in_use_bytes, 0, "{kind} leaves a claim");
            cache.put(&key(2), &entry(&[0.5]));
            assert_eq!(cache.entry(&key(2)).is_none(), closes, "{kind}");
        }
    }

    /// Counts what is said.
    #[derive(Clone, Default)]
    struct Listener(std::sync::Arc<std::sync::atomic::AtomicUsize>);

    impl tracing::Subscriber for Listener {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nowhere_in_the_place_of_the_folder_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("sounds");
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &root).unwrap();
        let cache = SoundCache::open(&root, 1 << 20).unwrap();
        let listener = Listener::default();
        let said = || listener.0.load(std::sync::atomic::Ordering::SeqCst);
        tracing::subscriber::with_default(listener.clone(), || {
            for n in 1..=9 {
                cache.put(&key(n), &entry(&[0.5]));
                assert_eq!(said(), 1, "after {n} sounds");
            }
            cache.put_with(&key(10), 1, || Err(io::ErrorKind::TimedOut.into()));
            assert_eq!(said(), 2, "another kind is news");
        });
    }

    #[test]
    fn a_folder_that_was_removed_meanwhile_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder, 1 << 20);
        let kept = entry(&[0.5, 0.25]);
        let mut calls = 0;
        cache.put_with(&key(1), kept.bytes(&key(1)), || {
            calls += 1;
            match calls {
                1 => Err(io::ErrorKind::NotFound.into()),
                _ => cache.write(&key(1), &kept),
            }
        });
        assert_eq!(cache.entry(&key(1)), Some(kept));
        assert!(cache.state().in_use_bytes > 0);
    }

    #[test]
    fn an_entry_that_can_not_be_replaced_but_is_intact_is_as_good_as_written() {
        let folder = tempfile::tempdir().unwrap();
        let kept = entry(&[0.5, 0.25]);
        open(&folder, 1 << 20).put(&key(1), &kept);
        let cache = open(&folder, 1 << 20);
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        cache.put_with(&key(1), kept.bytes(&key(1)), denied);
        cache.put(&key(2), &kept);
        assert_eq!(names(folder.path()), [1, 2], "the cache is still open");

        // Damaged, it is no success.
        let path = cache.path(&key(1));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        cache.put_with(&key(1), kept.bytes(&key(1)), denied);
        cache.put(&key(3), &kept);
        assert_eq!(names(folder.path()), [1, 2]);
    }

    #[test]
    fn a_file_in_the_place_of_a_folder_costs_only_the_entries_that_belong_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = open(&folder, 1 << 20);
        fs::write(folder.path().join("01"), "no folder").unwrap();
        for n in [1, 2] {
            cache.put(&key(n), &entry(&[0.5]));
        }
        assert_eq!(names(folder.path()), [2]);
    }

    #[test]
    fn whoever_reads_while_others_write_finds_whole_entries() {
        let folder = tempfile::tempdir().unwrap();
        // Some 800 kB, so that writing one takes a while.
        let expected = |n: u8| entry(&vec![f32::from(n); 200_000 + usize::from(n)]);
        let caches = [(); 2].map(|()| open(&folder, 64 << 20));
        for n in 0..2 {
            caches[0].put(&key(n), &expected(n));
        }
        let (writing, found) = (
            std::sync::atomic::AtomicUsize::new(2),
            std::sync::atomic::AtomicUsize::new(0),
        );
        use std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for cache in &caches {
                let (writing, found) = (&writing, &found);
                scope.spawn(move || {
                    for round in 0..40_u8 {
                        cache.put(&key(round % 2), &expected(round % 2));
                    }
                    writing.fetch_sub(1, SeqCst);
                });
                scope.spawn(move || {
                    while writing.load(SeqCst) > 0 {
                        for n in 0..2 {
                            // There has been one all the time, so it can't be missing.
                            assert!(cache.entry(&key(n)).unwrap() == expected(n));
                            found.fetch_add(1, SeqCst);
                        }
                    }
                });
            }
        });
        assert!(found.into_inner() >= 4);
        assert_eq!(names(folder.path()), [0, 1]);
        let unfinished = WalkDir::new(folder.path()).into_iter().filter(|found| {
            let name = found.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with(UNFINISHED)
        });
        assert_eq!(unfinished.count(), 0);
    }
}
