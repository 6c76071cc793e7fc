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

/// Sounds from files, in whichever way they are listed.
#[derive(Debug)]
pub enum FileSource {
    /// All sounds in a folder.
    Folder(FolderSource),
    /// A list with the parameters that made each sound.
    Manifest(ManifestSource),
    /// A list without.
    List(ListSource),
}

impl FileSource {
    /// Opens what `path` leads to:
    ///
    /// - a `*.jsonl` beside a `params.json`, or a folder with a `manifest.jsonl`, as [`ManifestSource`];
    /// - a `*.jsonl` alone as AudioCraft's list, a `*.json` as NSynth's, or a folder with NSynth's
    ///   `examples.json` and `audio`, as [`ListSource`];
    /// - a sound file as a [`ListSource`] of one;
    /// - any other folder as [`FolderSource`], which takes lists for files that are no sounds.
    ///
    /// # Errors
    /// If it is none of them, or those of its kind. A folder with a `manifest.jsonl` and no `params.json` is
    /// an error, too: AudioCraft's lists follow any path, so one is read only where it is named itself.
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

    /// The usable sounds.
    pub fn files(&self) -> &[SoundFile] {
        &self.sounds().files
    }

    /// The sounds that can't be used, in the order of their paths.
    pub fn rejected(&self) -> &[Rejected] {
        &self.sounds().rejected
    }

    /// Number of files passed over as no sounds; a list names every one of its sounds, so none there.
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

/// The list that a folder's sounds are to be taken from, if it holds one.
fn list_in(folder: &Path) -> Option<PathBuf> {
    if holds(folder, MANIFEST) {
        return Some(folder.join(MANIFEST));
    }
    // Other things are called examples.json, too.
    (holds(folder, NSYNTH_LIST) && holds(folder, NSYNTH_SOUNDS)).then(|| folder.join(NSYNTH_LIST))
}

/// In whatever state: a link to nowhere must come up as an error, not as a folder without a list.
fn holds(folder: &Path, name: &str) -> bool {
    folder.join(name).symlink_metadata().is_ok()
}
