//! The sounds that weights were trained on, as a guard against contaminated tests.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use stft_data::{FINGERPRINT_VERSION, FileSource, Fingerprint, Source};

use crate::error::TrainerError;
use crate::run::json_file::read_json;

const TRAINED_ON_FILE: &str = "trained_on.json";

/// The sounds that weights were trained on or selected by, those of all earlier stages included.
///
/// A sound is a number: the first eight bytes of the hash of a file's samples, and of a labelled sound's patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// [`FINGERPRINT_VERSION`] of the program that hashed them.
    version: u32,
    sounds: BTreeSet<u64>,
}

impl Default for TrainedOn {
    fn default() -> Self {
        Self {
            version: FINGERPRINT_VERSION,
            sounds: BTreeSet::new(),
        }
    }
}

impl TrainedOn {
    /// Adds a sound with these `fingerprints`.
    pub(crate) fn add(&mut self, fingerprints: impl IntoIterator<Item = Fingerprint>) {
        let ids = fingerprints.into_iter().map(|fingerprint| fingerprint.id());
        self.sounds.extend(ids);
    }

    /// Adds the sounds of `other`.
    pub(crate) fn join(&mut self, other: &Self) {
        self.sounds.extend(&other.sounds);
    }

    /// Whether a sound with this `fingerprint` is among them.
    pub(crate) fn has(&self, fingerprint: Fingerprint) -> bool {
        self.sounds.contains(&fingerprint.id())
    }

    /// Writes them into the checkpoint `directory`.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), TrainerError> {
        let path = directory.join(TRAINED_ON_FILE);
        let text = serde_json::to_string(self).expect("plain numbers serialise");
        fs::write(&path, text).map_err(TrainerError::write(&path))
    }

    /// Those of the checkpoint in `directory`; none if it has no record of them.
    ///
    /// # Errors
    /// The record can't be read, or another version hashed the sounds differently.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, TrainerError> {
        let path = directory.join(TRAINED_ON_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let trained_on: Self = read_json(&path)?;
        match trained_on.version == FINGERPRINT_VERSION {
            true => Ok(Some(trained_on)),
            false => Err(TrainerError::TrainingSoundsUnknown {
                path: directory.to_owned(),
            }),
        }
    }
}

/// The fingerprints by which sound `index` of `source` is recognised, wherever it comes from. `files` is the same source,
/// where it consists of files.
///
/// A file is recognised by its samples, whatever its name; a labelled sound by its patch, whether it is in a file or
/// rendered. A silent file is recognised by its patch alone.
pub(crate) fn fingerprints(
    source: &dyn Source,
    files: Option<&FileSource>,
    index: usize,
) -> impl Iterator<Item = Fingerprint> + use<> {
    let content = match files.map(|files| &files.files()[index]) {
        Some(file) => (!file.silent).then_some(file.fingerprint),
        None => Some(source.fingerprint(index)),
    };
    let patch = source.spec().zip(source.truth(index)).map(|(spec, truth)| {
        let patch = spec.patch_sha256(&truth);
        Fingerprint(patch.expect("a truth fits its parameters"))
    });
    [content, patch].into_iter().flatten()
}
