//! The record of the weights that a stage was initialised from.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::parameters::head_transfer::HeadTransfer;

/// The weights that a stage was initialised from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The run, stage or checkpoint as the user named it; the checkpoint, where it was found in the same run.
    pub path: PathBuf,
    /// The stage that trained them.
    pub stage: String,
    /// Its optimizer steps.
    pub step: u64,
    /// Hash over the sorted names and bytes of all weights of the checkpoint.
    pub weights_sha256: String,
    /// What was transferred to parameter heads, where the checkpoint has heads too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<HeadTransfer>,
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
