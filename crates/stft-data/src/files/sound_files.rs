use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::audio::Audio;
use crate::decode::file::{decode_file, decode_with_facts};
use crate::decode::limits::DecodeLimits;
use crate::decode::unusable::Rejected;
use crate::error::DataError;
use crate::files::sound_file::SoundFile;
use crate::printable::printable;

/// Files that were decoded once to check them: the common part of all sources of files.
#[derive(Debug)]
pub(crate) struct SoundFiles {
    root: PathBuf,
    limits: DecodeLimits,
    pub(crate) files: Vec<SoundFile>,
    pub(crate) rejected: Vec<Rejected>,
}

impl SoundFiles {
    /// Decodes the files at `paths`, relative to `root`, in parallel. The usable ones keep the order of
    /// `paths`; the others are added to `rejected`, which is then sorted by path.
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
            .map(|path| match decode_with_facts(&root.join(&path), limits) {
                Ok(decoded) => Ok(SoundFile::new(path, &decoded)),
                Err(reason) => Err(Rejected { path, reason }),
            })
            .collect();
        let mut files = Vec::new();
        for result in inspected {
            match result {
                Ok(file) => files.push(file),
                Err(unusable) => rejected.push(unusable),
            }
        }
        rejected.sort_by(|a, b| a.path.cmp(&b.path));
        if files.is_empty() {
            return Err(DataError::AllRejected {
                path: root.to_owned(),
                rejected,
            });
        }
        tracing::info!(folder = %printable(root), usable = files.len(), rejected = rejected.len(), "sounds found");
        Ok(SoundFiles {
            root: root.to_owned(),
            limits: *limits,
            files,
            rejected,
        })
    }

    pub(crate) fn name(&self, index: usize) -> String {
        printable(&self.files[index].path).to_string()
    }

    pub(crate) fn load(&self, index: usize) -> Result<Audio, DataError> {
        decode_file(&self.root.join(&self.files[index].path), &self.limits)
    }
}
