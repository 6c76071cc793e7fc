use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use params::{ParamSpec, ParamVector};

use crate::audio::Audio;
use crate::decode::limits::DecodeLimits;
use crate::decode::unusable::{Rejected, Unusable};
use crate::error::DataError;
use crate::files::folder::{FolderSource, claims_sound};
use crate::files::json::folder_of;
use crate::files::list::{ListSource, NSYNTH_LIST, NSYNTH_SOUNDS};
use crate::files::manifest::{DESCRIPTION, MANIFEST, ManifestSource};
use crate::files::sound_file::SoundFile;
use crate::files::sound_files::SoundFiles;
use crate::source::{Fingerprint, Source};

/// Sounds from files: a folder, a list, or a single file.
#[derive(Debug)]
pub enum FileSource {
    /// All sounds of a folder.
    Folder(FolderSource),
    /// A list with the parameters of each sound.
    Manifest(ManifestSource),
    /// A list without parameters, or a single file.
    List(ListSource),
}

impl FileSource {
    /// Opens the sounds at `path`. The kind of source depends on what is there:
    ///
    /// | `path` | source |
    /// |---|---|
    /// | a `*.jsonl` beside a `params.json`, or a folder with a `manifest.jsonl` | [`ManifestSource`] |
    /// | any other `*.jsonl` (AudioCraft) | [`ListSource`] |
    /// | a `*.json`, or a folder with `examples.json` and `audio` (NSynth) | [`ListSource`] |
    /// | a sound file | [`ListSource`] of one sound |
    /// | any other folder | [`FolderSource`] |
    ///
    /// # Errors
    /// If `path` is none of these, or if the source can't be opened. A folder with a `manifest.jsonl` and no
    /// `params.json` is also an error. AudioCraft's lists may name any file of the machine, so such a list
    /// is read only if `path` is the list itself.
    pub fn open(path: &Path, limits: &DecodeLimits) -> Result<FileSource, DataError> {
        let facts = fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => DataError::FolderMissing {
                path: path.to_owned(),
            },
            _ => DataError::List {
                path: path.to_owned(),
                source,
            },
        })?;
        let list = match facts.is_dir() {
            true => list_in(path),
            false => Some(path.to_owned()),
        };
        let Some(list) = list else {
            return FolderSource::open(path, limits).map(FileSource::Folder);
        };
        match list.extension().and_then(OsStr::to_str) {
            Some("jsonl") if facts.is_dir() && !holds(path, DESCRIPTION) => {
                Err(DataError::DescriptionMissing { list })
            }
            Some("jsonl") if holds(&folder_of(&list), DESCRIPTION) => {
                ManifestSource::open(&list, limits).map(FileSource::Manifest)
            }
            Some("jsonl") => ListSource::open_audiocraft(&list, limits).map(FileSource::List),
            Some("json") => ListSource::open_nsynth(&list, limits).map(FileSource::List),
            _ if facts.is_file() && claims_sound(&list).unwrap_or(true) => {
                ListSource::of_file(&list, limits).map(FileSource::List)
            }
            _ if !facts.is_file() => Err(DataError::Unusable {
                path: list,
                reason: Unusable::NotRegular,
            }),
            _ => Err(DataError::NoSource { path: list }),
        }
    }

    /// The usable sounds, in the order of their indices.
    pub fn files(&self) -> &[SoundFile] {
        &self.sounds().files
    }

    /// The sounds that can't be used, sorted by path.
    pub fn rejected(&self) -> &[Rejected] {
        &self.sounds().rejected
    }

    /// Number of files of a folder that were skipped because they are no sounds; 0 for a list.
    pub fn skipped(&self) -> usize {
        match self {
            FileSource::Folder(folder) => folder.skipped(),
            FileSource::Manifest(_) | FileSource::List(_) => 0,
        }
    }

    fn sounds(&self) -> &SoundFiles {
        match self {
            FileSource::Folder(folder) => &folder.sounds,
            FileSource::Manifest(manifest) => &manifest.sounds,
            FileSource::List(list) => &list.sounds,
        }
    }

    fn source(&self) -> &dyn Source {
        match self {
            FileSource::Folder(folder) => folder,
            FileSource::Manifest(manifest) => manifest,
            FileSource::List(list) => list,
        }
    }
}

impl Source for FileSource {
    fn len(&self) -> usize {
        self.source().len()
    }

    fn name(&self, index: usize) -> String {
        self.source().name(index)
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        self.source().fingerprint(index)
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        self.source().load(index)
    }

    fn spec(&self) -> Option<&ParamSpec> {
        self.source().spec()
    }

    fn truth(&self, index: usize) -> Option<ParamVector> {
        self.source().truth(index)
    }
}

/// The list of a folder's sounds, if there is one.
fn list_in(folder: &Path) -> Option<PathBuf> {
    if holds(folder, MANIFEST) {
        return Some(folder.join(MANIFEST));
    }
    // The name examples.json alone doesn't show that it is NSynth's.
    (holds(folder, NSYNTH_LIST) && holds(folder, NSYNTH_SOUNDS)).then(|| folder.join(NSYNTH_LIST))
}

/// Whether a folder has an entry of this name, even a broken link: that must be an error, not a folder without a list.
fn holds(folder: &Path, name: &str) -> bool {
    folder.join(name).symlink_metadata().is_ok()
}
