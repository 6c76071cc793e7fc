//! The tasks: one file for each kind of objective.

mod autoencoder;
mod contrastive;
mod patches;

pub use autoencoder::MaskedAutoencoder;
pub use contrastive::ContrastivePretraining;
pub use patches::{PatchReconstruction, SpectralObjective, Start};

/// What models that reconstruct have to beat.
const MEAN_SPECTROGRAM: &str = "mean spectrogram";
