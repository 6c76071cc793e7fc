//! Errors of rendering.

use params::ParamError;
use thiserror::Error;

/// An error in a patch or a sample rate.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SynthError {
    /// The patch doesn't fit the parameters of the voice.
    #[error("the patch does not fit the voice")]
    Patch(#[from] ParamError),
    /// The sample rate is too low for the highest oscillator.
    #[error("the sample rate is {got_hz} Hz: the voice needs at least {min_hz} Hz")]
    SampleRate {
        /// The lowest supported rate, in Hz.
        min_hz: u32,
        /// The given rate, in Hz.
        got_hz: u32,
    },
}
