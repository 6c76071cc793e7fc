//! From samples to masked spectrograms: resampling, clips, the STFT, scales, normalisation and masks.

pub(crate) mod clip;
pub(crate) mod mask;
pub(crate) mod normalize;
pub(crate) mod random;
pub(crate) mod resample;
pub(crate) mod scale;
pub(crate) mod spectrogram;
pub(crate) mod statistics;
pub(crate) mod stft;
mod window;
