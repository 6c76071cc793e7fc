use serde::{Deserialize, Serialize};

use crate::decode::unusable::Unusable;
use crate::error::DataError;

/// Limits beyond which a sound file is rejected: a hostile file of some kilobytes may decode to hours.
///
/// Decoding a file takes 4 bytes for each sample of one channel, by default 110 MiB at most. Resampling
/// needs memory for the result in addition: `max_seconds` at the clips' rate, 101 MiB at 44,100 Hz. As
/// many files are decoded at once as there are threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeLimits {
    /// Longest sound, in seconds, at any rate. Default: ten minutes, far longer than any note.
    pub max_seconds: f32,
    /// Longest sound, in samples of one channel; bounds the size of sounds at high rates. Default:
    /// 28,800,000, ten minutes at 48 kHz.
    pub max_samples: usize,
    /// Most channels. Default: eight, the widest layout in common use (7.1).
    pub max_channels: u16,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            max_seconds: 600.0,
            max_samples: 28_800_000,
            max_channels: 8,
        }
    }
}

impl DecodeLimits {
    /// Most samples at a rate, by both limits, and the reason to reject a longer sound.
    pub(crate) fn at(&self, rate_hz: u32) -> (usize, Unusable) {
        let DecodeLimits {
            max_seconds,
            max_samples,
            ..
        } = *self;
        let seconds_samples = (f64::from(max_seconds) * f64::from(rate_hz)) as usize;
        if seconds_samples <= max_samples {
            (seconds_samples, Unusable::TooLong { max_seconds })
        } else {
            (max_samples, Unusable::TooManySamples { max_samples })
        }
    }

    pub(crate) fn validate(&self) -> Result<(), DataError> {
        if !(self.max_seconds.is_finite() && self.max_seconds > 0.0) {
            return Err(DataError::config(
                "decode.max_seconds",
                "a positive number of seconds",
                self.max_seconds,
            ));
        }
        if self.max_samples == 0 {
            return Err(DataError::config(
                "decode.max_samples",
                "at least 1",
                self.max_samples,
            ));
        }
        if self.max_channels == 0 {
            return Err(DataError::config(
                "decode.max_channels",
                "at least 1",
                self.max_channels,
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_limits_are_refused_by_name() {
        let usual = DecodeLimits::default();
        for (limits, name) in [
            (
                DecodeLimits {
                    max_seconds: 0.0,
                    ..usual
                },
                "decode.max_seconds",
            ),
            (
                DecodeLimits {
                    max_seconds: f32::NAN,
                    ..usual
                },
                "decode.max_seconds",
            ),
            (
                DecodeLimits {
                    max_samples: 0,
                    ..usual
                },
                "decode.max_samples",
            ),
            (
                DecodeLimits {
                    max_channels: 0,
                    ..usual
                },
                "decode.max_channels",
            ),
        ] {
            let error = limits.validate().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(usual.validate().is_ok());
    }
}
