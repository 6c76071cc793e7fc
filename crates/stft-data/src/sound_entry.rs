//! What is kept of a sound file on disk, as bytes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audio::Audio;
use crate::sound_files::SoundFile;
use crate::sound_key::Key;
use crate::source::Fingerprint;

/// First bytes of an entry.
const MAGIC: [u8; 8] = *b"soundch2";

/// Magic, key, length of the facts, rate, number of samples.
const PREFIX_BYTES: usize = 8 + 32 + 4 + 4 + 8;

const DIGEST_BYTES: usize = 32;

/// More facts than this are none of ours.
const MOST_FACTS_BYTES: u32 = 1 << 16;

/// Samples that are turned into bytes at a time, so that a sound and all its bytes are never in memory
/// together.
const BLOCK_SAMPLES: usize = 16 * 1024;

/// A sound at the clips' rate with what was found out about its file.
///
/// ```text
/// magic [8] | key [32] | facts length u32 | rate u32 | samples u64 | facts, JSON | SHA-256 of all that | samples f32 | SHA-256 of the samples
/// ```
///
/// Little-endian. The facts can be read and trusted without the samples. An entry that lies under
/// another name than its own is as good as damaged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) file: SoundFile,
    pub(crate) audio: Audio,
}

/// [`SoundFile`] as an entry keeps it: all but its path, which may be another one next time.
#[derive(Serialize, Deserialize)]
#[serde(remote = "SoundFile", deny_unknown_fields)]
pub(crate) struct KeptFacts {
    #[serde(skip)]
    path: PathBuf,
    seconds: f32,
    samples: usize,
    sample_rate_hz: u32,
    channels: usize,
    silent: bool,
    peak: f32,
    rms: f32,
    clipped_samples: usize,
    damaged_packets: usize,
    packets_at_another_rate: usize,
    truncated: bool,
    fingerprint: Fingerprint,
}

impl Entry {
    /// How many bytes [`write`](Entry::write) writes.
    pub(crate) fn bytes(&self, key: &Key) -> u64 {
        total_bytes(self.head(key).len(), self.audio.samples.len())
            .expect("a sound in memory is shorter than 2^62 samples")
    }

    pub(crate) fn write(&self, key: &Key, out: &mut impl Write) -> io::Result<()> {
        let head = self.head(key);
        out.write_all(&head)?;
        out.write_all(&Sha256::digest(&head))?;
        let mut hash = Sha256::new();
        let mut bytes = Vec::with_capacity(4 * BLOCK_SAMPLES);
        for block in self.audio.samples.chunks(BLOCK_SAMPLES) {
            bytes.clear();
            bytes.extend(block.iter().flat_map(|sample| sample.to_le_bytes()));
            hash.update(&bytes);
            out.write_all(&bytes)?;
        }
        out.write_all(&hash.finalize())
    }

    fn head(&self, key: &Key) -> Vec<u8> {
        let mut facts = Vec::new();
        KeptFacts::serialize(&self.file, &mut serde_json::Serializer::new(&mut facts))
            .expect("plain numbers can be written as JSON");
        let mut head = Vec::with_capacity(PREFIX_BYTES + facts.len());
        head.extend(MAGIC);
        head.extend(key.0);
        head.extend((facts.len() as u32).to_le_bytes());
        head.extend(self.audio.sample_rate_hz.to_le_bytes());
        head.extend((self.audio.samples.len() as u64).to_le_bytes());
        head.extend(facts);
        head
    }

    /// The whole entry; an error if it isn't what was written once under this key, to the last bit.
    pub(crate) fn read(file: &mut File, key: &Key) -> io::Result<Entry> {
        let head = Head::read(file, key)?;
        let mut samples = Vec::with_capacity(head.samples);
        head.read_samples(file, |block| {
            let (fours, _) = block.as_chunks();
            samples.extend(fours.iter().map(|&four| f32::from_le_bytes(four)));
        })?;
        Ok(Entry {
            file: head.facts,
            audio: Audio {
                samples,
                sample_rate_hz: head.sample_rate_hz,
            },
        })
    }

    /// What is said of the sound, without reading it.
    pub(crate) fn read_facts(file: &mut File, key: &Key) -> io::Result<SoundFile> {
        Head::read(file, key).map(|head| head.facts)
    }

    /// Reads it all and keeps nothing.
    pub(crate) fn check(file: &mut File, key: &Key) -> io::Result<()> {
        Head::read(file, key)?.read_samples(file, |_| ())
    }
}

/// Everything before the samples.
struct Head {
    facts: SoundFile,
    sample_rate_hz: u32,
    samples: usize,
}

impl Head {
    fn read(file: &mut File, key: &Key) -> io::Result<Head> {
        let mut bytes = vec![0; PREFIX_BYTES];
        file.read_exact(&mut bytes)?;
        let facts_bytes = u32::from_le_bytes(field(&bytes, 40));
        let sample_rate_hz = u32::from_le_bytes(field(&bytes, 44));
        let samples = u64::from_le_bytes(field(&bytes, 48));
        if bytes[..8] != MAGIC || facts_bytes > MOST_FACTS_BYTES {
            return Err(damaged("it does not begin like an entry"));
        }
        bytes.resize(PREFIX_BYTES + facts_bytes as usize, 0);
        file.read_exact(&mut bytes[PREFIX_BYTES..])?;
        check_digest(file, Sha256::digest(&bytes).into())?;
        // Only now is anything in it worth something.
        if bytes[8..40] != key.0 {
            return Err(damaged("it belongs under another name"));
        }
        let mut json = serde_json::Deserializer::from_slice(&bytes[PREFIX_BYTES..]);
        let facts = KeptFacts::deserialize(&mut json).map_err(|_| damaged("unknown facts"))?;
        let samples = usize::try_from(samples).map_err(|_| damaged("an impossible length"))?;
        let possible = facts.sample_rate_hz > 0 && sample_rate_hz > 0;
        if !possible || facts.samples_at(sample_rate_hz) != samples {
            return Err(damaged("its sound has not the length of its file"));
        }
        if Some(file.metadata()?.len()) != total_bytes(bytes.len(), samples) {
            return Err(damaged("its length is not what its head says"));
        }
        Ok(Head {
            facts,
            sample_rate_hz,
            samples,
        })
    }

    /// Hands over the samples' bytes block by block, each of whole samples. What was handed over is worth
    /// nothing if this ends in an error.
    fn read_samples(&self, file: &mut File, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut hash = Sha256::new();
        let mut block = vec![0; 4 * BLOCK_SAMPLES];
        let mut left = self.samples;
        while left > 0 {
            let count = left.min(BLOCK_SAMPLES);
            let bytes = &mut block[..4 * count];
            file.read_exact(bytes)?;
            hash.update(&*bytes);
            take(bytes);
            left -= count;
        }
        check_digest(file, hash.finalize().into())
    }
}

/// None if there is no such number.
fn total_bytes(head_bytes: usize, samples: usize) -> Option<u64> {
    (samples as u64)
        .checked_mul(4)?
        .checked_add(head_bytes as u64 + 2 * DIGEST_BYTES as u64)
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N]
        .try_into()
        .expect("the prefix is long enough")
}

fn check_digest(file: &mut File, expected: [u8; DIGEST_BYTES]) -> io::Result<()> {
    let mut kept = [0; DIGEST_BYTES];
    file.read_exact(&mut kept)?;
    match kept == expected {
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
    use std::io::Seek;

    const KEY: Key = Key([9; 32]);

    pub(crate) fn entry(samples: &[f32]) -> Entry {
        let audio = Audio {
            samples: samples.to_vec(),
            sample_rate_hz: 8_000,
        };
        let decoded = Decoded {
            audio: audio.clone(),
            levels: vec![],
            damaged_packets: 3,
            packets_at_another_rate: 2,
            truncated: true,
        };
        Entry {
            file: SoundFile::of(&decoded),
            audio,
        }
    }

    fn written(entry: &Entry, key: &Key) -> Vec<u8> {
        let mut bytes = Vec::new();
        entry.write(key, &mut bytes).unwrap();
        bytes
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
            let bytes = written(&entry, &KEY);
            prop_assert_eq!(bytes.len() as u64, entry.bytes(&KEY));
            prop_assert_eq!(&Entry::read(&mut on_disk(&bytes), &KEY).unwrap(), &entry);
            prop_assert!(Entry::check(&mut on_disk(&bytes), &KEY).is_ok());
            prop_assert_eq!(Entry::read_facts(&mut on_disk(&bytes), &KEY).unwrap(), entry.file);
        }
    }

    #[test]
    fn an_entry_of_several_blocks_comes_back_too() {
        for samples in [
            BLOCK_SAMPLES - 1,
            BLOCK_SAMPLES,
            BLOCK_SAMPLES + 1,
            3 * BLOCK_SAMPLES + 7,
        ] {
            let wave: Vec<f32> = (0..samples).map(|n| (n as f32 * 0.1).sin()).collect();
            let entry = entry(&wave);
            let bytes = written(&entry, &KEY);
            assert!(Entry::read(&mut on_disk(&bytes), &KEY).unwrap() == entry);
        }
    }

    #[test]
    fn no_entry_survives_a_changed_bit_or_a_missing_end() {
        let bytes = written(&entry(&[0.5, -0.25, 0.125]), &KEY);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                assert!(
                    Entry::read(&mut on_disk(&changed), &KEY).is_err(),
                    "byte {at}"
                );
                assert!(
                    Entry::check(&mut on_disk(&changed), &KEY).is_err(),
                    "byte {at}"
                );
            }
            assert!(Entry::read(&mut on_disk(&bytes[..at]), &KEY).is_err());
            // What is said of a sound whose samples are cut off is of no use.
            assert!(Entry::read_facts(&mut on_disk(&bytes[..at]), &KEY).is_err());
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Entry::read(&mut on_disk(&longer), &KEY).is_err());
    }

    #[test]
    fn a_whole_entry_that_is_another_files_is_refused() {
        let mut bytes = written(&entry(&[0.5, -0.25, 0.125]), &Key([8; 32]));
        let refused = |bytes: &[u8]| {
            let facts = Entry::read_facts(&mut on_disk(bytes), &KEY).unwrap_err();
            assert!(Entry::read(&mut on_disk(bytes), &KEY).is_err());
            facts.to_string()
        };
        assert_eq!(refused(&bytes), "it belongs under another name");

        // Whatever wrote these knew how to make digests.
        let sign = |bytes: &mut Vec<u8>| {
            let facts = u32::from_le_bytes(field(bytes, 40)) as usize;
            let digest = Sha256::digest(&bytes[..PREFIX_BYTES + facts]);
            bytes[PREFIX_BYTES + facts..][..DIGEST_BYTES].copy_from_slice(&digest);
        };
        bytes[8..40].copy_from_slice(&KEY.0);
        sign(&mut bytes);
        assert!(Entry::read(&mut on_disk(&bytes), &KEY).is_ok());
        let good = bytes.clone();
        for samples in [2, 4, 1 << 62, (1 << 62) + 3, u64::MAX] {
            bytes[48..56].copy_from_slice(&samples.to_le_bytes());
            sign(&mut bytes);
            assert_eq!(refused(&bytes), "its sound has not the length of its file");
        }
        for rate_hz in [0_u32, 16_000] {
            bytes.clone_from(&good);
            bytes[44..48].copy_from_slice(&rate_hz.to_le_bytes());
            sign(&mut bytes);
            assert_eq!(refused(&bytes), "its sound has not the length of its file");
        }
    }
}
