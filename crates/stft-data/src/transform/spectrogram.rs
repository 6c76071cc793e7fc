use realfft::num_complex::Complex;
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// Largest transform: two seconds at 32 kHz, beyond which hardly any resolution in time is left.
const MAX_N_FFT: usize = 65_536;

/// Sizes of the short-time Fourier transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StftConfig {
    /// Length of the transform in samples; any length of 2 or more, odd ones too. 512 samples of
    /// 16,384 Hz resolve 32 Hz, a semitone at 540 Hz.
    pub n_fft: usize,
    /// Step between frames, in samples. A quarter of the window keeps the transform invertible.
    pub hop_length: usize,
    /// Length of the Hann window in samples, centred in the frame; `n_fft` if absent.
    pub win_length: Option<usize>,
}

impl Default for StftConfig {
    fn default() -> Self {
        StftConfig {
            n_fft: 512,
            hop_length: 128,
            win_length: None,
        }
    }
}

impl StftConfig {
    /// Number of frequency bins, `n_fft / 2 + 1`; bin `k` lies at `k · rate / n_fft` Hz.
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Number of frames of a signal of `samples > 0` samples: `1 + samples / hop_length`, as in
    /// `torch.stft(center=True)`. With an odd `n_fft` the padding, `n_fft / 2` on each side, is one
    /// sample less than the transform, and the number is `1 + (samples - 1) / hop_length`.
    pub fn frames(&self, samples: usize) -> usize {
        assert!(
            samples > 0,
            "the STFT of a signal: expected at least one sample, got 0"
        );
        1 + (samples - self.n_fft % 2) / self.hop_length
    }

    /// Checks that a transform of these sizes exists.
    ///
    /// # Errors
    /// [`DataError::Config`] with the field, its value and what is expected.
    pub fn validate(&self) -> Result<(), DataError> {
        if !(2..=MAX_N_FFT).contains(&self.n_fft) {
            return Err(DataError::config(
                "stft.n_fft",
                format!("from 2 to {MAX_N_FFT}"),
                self.n_fft,
            ));
        }
        let win_length = self.window_length();
        if win_length == 0 || win_length > self.n_fft {
            let expected = format!("from 1 to n_fft = {}", self.n_fft);
            return Err(DataError::config("stft.win_length", expected, win_length));
        }
        if self.hop_length == 0 || self.hop_length > win_length {
            let expected = format!(
                "from 1 to the window's {win_length} samples, or sound is lost between frames"
            );
            return Err(DataError::config(
                "stft.hop_length",
                expected,
                self.hop_length,
            ));
        }
        Ok(())
    }

    /// Samples under the window: `win_length`, or `n_fft` without it.
    pub fn window_length(&self) -> usize {
        self.win_length.unwrap_or(self.n_fft)
    }
}

/// Real values over frequency and time, row-major `[bins, frames]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrogram {
    /// `bins · frames` values; the one of bin `k` in frame `t` is at `k · frames + t`.
    pub values: Vec<f32>,
    /// Number of frequency bins.
    pub bins: usize,
    /// Number of frames.
    pub frames: usize,
}

/// Complex values over frequency and time, row-major `[bins, frames]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ComplexSpectrogram {
    /// `bins · frames` values; the one of bin `k` in frame `t` is at `k · frames + t`.
    pub values: Vec<Complex<f32>>,
    /// Number of frequency bins.
    pub bins: usize,
    /// Number of frames.
    pub frames: usize,
}
