//! Why a patch could not be rendered.

use params::ParamError;
use thiserror::Error;

use crate::Voice;

/// A fault in what the voice was asked to render.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SynthError {
    /// The patch does not fit the voice's parameters.
    #[error("the patch does not fit the voice")]
    Patch(#[from] ParamError),
    /// A sample rate below what the highest oscillator needs.
    #[error("the sample rate is {got_hz} Hz: the voice needs at least {min_hz} Hz")]
    SampleRate {
        /// The lowest possible rate, in Hz.
        min_hz: u32,
        /// The rate, in Hz.
        got_hz: u32,
    },
}

/// A voice that doesn't exist.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no voice `{0}`: expected {names}", names = Voice::ALL.map(Voice::name).join(" or "))]
pub struct UnknownVoice(pub(crate) String);
