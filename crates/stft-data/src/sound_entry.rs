//! What is kept of a sound file on disk, as bytes.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest, Sha256};

use crate::audio::Audio;
use crate::sound_files::SoundFile;

/// First bytes of an entry.
const MAGIC: [u8; 8] = *b"soundch1";

/// Magic, length of the facts, rate, number of samples.
const PREFIX_BYTES: usize = 8 + 4 + 4 + 8;

const DIGEST_BYTES: usize = 32;

/// More facts than this are none of ours.
const MOST_FACTS_BYTES: u32 = 1 << 16;

/// A sound at the clips' rate with what was found out about its file.
///
/// ```text
/// magic [8] | facts length u32 | rate u32 | samples u64 | facts, JSON | SHA-256 of all that | samples f32 | SHA-256 of the samples
/// ```
///
/// Little-endian. The facts can be read and trusted without the samples.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) file: SoundFile,
    pub(crate) audio: Audio,
}

impl Entry {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let facts = serde_json::to_vec(&self.file).expect("plain numbers can be written as JSON");
        let samples = &self.audio.samples;
        let mut bytes = Vec::with_capacity(
            PREFIX_BYTES + facts.len() + 2 * DIGEST_BYTES + size_of_val(samples.as_slice()),
        );
        bytes.extend(MAGIC);
        bytes.extend((facts.len() as u32).to_le_bytes());
        bytes.extend(self.audio.sample_rate_hz.to_le_bytes());
        bytes.extend((samples.len() as u64).to_le_bytes());
        bytes.extend(&facts);
        bytes.extend(Sha256::digest(&bytes));
        let start = bytes.len();
        bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
        let digest = Sha256::digest(&bytes[start..]);
        bytes.extend(digest);
        bytes
    }

    /// The whole entry; an error if it isn't what was written once, to the last bit.
    pub(crate) fn read(file: &mut File) -> io::Result<Entry> {
        let Head {
            facts,
            sample_rate_hz,
            samples,
        } = Head::read(file)?;
        let mut bytes = vec![0; 4 * samples];
        file.read_exact(&mut bytes)?;
        check_digest(file, &bytes)?;
        let samples = bytes
            .chunks_exact(4)
            .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
            .collect();
        Ok(Entry {
            file: facts,
            audio: Audio {
                samples,
                sample_rate_hz,
            },
        })
    }

    /// What is said of the sound, without reading it.
    pub(crate) fn read_facts(file: &mut File) -> io::Result<SoundFile> {
        Head::read(file).map(|head| head.facts)
    }
}

/// Everything before the samples.
struct Head {
    facts: SoundFile,
    sample_rate_hz: u32,
    samples: usize,
}

impl Head {
    fn read(file: &mut File) -> io::Result<Head> {
        let mut bytes = vec![0; PREFIX_BYTES];
        file.read_exact(&mut bytes)?;
        let facts_bytes = u32::from_le_bytes(field(&bytes, 8));
        let sample_rate_hz = u32::from_le_bytes(field(&bytes, 12));
        let samples = u64::from_le_bytes(field(&bytes, 16));
        if bytes[..8] != MAGIC || facts_bytes > MOST_FACTS_BYTES {
            return Err(damaged("it does not begin like an entry"));
        }
        bytes.resize(PREFIX_BYTES + facts_bytes as usize, 0);
        file.read_exact(&mut bytes[PREFIX_BYTES..])?;
        check_digest(file, &bytes)?;
        // Only now is the number of samples worth anything.
        let total = bytes.len() as u64 + 2 * DIGEST_BYTES as u64 + 4 * samples;
        if file.metadata()?.len() != total {
            return Err(damaged("its length is not what its head says"));
        }
        let facts =
            serde_json::from_slice(&bytes[PREFIX_BYTES..]).map_err(|_| damaged("unknown facts"))?;
        Ok(Head {
            facts,
            sample_rate_hz,
            samples: samples as usize,
        })
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("the prefix is long enough")
}

fn check_digest(file: &mut File, of: &[u8]) -> io::Result<()> {
    let mut kept = [0; DIGEST_BYTES];
    file.read_exact(&mut kept)?;
    match kept[..] == Sha256::digest(of)[..] {
        true => Ok(()),
        false => Err(damaged("a digest differs")),
    }
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::decode::Decoded;
    use proptest::prelude::*;
    use std::io::{Seek, Write};

    pub(crate) fn entry(samples: &[f32]) -> Entry {
        let audio = Audio {
            samples: samples.to_vec(),
            sample_rate_hz: 8_000,
        };
        Entry {
            file: SoundFile::of(&Decoded {
                audio: audio.clone(),
                levels: vec![],
                damaged_packets: 3,
            }),
            audio,
        }
    }

    fn on_disk(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    proptest! {
        #[test]
        fn an_entry_comes_back_as_it_was_written(samples in prop::collection::vec(-2.0_f32..2.0, 1..200)) {
            let entry = entry(&samples);
            let bytes = entry.to_bytes();
            prop_assert_eq!(&Entry::read(&mut on_disk(&bytes)).unwrap(), &entry);
            prop_assert_eq!(Entry::read_facts(&mut on_disk(&bytes)).unwrap(), entry.file);
        }
    }

    #[test]
    fn no_entry_survives_a_changed_bit_or_a_missing_end() {
        let bytes = entry(&[0.5, -0.25, 0.125]).to_bytes();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(Entry::read(&mut on_disk(&changed)).is_err(), "byte {at}");
            }
            assert!(Entry::read(&mut on_disk(&bytes[..at])).is_err());
            // What is said of a sound whose samples are cut off is of no use.
            assert!(Entry::read_facts(&mut on_disk(&bytes[..at])).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Entry::read(&mut on_disk(&longer)).is_err());
    }
}
