//! Where the weights came from that a stage began with.

use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::run::checkpoint::Checkpoint;
use crate::error::TrainerError;
use crate::run::exported::checkpoint_sha256;
use crate::run::run_dir::RunDir;
use crate::parameters::head_transfer::HeadTransfer;

/// Where the weights came from that a stage began with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The run, stage or checkpoint as it was named; the checkpoint, where it was found in the same run.
    pub path: PathBuf,
    /// The stage that left them.
    pub stage: String,
    /// Its optimizer steps.
    pub step: u64,
    /// Hash over the sorted names and bytes of all weights of the checkpoint.
    pub weights_sha256: String,
    /// What parameter heads go on from, where the checkpoint has heads too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<HeadTransfer>,
}

impl Provenance {
    /// That of `checkpoint`, which was named as `path`.
    ///
    /// # Errors
    /// Its weights can't be read.
    pub(crate) fn of(
        checkpoint: &Checkpoint,
        path: &Path,
        device: &Device,
    ) -> Result<Self, TrainerError> {
        Ok(Self {
            path: path.to_owned(),
            stage: checkpoint.context.stage.clone(),
            step: checkpoint.progress.step,
            weights_sha256: checkpoint_sha256(checkpoint, device)?,
            heads: None,
        })
    }

    /// The checkpoint that this is, if it is still there: where it was named, or in the run of `grown`, which began with it
    /// and may have been moved together with it.
    pub(crate) fn find(&self, grown: &Checkpoint, device: &Device) -> Option<Checkpoint> {
        // A run, its stage, `checkpoints`, and one of them.
        let run = grown.path().ancestors().nth(3).map(RunDir::at);
        let beside = run.map(|run| run.stage(&self.stage).best());
        let is_this = |checkpoint: &Checkpoint| {
            let hash = checkpoint_sha256(checkpoint, device);
            hash.is_ok_and(|hash| hash == self.weights_sha256)
        };
        places(&self.path, &self.stage)
            .into_iter()
            .chain(beside)
            .filter(|path| Checkpoint::is_at(path))
            .filter_map(|path| Checkpoint::open(&path).ok())
            .find(is_this)
    }
}

/// Where a checkpoint of `stage` may lie if `path` is named: the run, the stage's directory, or that of the checkpoint itself.
pub(crate) fn places(path: &Path, stage: &str) -> [PathBuf; 3] {
    [
        RunDir::at(path).stage(stage).best(),
        path.join("checkpoints").join("best"),
        path.to_owned(),
    ]
}

/// `pretrain_autoencoder_mae after step 400, runs/mine (1a2b3c4d)`.
impl fmt::Display for Provenance {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path, stage, step, ..
        } = self;
        let hash: String = self.weights_sha256.chars().take(8).collect();
        write!(
            out,
            "{stage} after step {step}, {} ({hash})",
            path.display()
        )
    }
}

/// What a stage begins with.
pub(crate) enum Init {
    /// New weights.
    New,
    /// Those of a checkpoint that was named as `path`.
    Of {
        /// As it was named.
        path: PathBuf,
        /// What was found there.
        checkpoint: Box<Checkpoint>,
    },
    /// It goes on from its own last checkpoint.
    Last(Box<Checkpoint>),
}

impl Init {
    /// The weights at hand.
    pub(crate) fn checkpoint(&self) -> Option<&Checkpoint> {
        match self {
            Self::New => None,
            Self::Of { checkpoint, .. } | Self::Last(checkpoint) => Some(checkpoint),
        }
    }

    /// What a stage that goes on began with once.
    pub(crate) fn earlier(&self) -> Option<&Provenance> {
        match self {
            Self::Last(last) => last.context.origin.as_ref(),
            Self::New | Self::Of { .. } => None,
        }
    }

    pub(crate) fn origin(&self, device: &Device) -> Result<Option<Provenance>, TrainerError> {
        match self {
            Self::Of { path, checkpoint } => Provenance::of(checkpoint, path, device).map(Some),
            Self::New | Self::Last(_) => Ok(self.earlier().cloned()),
        }
    }
}
