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

/// Names that promise a sound. A file with one of them that is no sound is reported; any other file
/// counts as a sound only if its first bytes say so.
const SOUND_EXTENSIONS: [&str; 9] = [
    "wav", "wave", "flac", "ogg", "oga", "mp3", "aif", "aiff", "aifc",
];

/// The sound files of a folder and of all folders below it.
#[derive(Debug)]
pub struct FolderSource {
    pub(crate) sounds: SoundFiles,
    skipped: usize,
}

impl FolderSource {
    /// Searches a folder and decodes every sound in it once, in parallel.
    ///
    /// Links are followed, but each folder is searched once, however many links lead to it; names that
    /// begin with a dot are passed over; pipes, sockets and devices are never opened. Files are in the
    /// order of their paths, whatever order the file system lists them in.
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

    /// The sounds, in the order of their paths.
    pub fn files(&self) -> &[SoundFile] {
        &self.sounds.files
    }

    /// The sound files that can't be used, in the order of their paths.
    pub fn rejected(&self) -> &[Rejected] {
        &self.sounds.rejected
    }

    /// Number of files (pipes, sockets and devices included) that are no sounds and don't claim to be.
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

/// Everything in a folder, before anything is decoded. Paths are relative to it.
struct Found {
    sounds: Vec<PathBuf>,
    rejected: Vec<Rejected>,
    skipped: usize,
}

fn search(root: &Path) -> Result<Found, DataError> {
    match std::fs::metadata(root) {
        Ok(facts) if facts.is_dir() => {}
        Ok(_) => {
            return Err(DataError::NotAFolder {
                path: root.to_owned(),
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(DataError::FolderMissing {
                path: root.to_owned(),
            });
        }
        Err(error) => {
            return Err(DataError::Unusable {
                path: root.to_owned(),
                reason: Unusable::Io(error),
            });
        }
    }
    let mut found = Found {
        sounds: Vec::new(),
        rejected: Vec::new(),
        skipped: 0,
    };
    let relative = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_owned();
    let visible = |entry: &DirEntry| {
        entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.')
    };
    let mut searched = HashSet::new();
    // Links to folders that hold links to folders multiply. One that can't be told apart is searched, and
    // the search says what is wrong with it.
    let mut first_visit = |entry: &DirEntry| {
        !entry.file_type().is_dir()
            || fs::canonicalize(entry.path()).map_or(true, |real| searched.insert(real))
    };
    for entry in WalkDir::new(root)
        .follow_links(true)
        // Always the same way, and by links last, since a folder goes by the first path that leads to it.
        .sort_by_key(|entry| (entry.path_is_symlink(), entry.file_name().to_owned()))
        .into_iter()
        .filter_entry(|entry| visible(entry) && first_visit(entry))
    {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) if !entry.file_type().is_file() => {
                if named_like_sound(entry.path()) {
                    found.rejected.push(Rejected {
                        path: relative(entry.path()),
                        reason: Unusable::NotRegular,
                    });
                } else {
                    found.skipped += 1;
                }
            }
            Ok(entry) => match claims_sound(entry.path()) {
                Ok(true) => found.sounds.push(relative(entry.path())),
                Ok(false) => found.skipped += 1,
                Err(error) => {
                    found.rejected.push(Rejected {
                        path: relative(entry.path()),
                        reason: Unusable::Io(error),
                    });
                }
            },
            // A link back to a folder that is being searched leads to nothing new.
            Err(error) if error.loop_ancestor().is_some() => {}
            Err(source) => match source.path().map(relative) {
                Some(path) if !path.as_os_str().is_empty() => {
                    // Its cause alone: the path is told already.
                    let cause = source
                        .into_io_error()
                        .unwrap_or_else(|| io::ErrorKind::Other.into());
                    found.rejected.push(Rejected {
                        path,
                        reason: Unusable::Io(cause),
                    });
                }
                _ => {
                    return Err(DataError::Walk {
                        path: root.to_owned(),
                        cause: source,
                    });
                }
            },
        }
    }
    Ok(found)
}

fn named_like_sound(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| {
        SOUND_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
    })
}

/// By its name, or else by its first bytes.
pub(crate) fn claims_sound(path: &Path) -> io::Result<bool> {
    Ok(named_like_sound(path) || begins_like_sound(path)?)
}
