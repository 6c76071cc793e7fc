use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::audio::Audio;
use crate::decode::limits::DecodeLimits;
use crate::decode::signature::begins_like_sound;
use crate::decode::unusable::{Rejected, Unusable};
use crate::error::DataError;
use crate::files::sound_file::SoundFile;
use crate::files::sound_files::SoundFiles;
use crate::source::{Fingerprint, Source};

/// File extensions of sounds. A file with one of them that is no sound is reported as rejected; any other
/// file counts as a sound only if its first bytes are those of a sound file.
const SOUND_EXTENSIONS: [&str; 9] = [
    "wav", "wave", "flac", "ogg", "oga", "mp3", "aif", "aiff", "aifc",
];

/// The sound files of a folder and of all its subfolders.
#[derive(Debug)]
pub struct FolderSource {
    pub(crate) sounds: SoundFiles,
    skipped: usize,
}

impl FolderSource {
    /// Searches a folder and decodes every sound in it once, in parallel.
    ///
    /// Links are followed, but each folder is searched once, however many links lead to it. Names that
    /// begin with a dot are skipped. Pipes, sockets and devices are never opened. Sounds are sorted by
    /// path, so their order doesn't depend on the file system.
    ///
    /// # Errors
    /// If the folder is missing, is no folder, can't be listed, holds no sound files, or holds none
    /// that can be used. Single files that can't be used are no error: see
    /// [`rejected`](FolderSource::rejected).
    pub fn open(root: &Path, limits: &DecodeLimits) -> Result<FolderSource, DataError> {
        limits.validate()?;
        let Found {
            mut sounds,
            rejected,
            skipped,
            ..
        } = search(root)?;
        if sounds.is_empty() && rejected.is_empty() {
            return Err(DataError::NoAudioFiles {
                path: root.to_owned(),
                skipped,
            });
        }
        sounds.sort();
        Ok(FolderSource {
            sounds: SoundFiles::inspect(root, sounds, rejected, limits)?,
            skipped,
        })
    }

    /// The usable sounds, sorted by path.
    pub fn files(&self) -> &[SoundFile] {
        &self.sounds.files
    }

    /// The sound files that can't be used, sorted by path.
    pub fn rejected(&self) -> &[Rejected] {
        &self.sounds.rejected
    }

    /// Number of files, including pipes, sockets and devices, that are no sounds and aren't named like one.
    pub fn skipped(&self) -> usize {
        self.skipped
    }
}

impl Source for FolderSource {
    fn len(&self) -> usize {
        self.sounds.files.len()
    }

    fn name(&self, index: usize) -> String {
        self.sounds.name(index)
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        self.sounds.files[index].fingerprint
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        self.sounds.load(index)
    }
}

/// The files in a folder, before any is decoded. Paths are relative to the folder.
struct Found<'a> {
    root: &'a Path,
    sounds: Vec<PathBuf>,
    rejected: Vec<Rejected>,
    skipped: usize,
}

fn search(root: &Path) -> Result<Found<'_>, DataError> {
    check_folder(root)?;
    let mut found = Found {
        root,
        sounds: Vec::new(),
        rejected: Vec::new(),
        skipped: 0,
    };
    let visible = |entry: &DirEntry| {
        entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
    };
    let mut searched = HashSet::new();
    // Each folder is searched once: links to folders that hold links to folders multiply. A folder
    // whose real path can't be found is searched, and the search reports what is wrong with it.
    let mut first_visit = |entry: &DirEntry| {
        !entry.file_type().is_dir()
            || fs::canonicalize(entry.path()).map_or(true, |real| searched.insert(real))
    };
    for entry in WalkDir::new(root)
        .follow_links(true)
        // In a fixed order, links last, because the first path that leads to a folder gives its name.
        .sort_by_key(|entry| (entry.path_is_symlink(), entry.file_name().to_owned()))
        .into_iter()
        .filter_entry(|entry| visible(entry) && first_visit(entry))
    {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => found.add(&entry),
            // A link back to a folder that is being searched leads to nothing new.
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(error) => found.add_failure(error)?,
        }
    }
    Ok(found)
}

fn check_folder(root: &Path) -> Result<(), DataError> {
    let path = root.to_owned();
    match fs::metadata(root) {
        Ok(facts) if facts.is_dir() => Ok(()),
        Ok(_) => Err(DataError::NotAFolder { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(DataError::FolderMissing { path })
        }
        Err(error) => Err(DataError::Unusable {
            path,
            reason: Unusable::Io(error),
        }),
    }
}

impl Found<'_> {
    fn relative(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.root).unwrap_or(path).to_owned()
    }

    /// Adds anything that is not a folder.
    fn add(&mut self, entry: &DirEntry) {
        let path = self.relative(entry.path());
        let is_file = entry.file_type().is_file();
        let is_sound = match is_file {
            true => claims_sound(entry.path()),
            false => Ok(named_like_sound(entry.path())),
        };
        match is_sound {
            Ok(true) if is_file => self.sounds.push(path),
            Ok(true) => self.reject(path, Unusable::NotRegular),
            Ok(false) => self.skipped += 1,
            Err(error) => self.reject(path, Unusable::Io(error)),
        }
    }

    /// Rejects an entry that can't be examined.
    ///
    /// # Errors
    /// If it is the folder itself.
    fn add_failure(&mut self, error: walkdir::Error) -> Result<(), DataError> {
        match error.path().map(|path| self.relative(path)) {
            Some(path) if !path.as_os_str().is_empty() => {
                // Only the cause of the error: the path is reported already.
                let cause = error
                    .into_io_error()
                    .unwrap_or_else(|| io::ErrorKind::Other.into());
                self.reject(path, Unusable::Io(cause));
                Ok(())
            }
            _ => Err(DataError::Walk {
                path: self.root.to_owned(),
                cause: error,
            }),
        }
    }

    fn reject(&mut self, path: PathBuf, reason: Unusable) {
        self.rejected.push(Rejected { path, reason });
    }
}

fn named_like_sound(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| {
        SOUND_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
    })
}

/// Whether a file is a sound by its name or its first bytes.
pub(crate) fn claims_sound(path: &Path) -> io::Result<bool> {
    Ok(named_like_sound(path) || begins_like_sound(path)?)
}
