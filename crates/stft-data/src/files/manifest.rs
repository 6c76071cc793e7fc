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
/// The synthesizer's description beside the list.
pub(crate) const DESCRIPTION: &str = "params.json";

/// Sounds with the synthesizer parameters that made them: a `manifest.jsonl` of
/// [`ManifestRow`]s beside a `params.json` ([`SynthDescription`]).
///
/// A sound's fingerprint is that of its preset ([`Fingerprint::of_preset`]), so that all its renders,
/// at whatever note, are in one split.
#[derive(Debug)]
pub struct ManifestSource {
    pub(crate) sounds: SoundFiles,
    description: SynthDescription,
    /// One for each usable sound.
    truths: Vec<ParamVector>,
}

impl ManifestSource {
    /// Reads a list, or the `manifest.jsonl` in a folder, and decodes every sound in it once, in
    /// parallel. The sounds stay in the order of the rows.
    ///
    /// Labels are trusted only if all of them are sound: a fault in any row is an error. What a row says
    /// of its sound besides (`sr`, `frames`, `sha256_pcm`) may be left out, and is not compared with the
    /// file, since labels stay true when sounds are resampled or stored in another format.
    ///
    /// # Errors
    /// If the list or the description can't be read, or lists no sound; [`DataError::Row`] with line and
    /// key, or [`DataError::Rows`] with those of each, if a row is not JSON, lacks a key, holds one twice or one that is unknown, here or to the
    /// description, a position outside 0..1 or a class that is not there, names a file that is missing, outside the
    /// list's folder (also by a link), or in an earlier row; [`DataError::AllRejected`] if none of the
    /// sounds can be used. Single sounds that can't be used are no error: see
    /// [`rejected`](ManifestSource::rejected).
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
        let (paths, mut presets) = read_rows(&list, &rows, &root, &description.params)?;
        let sounds = SoundFiles::inspect(&root, paths, Vec::new(), limits)?;
        let truths = sounds
            .files
            .iter()
            .map(|file| presets.remove(&file.path).expect("a row for every sound"))
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

    /// The sounds that can't be used, in the order of their paths.
    pub fn rejected(&self) -> &[Rejected] {
        &self.sounds.rejected
    }

    /// Which synthesizer made the sounds, and how it was played.
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
        Fingerprint::of_preset(&self.truths[index])
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

/// The paths in the order of the rows, and the preset of each.
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
    let mut presets = HashMap::new();
    let mut first_lines = HashMap::new();
    for (line, text) in lines(rows) {
        let known = |sound: &PathBuf| first_lines.get(sound).copied();
        match read_row(
            line,
            text,
            spec,
            |path| inside(path, root, &real_root),
            known,
        ) {
            Ok((sound, preset)) => {
                first_lines.insert(sound.clone(), line);
                presets.insert(sound.clone(), preset);
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
    Ok((paths, presets))
}

/// The sound and the preset of a row: `find` leads to the sound, and `first_line` tells in which line it was already.
fn read_row(
    line: usize,
    text: &[u8],
    spec: &ParamSpec,
    find: impl Fn(&str) -> Result<PathBuf, RowFault>,
    first_line: impl Fn(&PathBuf) -> Option<usize>,
) -> Result<(PathBuf, ParamVector), FaultAt> {
    /// What a [`ManifestRow`] keeps in maps.
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
    let preset = row
        .vector(spec)
        .map_err(|fault| refuse(RowFault::Param(fault)))?;
    let sound = find(&row.path).map_err(refuse)?;
    match first_line(&sound) {
        Some(first_line) => Err(refuse(RowFault::Duplicate { sound, first_line })),
        None => Ok((sound, preset)),
    }
}

/// A row's path without detours, if it leads to something inside the folder. Links may, as long as
/// they end there: a list from elsewhere must not be able to name any file of the machine.
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
