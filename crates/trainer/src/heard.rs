//! Which sounds weights have learned from, or were chosen by.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use params::ParamSpec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stft_data::{FileSource, Fingerprint, Source};

use crate::error::TrainerError;
use crate::json_file::parse_json;

const HEARD_FILE: &str = "heard.json";

/// The sounds that weights have learned from or were chosen by, those of the weights before them included, as numbers: the
/// first eight bytes of what a sound [is known by](Names).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Heard(BTreeSet<u64>);

impl Heard {
    /// A sound of these `names` was learned from.
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = Fingerprint>) {
        self.0.extend(names.into_iter().map(|name| name.id()));
    }

    /// So were those of `earlier`.
    pub(crate) fn join(&mut self, earlier: Self) {
        self.0.extend(earlier.0);
    }

    /// Whether a sound that is known by `name` was learned from.
    pub(crate) fn has(&self, name: Fingerprint) -> bool {
        self.0.contains(&name.id())
    }

    /// Into the checkpoint that is made in `directory`.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), TrainerError> {
        let path = directory.join(HEARD_FILE);
        let text = serde_json::to_string(self).expect("plain numbers serialise");
        fs::write(&path, text).map_err(TrainerError::write(&path))
    }

    /// That of the checkpoint in `directory`.
    ///
    /// # Errors
    /// It doesn't say, or what it says can't be read.
    pub(crate) fn read(directory: &Path) -> Result<Self, TrainerError> {
        let path = directory.join(HEARD_FILE);
        let text = fs::read_to_string(&path).map_err(|error| TrainerError::Checkpoint {
            path: path.clone(),
            reason: format!(
                "{error}: it tells which sounds the weights have heard, without which no test of what grows from them can be \
                 trusted; copy it from where the weights come from, or train them again"
            ),
        })?;
        parse_json(&path, &text)
    }
}

/// What sounds are known by, wherever they come from: a file by its samples, whatever its name, and a labelled sound by its
/// preset, whether it is in a file or made anew.
pub(crate) struct Names<'a> {
    source: &'a dyn Source,
    files: Option<&'a FileSource>,
    /// What the presets are of.
    spec: Option<Fingerprint>,
}

impl<'a> Names<'a> {
    /// Those of `source`, whose sounds are `files` if they are any.
    pub(crate) fn of(source: &'a dyn Source, files: Option<&'a FileSource>) -> Self {
        let digest = |spec: &ParamSpec| {
            let text = serde_json::to_vec(spec).expect("a specification is plain");
            Fingerprint(Sha256::digest(text).into())
        };
        Self {
            source,
            files,
            spec: source.spec().map(digest),
        }
    }

    /// What stands for sound `index`.
    pub(crate) fn sound(&self, index: usize) -> impl Iterator<Item = Fingerprint> + use<> {
        let content = match self.files {
            Some(files) => files.files()[index].fingerprint,
            None => self.source.fingerprint(index),
        };
        [Some(content), self.preset(index)].into_iter().flatten()
    }

    /// The preset of a labelled sound. Equal values for another synthesizer's parameters are another preset.
    fn preset(&self, index: usize) -> Option<Fingerprint> {
        let mut hash = Sha256::new();
        hash.update(self.spec?.0);
        hash.update(Fingerprint::of_preset(&self.source.truth(index)?).0);
        Some(Fingerprint(hash.finalize().into()))
    }
}
