use std::fmt;

use params::{ParamSpec, ParamVector};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audio::Audio;
use crate::error::DataError;

/// A collection of sounds, addressed by index: the input of a [`Dataset`](crate::Dataset).
///
/// Methods are called from any thread, and must return the same for the same index every time.
pub trait Source: Send + Sync {
    /// Number of sounds.
    fn len(&self) -> usize;

    /// Whether there are no sounds.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of sound `index` in messages, such as a path or a number.
    fn name(&self, index: usize) -> String;

    /// Identity of the content of sound `index`, whatever its name. Decides its split, its crops and
    /// its masks. Equal sounds have equal fingerprints. A labelled source uses the patch's
    /// fingerprint, so that all sounds of one patch are in one split.
    fn fingerprint(&self, index: usize) -> Fingerprint;

    /// Loads or renders sound `index`.
    ///
    /// # Errors
    /// If the sound can't be loaded or rendered.
    fn load(&self, index: usize) -> Result<Audio, DataError>;

    /// Specification of the parameters in [`truth`](Source::truth); none for unlabelled sounds.
    fn spec(&self) -> Option<&ParamSpec> {
        None
    }

    /// Parameters that made sound `index`, if they are known.
    fn truth(&self, index: usize) -> Option<ParamVector> {
        let _ = index;
        None
    }
}

/// Version of the fingerprints of sound files. It is raised whenever decoding gives other samples than
/// before, because fingerprints change with them. A test pins it together with decoded samples.
pub const FINGERPRINT_VERSION: u32 = 3;

/// A cryptographic hash of a sound's content, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Fingerprint of every sound that a patch makes: SHA-256 of the positions (f32) and the class
    /// indices (u64), little-endian.
    pub fn of_patch(patch: &ParamVector) -> Fingerprint {
        let mut hash = Sha256::new();
        for &position in &patch.cont {
            // Adding zero turns -0 into 0, which is the same position.
            hash.update((position + 0.0).to_le_bytes());
        }
        for &class in &patch.cat {
            hash.update((class as u64).to_le_bytes());
        }
        Fingerprint(hash.finalize().into())
    }

    /// First eight bytes, little-endian: the example's number. It does not change when other sounds
    /// are added or removed.
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
