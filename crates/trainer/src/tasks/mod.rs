//! The tasks: one file for each kind of stage.

mod autoencoder;

pub use autoencoder::MaskedAutoencoder;
