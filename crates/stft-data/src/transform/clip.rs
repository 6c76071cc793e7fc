use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::audio::{MAX_RATE_HZ, MIN_RATE_HZ};
use crate::error::DataError;
use crate::transform::random::below;

/// Longest clip, in samples: 25 minutes at 44.1 kHz. One batch of longer ones would fill the memory.
const MAX_SAMPLES: usize = 1 << 26;

/// Length and sample rate of the clips that models are given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipConfig {
    /// Length, in seconds. One second holds most one-shots and keeps the attack in view.
    pub seconds: f32,
    /// Rate that every sound is resampled to, in Hz. By default the rate of the embedded synthesizer.
    pub sample_rate_hz: u32,
}

impl Default for ClipConfig {
    fn default() -> Self {
        ClipConfig {
            seconds: 1.0,
            sample_rate_hz: 16_384,
        }
    }
}

impl ClipConfig {
    /// Length in samples, rounded to the nearest.
    pub fn samples(&self) -> usize {
        (f64::from(self.seconds) * f64::from(self.sample_rate_hz)).round() as usize
    }

    pub(crate) fn validate(&self) -> Result<(), DataError> {
        if !(MIN_RATE_HZ..=MAX_RATE_HZ).contains(&self.sample_rate_hz) {
            return Err(DataError::config(
                "clip.sample_rate_hz",
                format!("from {MIN_RATE_HZ} to {MAX_RATE_HZ}"),
                self.sample_rate_hz,
            ));
        }
        if !(self.seconds.is_finite() && self.samples() >= 1) {
            return Err(DataError::config(
                "clip.seconds",
                "at least one sample long",
                self.seconds,
            ));
        }
        if self.samples() > MAX_SAMPLES {
            return Err(DataError::config(
                "clip.seconds",
                format!("at most {MAX_SAMPLES} samples long"),
                self.seconds,
            ));
        }
        Ok(())
    }
}

/// A piece of a sound of the length of [`ClipConfig`].
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    /// Samples; zeros after the valid ones.
    pub samples: Vec<f32>,
    /// Number of samples of sound, from the left; the rest is padding.
    pub valid_samples: usize,
}

/// Cuts `length` samples at a uniformly drawn position, or pads a shorter sound on the right.
pub(crate) fn cut(sound: &[f32], length: usize, rng: &mut ChaCha8Rng) -> Clip {
    if sound.len() <= length {
        return beginning(sound, length);
    }
    let start = below(rng, sound.len() - length + 1);
    Clip {
        samples: sound[start..start + length].to_vec(),
        valid_samples: length,
    }
}

/// Cuts the first `length` samples, or pads a shorter sound on the right.
pub(crate) fn beginning(sound: &[f32], length: usize) -> Clip {
    let valid_samples = sound.len().min(length);
    let mut samples = sound[..valid_samples].to_vec();
    samples.resize(length, 0.0);
    Clip {
        samples,
        valid_samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use params::keyed_rng;

    #[test]
    fn a_long_sound_is_cut_inside_and_every_position_is_reached() {
        let sound: Vec<f32> = (0..25).map(|n| n as f32 + 1.0).collect();
        let mut starts = [0; 8];
        for key in 0..800 {
            let clip = cut(&sound, 18, &mut keyed_rng([key, 0, 0, 0]));
            let start = clip.samples[0] as usize - 1;
            assert_eq!(clip.samples, sound[start..start + 18]);
            assert_eq!(clip.valid_samples, 18);
            starts[start] += 1;
        }
        assert!(
            starts.iter().all(|&count| (60..=140).contains(&count)),
            "{starts:?}"
        );
    }

    #[test]
    fn a_short_sound_is_padded_on_the_right() {
        let clip = cut(&[1.0, 2.0, 3.0], 5, &mut keyed_rng([0; 4]));
        assert_eq!(
            clip,
            Clip {
                samples: vec![1.0, 2.0, 3.0, 0.0, 0.0],
                valid_samples: 3
            }
        );
        let clip = cut(&[1.0, 2.0, 3.0], 3, &mut keyed_rng([0; 4]));
        assert_eq!(
            clip,
            Clip {
                samples: vec![1.0, 2.0, 3.0],
                valid_samples: 3
            }
        );
    }

    #[test]
    fn an_impossible_length_is_refused() {
        for (seconds, sample_rate_hz) in [
            (0.0, 8_000),
            (-1.0, 8_000),
            (f32::NAN, 8_000),
            (1.0, 0),
            (1e-5, 8_000),
            (1.0, 99),
            (1.0, 768_001),
            (f32::INFINITY, 8_000),
            (1e12, 8_000),
            (8_400.0, 8_000),
        ] {
            assert!(
                ClipConfig {
                    seconds,
                    sample_rate_hz
                }
                .validate()
                .is_err()
            );
        }
        assert_eq!(
            ClipConfig {
                seconds: 0.05,
                sample_rate_hz: 44_100
            }
            .samples(),
            2205
        );
    }
}
