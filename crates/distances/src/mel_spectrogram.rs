//! Mel spectrograms.

use crate::mel::MelFilterbank;
use crate::transform::{Grid, ZeroPaddedStft};

/// Planned mel spectrogram: power in mel filters over time, `librosa.feature.melspectrogram(power=2.0)`.
#[derive(Debug)]
pub(crate) struct MelSpectrogram {
    stft: ZeroPaddedStft,
    bank: MelFilterbank,
}

/// Frames and filters of a mel spectrogram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MelScale {
    pub(crate) window_ms: u32,
    pub(crate) hop_ms: u32,
    pub(crate) n_mels: usize,
}

impl MelSpectrogram {
    pub(crate) fn new(sample_rate_hz: u32, scale: MelScale) -> MelSpectrogram {
        let stft = ZeroPaddedStft::new(sample_rate_hz, scale.window_ms, scale.hop_ms);
        let bank = MelFilterbank::new(sample_rate_hz, stft.n_fft(), scale.n_mels);
        MelSpectrogram { stft, bank }
    }

    /// Number of frames of a sound of `samples > 0` samples.
    pub(crate) fn frames(&self, samples: usize) -> usize {
        self.stft.frames(samples)
    }

    /// `[n_mels, frames]`.
    pub(crate) fn power(&self, signal: &[f32]) -> Grid {
        self.bank.apply(&self.stft.power(signal))
    }
}
