use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::audio::Audio;
use crate::decode::limits::DecodeLimits;
use crate::decode::unusable::Rejected;
use crate::error::DataError;
use crate::files::json::{FaultAt, UniqueKeys, faulty, folder_of, lines, parse, parse_row, read};
use crate::files::row_fault::RowFault;
use crate::files::sound_file::SoundFile;
use crate::files::sound_files::SoundFiles;
use crate::source::{Fingerprint, Source};

/// The list in a folder of NSynth's layout.
pub(crate) const NSYNTH_LIST: &str = "examples.json";
/// The folder with the sounds of that list.
pub(crate) const NSYNTH_SOUNDS: &str = "audio";

/// Sounds from a list without synthesizer parameters, in one of two layouts.
///
/// - NSynth (Engel et al. 2017), `examples.json`: one object, `name -> {pitch, velocity, ...}`. The
///   sounds are `audio/<name>.wav` in the folder of the list.
/// - AudioCraft (Copet et al. 2023), `*.jsonl`: rows with `path` and other keys. AudioCraft's tools write
///   absolute paths, so any path is followed; relative paths begin at the list's folder. Such a list is
///   read only if its own path is given.
///
/// Only the names are used. Lengths and rates come from the files. AudioCraft's `weight` is ignored:
/// every sound is used once per epoch.
#[derive(Debug)]
pub struct ListSource {
    pub(crate) sounds: SoundFiles,
}

impl ListSource {
    /// The usable sounds, in the order of the list.
    pub fn files(&self) -> &[SoundFile] {
        &self.sounds.files
    }

    /// The sounds that can't be used, sorted by path.
    pub fn rejected(&self) -> &[Rejected] {
        &self.sounds.rejected
    }

    pub(crate) fn open_nsynth(list: &Path, limits: &DecodeLimits) -> Result<ListSource, DataError> {
        /// The value that distinguishes NSynth's layout from other objects of objects.
        #[derive(Deserialize)]
        #[serde(expecting = "a note, as in NSynth's examples.json")]
        struct Note {
            #[serde(rename = "pitch")]
            _pitch: u8,
        }
        let UniqueKeys(notes) = parse::<UniqueKeys<Name, Note>>(list, &read(list)?)?;
        let paths = notes
            .into_iter()
            .map(|(Name(name), _)| Path::new(NSYNTH_SOUNDS).join(name + ".wav"))
            .collect();
        ListSource::open(list, paths, limits)
    }

    pub(crate) fn open_audiocraft(
        list: &Path,
        limits: &DecodeLimits,
    ) -> Result<ListSource, DataError> {
        let (mut paths, mut faults) = (Vec::new(), Vec::new());
        let mut first_lines = HashMap::new();
        for (line, text) in lines(&read(list)?) {
            match audiocraft_row(line, text, &mut first_lines) {
                Ok(path) => paths.push(path),
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(faulty(list, faults));
        }
        ListSource::open(list, paths, limits)
    }

    /// A single sound file, as a list of one.
    pub(crate) fn of_file(file: &Path, limits: &DecodeLimits) -> Result<ListSource, DataError> {
        let name = file.file_name().map(PathBuf::from);
        let source = ListSource::open(file, name.into_iter().collect(), limits);
        source.map_err(|error| match error {
            // For a single file, its reason alone.
            DataError::AllRejected { mut rejected, .. } if rejected.len() == 1 => {
                DataError::Unusable {
                    path: file.to_owned(),
                    reason: rejected.remove(0).reason,
                }
            }
            error => error,
        })
    }

    fn open(
        list: &Path,
        paths: Vec<PathBuf>,
        limits: &DecodeLimits,
    ) -> Result<ListSource, DataError> {
        limits.validate()?;
        if paths.is_empty() {
            return Err(DataError::EmptyList {
                path: list.to_owned(),
            });
        }
        Ok(ListSource {
            sounds: SoundFiles::inspect(&folder_of(list), paths, Vec::new(), limits)?,
        })
    }
}

impl Source for ListSource {
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

/// Reads the path in a row, which must not be in `first_lines` yet.
fn audiocraft_row(
    line: usize,
    text: &[u8],
    first_lines: &mut HashMap<PathBuf, usize>,
) -> Result<PathBuf, FaultAt> {
    #[derive(Deserialize)]
    struct Row {
        path: PathBuf,
        /// Ground truth, in a manifest whose description is missing.
        cont: Option<IgnoredAny>,
    }
    let Row { path, cont } = parse_row(line, text)?;
    if cont.is_some() {
        return Err((line, RowFault::NoDescription));
    }
    // `./a.wav` is `a.wav`.
    let plain: PathBuf = path
        .components()
        .filter(|part| *part != Component::CurDir)
        .collect();
    match first_lines.entry(plain) {
        Entry::Vacant(free) => {
            free.insert(line);
            Ok(path)
        }
        Entry::Occupied(first) => {
            let first_line = *first.get();
            Err((
                line,
                RowFault::Duplicate {
                    sound: path,
                    first_line,
                },
            ))
        }
    }
}

/// The name of a file, without a path.
#[derive(Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Name, &'static str> {
        match Path::new(&name).file_name() == Some(OsStr::new(&name)) {
            true => Ok(Name(name)),
            false => Err("this key is a path, not the name of a sound"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
