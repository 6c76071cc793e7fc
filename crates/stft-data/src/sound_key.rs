use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::decode_limits::DecodeLimits;
use crate::unusable::Unusable;

/// Version of how files become sounds: raised whenever decoding or resampling gives other samples than before, and with them other
/// fingerprints, or other facts are kept. No older entry of a cache or an index is found after that. A test holds it and the
/// samples together.
pub const SOUND_VERSION: u32 = 3;

/// Larger files are decoded each time: to know whether an entry is theirs they would have to be read
/// to their end first, and a header may be followed by a terabyte of holes.
const LARGEST_FILE_BYTES: u64 = 256 << 20;

/// An entry's name ends like this; nothing else is ever counted.
const EXTENSION: &str = ".sound";

/// Stands for everything that an entry of the cache is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key(pub(crate) [u8; 32]);

impl Key {
    /// The key of a regular file's sound at a rate; none if the file is too large to be kept.
    pub(crate) fn of_file(
        path: &Path,
        limits: &DecodeLimits,
        sample_rate_hz: u32,
    ) -> Result<Option<Key>, Unusable> {
        let facts = fs::metadata(path)?;
        if !facts.is_file() {
            return Err(Unusable::NotRegular);
        }
        if facts.len() > LARGEST_FILE_BYTES {
            return Ok(None);
        }
        // Taken apart, so that a new limit can't be forgotten here.
        let DecodeLimits {
            max_seconds,
            max_samples,
            max_channels,
        } = limits;
        let mut hash = Sha256::new();
        hash.update(SOUND_VERSION.to_le_bytes());
        hash.update(max_seconds.to_le_bytes());
        hash.update((*max_samples as u64).to_le_bytes());
        hash.update(max_channels.to_le_bytes());
        hash.update(sample_rate_hz.to_le_bytes());
        let mut file = File::open(path)?.take(LARGEST_FILE_BYTES);
        let mut block = vec![0; 64 * 1024];
        loop {
            match file.read(&mut block)? {
                0 => return Ok(Some(Key(hash.finalize().into()))),
                n => hash.update(&block[..n]),
            }
        }
    }

    /// The name of the entry's file.
    pub(crate) fn name(&self) -> String {
        let hex: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        hex + EXTENSION
    }

    pub(crate) fn from_name(name: &str) -> Option<Key> {
        let hex = name.strip_suffix(EXTENSION)?;
        let mut key = [0; 32];
        if hex.len() != 2 * key.len() || !hex.is_ascii() {
            return None;
        }
        for (i, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Key(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const RATE_HZ: u32 = 16_384;

    #[test]
    fn content_rate_and_each_limit_lead_to_another_key_and_the_name_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let (a, b, copy) = (
            file("a", b"one"),
            file("b", b"two"),
            file("copy of a", b"one"),
        );
        let usual = DecodeLimits::default();
        let key = |path: &Path, limits: &DecodeLimits, rate_hz| {
            Key::of_file(path, limits, rate_hz).unwrap().unwrap()
        };
        let keys = [
            key(&a, &usual, RATE_HZ),
            key(&b, &usual, RATE_HZ),
            key(&a, &usual, RATE_HZ + 1),
            key(
                &a,
                &DecodeLimits {
                    max_seconds: 599.0,
                    ..usual
                },
                RATE_HZ,
            ),
            key(
                &a,
                &DecodeLimits {
                    max_samples: usual.max_samples - 1,
                    ..usual
                },
                RATE_HZ,
            ),
            key(
                &a,
                &DecodeLimits {
                    max_channels: 7,
                    ..usual
                },
                RATE_HZ,
            ),
        ];
        let different: HashSet<_> = keys.iter().collect();
        assert_eq!(different.len(), 6);
        assert_eq!(key(&copy, &usual, RATE_HZ), keys[0]);
    }

    #[test]
    fn a_file_that_is_too_large_has_no_key_and_is_not_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // A hole, which takes no space on disk.
        file.as_file().set_len(LARGEST_FILE_BYTES + 1).unwrap();
        let key = || Key::of_file(file.path(), &DecodeLimits::default(), RATE_HZ).unwrap();
        assert_eq!(key(), None);
        file.as_file().set_len(1 << 20).unwrap();
        assert!(key().is_some());
    }

    #[test]
    fn a_name_gives_its_key_back_and_other_names_are_none() {
        let key = Key(std::array::from_fn(|n| 7 * n as u8));
        assert_eq!(Key::from_name(&key.name()), Some(key));
        let name = key.name();
        for other in [
            &name[1..],
            "letter.sound",
            "",
            &name.replace("07", "0g"),
            &name.replace(".sound", ".wav"),
        ] {
            assert_eq!(Key::from_name(other), None, "{other}");
        }
    }
}
