//! The tasks: one file for each kind of objective.

mod autoencoder;
mod contrastive;
mod parameters;
mod patches;
mod spectral;

pub use autoencoder::SpectrogramAutoencoder;
pub use contrastive::ContrastivePretraining;
pub use parameters::ParameterEstimation;
pub use patches::{PatchReconstruction, Trained};
pub use spectral::SpectralObjective;
