use std::fmt;

use params::{ParamSpec, ParamVector};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audio::Audio;
use crate::error::DataError;

/// Where sounds come from. The one door to the rest of this crate.
///
/// Implementations answer by index, from any thread, always the same.
pub trait Source: Send + Sync {
    /// Number of sounds.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What to call sound `index` in messages: a path, a number.
    fn name(&self, index: usize) -> String;

    /// What sound `index` is, whatever it is called: decides its split, its crops and its masks.
    /// Equal sounds have equal fingerprints. A labelled source takes the preset, so that one preset's
    /// sounds stay in one split.
    fn fingerprint(&self, index: usize) -> Fingerprint;

    /// Loads or renders sound `index`.
    ///
    /// # Errors
    /// Whatever keeps it from being heard.
    fn load(&self, index: usize) -> Result<Audio, DataError>;

    /// The parameters that the truth is about; none for unlabelled sounds.
    fn spec(&self) -> Option<&ParamSpec> {
        None
    }

    /// The parameters that made sound `index`, where they are known.
    fn truth(&self, index: usize) -> Option<ParamVector> {
        let _ = index;
        None
    }
}

/// Version of the fingerprints of decoded sounds. Raised whenever decoding gives other samples than before, and
/// with them other fingerprints. A test compares it with pinned samples.
pub const FINGERPRINT_VERSION: u32 = 3;

/// 32 bytes that stand for a sound's content: a cryptographic hash of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// What stands for every sound that a preset makes: SHA-256 of the positions (f32) and the class
    /// indices (u64), little-endian.
    pub fn of_preset(preset: &ParamVector) -> Fingerprint {
        let mut hash = Sha256::new();
        for &position in &preset.cont {
            // Adding zero turns -0 into 0, which is the same position.
            hash.update((position + 0.0).to_le_bytes());
        }
        for &class in &preset.cat {
            hash.update((class as u64).to_le_bytes());
        }
        Fingerprint(hash.finalize().into())
    }

    /// The first eight bytes, little-endian: the example's number wherever one number is wanted. It
    /// does not change when other sounds come or go.
    pub fn id(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Fingerprint({self})")
    }
}
