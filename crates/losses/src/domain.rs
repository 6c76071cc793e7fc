//! Domains of the values that a loss compares.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Domain of a tensor's values; each loss is defined on some of them.
///
/// Each one is computed from the one before: a waveform's STFT has magnitudes, their `log1p` is what a
/// data set stores, and a network's input is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// Samples of sound, `[batch, samples]`.
    Waveform,
    /// STFT magnitudes, not negative.
    Magnitude,
    /// `ln(1 + magnitude)`, not negative.
    Log1p,
    /// `log1p` magnitudes minus the training data's mean, divided by its deviation: of both signs.
    Normalised,
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Domain::Waveform => "waveforms",
            Domain::Magnitude => "magnitudes",
            Domain::Log1p => "log1p magnitudes",
            Domain::Normalised => "normalised spectrograms",
        })
    }
}

impl Domain {
    /// The conversion of values of this domain to another one.
    pub(crate) fn conversion_to(self, wanted: Domain) -> &'static str {
        use Domain::{Log1p, Magnitude, Normalised, Waveform};
        match (self, wanted) {
            (Waveform, Magnitude) => "take the magnitudes of the STFT first",
            (Waveform, Log1p) => "take ln(1 + magnitude) of the STFT first",
            (Waveform, Normalised) => {
                "take ln(1 + magnitude) of the STFT and normalise it by mean and deviation first"
            }
            (Magnitude, Log1p) => "take ln(1 + x) first",
            (Magnitude, Normalised) => {
                "take ln(1 + x) and normalise it by mean and deviation first"
            }
            (Log1p, Magnitude) => "take exp(x) - 1 first",
            (Log1p, Normalised) => "normalise by mean and deviation first",
            (Normalised, Magnitude) => "undo the normalisation and take exp(x) - 1 first",
            (Normalised, Log1p) => "undo the normalisation (x * deviation + mean) first",
            (Magnitude | Log1p | Normalised, Waveform) => {
                "a spectrogram without phases has no waveform, so give it the sound instead"
            }
            (Waveform, Waveform)
            | (Magnitude, Magnitude)
            | (Log1p, Log1p)
            | (Normalised, Normalised) => "no conversion is missing",
        }
    }
}
