use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::audio::Audio;
use crate::decode::{DecodeLimits, Decoded, decode_file, decode_with_facts};
use crate::error::{DataError, Unusable};
use crate::source::Fingerprint;

/// A sound file that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundFile {
    /// Path below the folder, or as the list gives it.
    pub path: PathBuf,
    /// Length in seconds.
    pub seconds: f32,
    /// Samples per second, as recorded.
    pub sample_rate_hz: u32,
    /// Channels, as recorded.
    pub channels: usize,
    /// Every sample is zero. Such a file is used all the same, because nobody asked for it to be left
    /// out and silence is a sound that a model may meet; it carries nothing, so look at it.
    pub silent: bool,
    /// Packets that could not be decoded and were passed over.
    pub damaged_packets: usize,
    /// SHA-256 of the sample rate and the decoded mono samples: a renamed, re-tagged or losslessly
    /// re-encoded copy has the same.
    pub fingerprint: Fingerprint,
}

/// A sound file that can't be used.
#[derive(Debug)]
pub struct Rejected {
    /// Path below the folder, or as the list gives it.
    pub path: PathBuf,
    /// Why.
    pub reason: Unusable,
}

/// Files that were all decoded once: what every source of files stands on.
#[derive(Debug)]
pub(crate) struct SoundFiles {
    root: PathBuf,
    limits: DecodeLimits,
    pub(crate) files: Vec<SoundFile>,
    pub(crate) rejected: Vec<Rejected>,
}

impl SoundFiles {
    /// Decodes the files at `paths`, relative to `root`, in parallel. The usable ones stay in the order
    /// of `paths`; the others join `rejected`, which comes back in the order of its paths.
    ///
    /// # Errors
    /// [`DataError::AllRejected`] if none can be used.
    pub(crate) fn inspect(
        root: &Path,
        paths: Vec<PathBuf>,
        mut rejected: Vec<Rejected>,
        limits: &DecodeLimits,
    ) -> Result<SoundFiles, DataError> {
        let inspected: Vec<_> = paths
            .into_par_iter()
            .map(|path| inspect_one(root, path, limits))
            .collect();
        let mut files = Vec::new();
        for result in inspected {
            match result {
                Ok(file) => files.push(file),
                Err(refused) => rejected.push(refused),
            }
        }
        rejected.sort_by(|a, b| a.path.cmp(&b.path));
        if files.is_empty() {
            return Err(DataError::AllRejected {
                path: root.to_owned(),
                rejected,
            });
        }
        tracing::info!(folder = %root.display(), usable = files.len(), rejected = rejected.len(), "sounds found");
        Ok(SoundFiles {
            root: root.to_owned(),
            limits: *limits,
            files,
            rejected,
        })
    }

    pub(crate) fn name(&self, index: usize) -> String {
        self.files[index].path.display().to_string()
    }

    pub(crate) fn load(&self, index: usize) -> Result<Audio, DataError> {
        decode_file(&self.root.join(&self.files[index].path), &self.limits)
    }
}

fn inspect_one(root: &Path, path: PathBuf, limits: &DecodeLimits) -> Result<SoundFile, Rejected> {
    match decode_with_facts(&root.join(&path), limits) {
        Ok(Decoded {
            audio,
            channels,
            damaged_packets,
        }) => Ok(SoundFile {
            seconds: audio.seconds(),
            sample_rate_hz: audio.sample_rate_hz,
            channels,
            silent: audio.samples.iter().all(|&sample| sample == 0.0),
            damaged_packets,
            fingerprint: fingerprint(&audio),
            path,
        }),
        Err(reason) => Err(Rejected { path, reason }),
    }
}

fn fingerprint(audio: &Audio) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(audio.sample_rate_hz.to_le_bytes());
    let mut bytes = [0_u8; 4 * 1024];
    for block in audio.samples.chunks(1024) {
        for (four, sample) in bytes.chunks_exact_mut(4).zip(block) {
            four.copy_from_slice(&sample.to_le_bytes());
        }
        hash.update(&bytes[..4 * block.len()]);
    }
    Fingerprint(hash.finalize().into())
}
