//! Which sounds a run is made of.

use params::ParamSpec;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stft_data::{FileSource, Source};

use crate::training::weights::hexadecimal;

/// Which sounds a run is made of, in two figures: equal for the same sounds with the same labels in the same order, wherever they lie and
/// whatever they are called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoundSet {
    /// How many can be used.
    pub count: usize,
    /// SHA-256, in hexadecimal, of the parameter specification as JSON, and of each sound's fingerprint and, for a file, the
    /// fingerprint of its samples.
    pub sha256: String,
}

impl SoundSet {
    /// That of `source`, whose sounds are `files` if they are any.
    pub(crate) fn of(source: &dyn Source, files: Option<&FileSource>) -> Self {
        let mut hash = Sha256::new();
        let spec = |spec: &ParamSpec| serde_json::to_vec(spec).expect("a specification is plain");
        hash.update(source.spec().map(spec).unwrap_or_default());
        for index in 0..source.len() {
            hash.update(source.fingerprint(index).0);
            // A labelled sound's own fingerprint is that of its patch.
            if let Some(files) = files {
                hash.update(files.files()[index].fingerprint.0);
            }
        }
        Self {
            count: source.len(),
            sha256: hexadecimal(hash),
        }
    }
}
