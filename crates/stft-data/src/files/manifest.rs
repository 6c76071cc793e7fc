use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use params::{ManifestRow, ParamSpec, ParamVector, SynthDescription};
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

/// The list in a labelled folder.
pub(crate) const MANIFEST: &str = "manifest.jsonl";
/// The synthesizer's description, in the same folder.
pub(crate) const DESCRIPTION: &str = "params.json";

/// Sounds with the synthesizer parameters that made them: a `manifest.jsonl` of [`ManifestRow`]s beside
/// a `params.json` ([`SynthDescription`]).
///
/// A sound's fingerprint is that of its patch ([`Fingerprint::of_patch`]), so that all renders of a
/// patch, at any note, are in one split.
#[derive(Debug)]
pub struct ManifestSource {
    pub(crate) sounds: SoundFiles,
    description: SynthDescription,
    /// One per usable sound.
    truths: Vec<ParamVector>,
}

impl ManifestSource {
    /// Reads a list, or the `manifest.jsonl` in a folder, and decodes every sound in it once, in
    /// parallel. The sounds keep the order of the rows.
    ///
    /// A fault in any row is an error, because the other labels can't be trusted then. The facts of a
    /// sound in its row (`sr`, `frames`, `sha256_pcm`) are optional and aren't compared with the file:
    /// labels stay valid when sounds are resampled or stored in another format.
    ///
    /// # Errors
    /// - The list or the description can't be read, or the list is empty.
    /// - [`DataError::Row`] with line and key, or [`DataError::Rows`] for several: a row is not JSON; a key
    ///   is missing, unknown or there twice; a parameter is not in the description; a position is outside
    ///   0..1 or a class doesn't exist; a file is missing, outside the list's folder (also by a link), or
    ///   in an earlier row.
    /// - [`DataError::AllRejected`]: none of the sounds can be used. Single sounds that can't be used are
    ///   no error: see [`rejected`](ManifestSource::rejected).
    pub fn open(path: &Path, limits: &DecodeLimits) -> Result<ManifestSource, DataError> {
        limits.validate()?;
        let list = match path.is_dir() {
            true => path.join(MANIFEST),
            false => path.to_owned(),
        };
        let root = folder_of(&list);
        let rows = read(&list)?;
        let described = root.join(DESCRIPTION);
        let description: SynthDescription = parse(&described, &read(&described)?)?;
        let (paths, mut patches) = read_rows(&list, &rows, &root, &description.params)?;
        let sounds = SoundFiles::inspect(&root, paths, Vec::new(), limits)?;
        let truths = sounds
            .files
            .iter()
            .map(|file| patches.remove(&file.path).expect("a row for every sound"))
            .collect();
        Ok(ManifestSource {
            sounds,
            description,
            truths,
        })
    }

    /// The usable sounds, in the order of the rows.
    pub fn files(&self) -> &[SoundFile] {
        &self.sounds.files
    }

    /// The sounds that can't be used, sorted by path.
    pub fn rejected(&self) -> &[Rejected] {
        &self.sounds.rejected
    }

    /// The synthesizer that made the sounds, and the note that it played.
    pub fn description(&self) -> &SynthDescription {
        &self.description
    }
}

impl Source for ManifestSource {
    fn len(&self) -> usize {
        self.sounds.files.len()
    }

    fn name(&self, index: usize) -> String {
        self.sounds.name(index)
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        Fingerprint::of_patch(&self.truths[index])
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        self.sounds.load(index)
    }

    fn spec(&self) -> Option<&ParamSpec> {
        Some(&self.description.params)
    }

    fn truth(&self, index: usize) -> Option<ParamVector> {
        Some(self.truths[index].clone())
    }
}

/// Reads the paths, in the order of the rows, and the patch of each.
fn read_rows(
    list: &Path,
    rows: &[u8],
    root: &Path,
    spec: &ParamSpec,
) -> Result<(Vec<PathBuf>, HashMap<PathBuf, ParamVector>), DataError> {
    let real_root = fs::canonicalize(root).map_err(|source| DataError::List {
        path: root.to_owned(),
        source,
    })?;
    let (mut paths, mut faults) = (Vec::new(), Vec::new());
    let mut patches = HashMap::new();
    let mut first_lines = HashMap::new();
    for (line, text) in lines(rows) {
        let first_line = |sound: &PathBuf| first_lines.get(sound).copied();
        match read_row(
            line,
            text,
            spec,
            |path| inside(path, root, &real_root),
            first_line,
        ) {
            Ok((sound, patch)) => {
                first_lines.insert(sound.clone(), line);
                patches.insert(sound.clone(), patch);
                paths.push(sound);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faulty(list, faults));
    }
    if paths.is_empty() {
        return Err(DataError::EmptyList {
            path: list.to_owned(),
        });
    }
    Ok((paths, patches))
}

/// Reads the sound and the patch of a row. `find` checks the path, and `first_line` is the earlier line of a sound.
fn read_row(
    line: usize,
    text: &[u8],
    spec: &ParamSpec,
    find: impl Fn(&str) -> Result<PathBuf, RowFault>,
    first_line: impl Fn(&PathBuf) -> Option<usize>,
) -> Result<(PathBuf, ParamVector), FaultAt> {
    /// The maps of a [`ManifestRow`], for finding keys that are there twice.
    #[derive(Deserialize)]
    struct Values {
        #[serde(rename = "cont")]
        _cont: UniqueKeys<String, IgnoredAny>,
        #[serde(rename = "cat")]
        _cat: UniqueKeys<String, IgnoredAny>,
    }
    let row: ManifestRow = parse_row(line, text)?;
    parse_row::<Values>(line, text)?;
    let refuse = |fault| (line, fault);
    let patch = row
        .vector(spec)
        .map_err(|fault| refuse(RowFault::Param(fault)))?;
    let sound = find(&row.path).map_err(refuse)?;
    match first_line(&sound) {
        Some(first_line) => Err(refuse(RowFault::Duplicate { sound, first_line })),
        None => Ok((sound, patch)),
    }
}

/// Simplifies a row's path, and refuses one that leads out of the folder, also by a link: a downloaded
/// list must not be able to name any file of the machine.
fn inside(path: &str, root: &Path, real_root: &Path) -> Result<PathBuf, RowFault> {
    let mut plain = PathBuf::new();
    for component in Path::new(path).components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            _ => {
                return Err(RowFault::Outside {
                    sound: PathBuf::from(path),
                });
            }
        }
    }
    match fs::canonicalize(root.join(&plain)) {
        Ok(real) if real.starts_with(real_root) => Ok(plain),
        Ok(_) => Err(RowFault::Outside { sound: plain }),
        Err(source) => Err(RowFault::NoFile {
            sound: plain,
            source,
        }),
    }
}
