//! Which sounds weights have learned from, or were chosen by.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use stft_data::{FileSource, Fingerprint, FINGERPRINT_VERSION, Source};

use crate::error::TrainerError;
use crate::run::json_file::read_json;

const TRAINED_ON_FILE: &str = "heard.json";

/// The sounds that weights have learned from or were chosen by, those of the weights before them included, as numbers: the
/// first eight bytes of what stands for the samples of a file, and for the preset of a labelled sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// [`FINGERPRINT_VERSION`] of what has named them.
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
    /// A sound of these `names` was learned from.
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = Fingerprint>) {
        self.sounds.extend(names.into_iter().map(|name| name.id()));
    }

    /// So were those of `others`.
    pub(crate) fn join(&mut self, others: &Self) {
        self.sounds.extend(&others.sounds);
    }

    /// Whether a sound that is known by `name` was learned from.
    pub(crate) fn has(&self, name: Fingerprint) -> bool {
        self.sounds.contains(&name.id())
    }

    /// Into the checkpoint that is made in `directory`.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), TrainerError> {
        let path = directory.join(TRAINED_ON_FILE);
        let text = serde_json::to_string(self).expect("plain numbers serialise");
        fs::write(&path, text).map_err(TrainerError::write(&path))
    }

    /// That of the checkpoint in `directory`; none if it doesn't say.
    ///
    /// # Errors
    /// It can't be read, or names sounds in another way than this program.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, TrainerError> {
        let path = directory.join(TRAINED_ON_FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let heard: Self = read_json(&path)?;
        match heard.version == FINGERPRINT_VERSION {
            true => Ok(Some(heard)),
            false => Err(TrainerError::TrainingSoundsUnknown {
                path: directory.to_owned(),
            }),
        }
    }
}

/// What sound `index` of `source`, whose sounds are `files` if they are any, is known by, wherever it comes from: a file by its
/// samples, whatever its name, and a labelled sound by its preset, whether it is in a file or made anew. Silence is known by
/// its preset alone.
pub(crate) fn names(
    source: &dyn Source,
    files: Option<&FileSource>,
    index: usize,
) -> impl Iterator<Item = Fingerprint> + use<> {
    let content = match files.map(|files| &files.files()[index]) {
        Some(file) => (!file.silent).then_some(file.fingerprint),
        None => Some(source.fingerprint(index)),
    };
    let preset = source.spec().zip(source.truth(index)).map(|(spec, truth)| {
        let preset = spec.preset_sha256(&truth);
        Fingerprint(preset.expect("a truth fits its parameters"))
    });
    [content, preset].into_iter().flatten()
}
