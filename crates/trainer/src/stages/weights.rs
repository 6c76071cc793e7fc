//! The weights of a checkpoint of any stage.

use std::path::Path;

use burn::tensor::Device;

use crate::error::TrainerError;
use crate::run::checkpoint::Checkpoint;
use crate::run::exported::write_exported;
use crate::settings::stage::Stage;
use crate::training::weights::{NamedWeights, sha256_of};

/// [`weights_sha256`](crate::weights_sha256) of the model of `checkpoint`.
pub(crate) fn checkpoint_sha256(
    checkpoint: &Checkpoint,
    device: &Device,
) -> Result<String, TrainerError> {
    Ok(sha256_of(&weights_of(checkpoint, device)?))
}

/// Writes the model of `checkpoint` to `path` as safetensors: f32, row-major, named by their place in the model.
///
/// Metadata: `stage` and `step`; `experiment`, its settings as TOML; `stft`, `sample_rate_hz` and `normalization` (of
/// log1p magnitudes) as JSON, which lead from sound to input; `parameters`, where the model estimates some, the list
/// under `params` of a `params.json`, in the order of the outputs; `provenance`, the weights that the stage was initialised
/// from, as in `summary.json`.
///
/// # Errors
/// The checkpoint can't be read, or the file can't be written.
pub fn export(checkpoint: &Checkpoint, path: &Path, device: &Device) -> Result<(), TrainerError> {
    let weights = weights_of(checkpoint, device)?;
    write_exported(checkpoint, &weights, path)
}

fn weights_of(checkpoint: &Checkpoint, device: &Device) -> Result<Vec<NamedWeights>, TrainerError> {
    let stage: Stage = checkpoint.context.stage.parse()?;
    stage.spec().weights(checkpoint, device)
}
