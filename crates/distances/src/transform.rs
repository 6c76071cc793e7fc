//! Short-time Fourier transforms.

use realfft::num_complex::Complex;
use stft_data::{Stft, StftConfig};

/// Non-negative values over frequency and time, row-major `[bins, frames]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grid {
    /// The value of bin `k` in frame `t` is at `k · frames + t`.
    pub(crate) values: Vec<f64>,
    pub(crate) frames: usize,
}

impl Grid {
    /// The bins, lowest first, each with its values over time.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.frames)
    }
}

/// Short-time Fourier transform with silence beyond both ends of the sound, as in
/// `librosa.stft(center=True, pad_mode="constant", window="hann")`.
///
/// It uses `stft_data::Stft`, which reflects the sound at its ends. The sound is padded with enough zeros
/// that no used frame touches the reflection; those in front are a whole number of hops, so that the frames
/// stay aligned.
#[derive(Debug)]
pub(crate) struct ZeroPaddedStft {
    stft: Stft,
}

impl ZeroPaddedStft {
    /// Plans frames of `window_ms`, `hop_ms` apart, both rounded down to whole samples. The
    /// transform is as long as the window.
    pub(crate) fn new(sample_rate_hz: u32, window_ms: u32, hop_ms: u32) -> ZeroPaddedStft {
        let config = StftConfig {
            n_fft: whole_samples(sample_rate_hz, window_ms),
            hop_length: whole_samples(sample_rate_hz, hop_ms),
            win_length: None,
        };
        let stft = Stft::new(&config)
            .unwrap_or_else(|error| panic!("the sample rate was checked, but: {error}"));
        ZeroPaddedStft { stft }
    }

    pub(crate) fn n_fft(&self) -> usize {
        self.stft.config().n_fft
    }

    /// Number of frames of a sound of `samples > 0` samples.
    pub(crate) fn frames(&self, samples: usize) -> usize {
        self.stft.config().frames(samples)
    }

    /// `|X[k, t]|²`, `[n_fft / 2 + 1, frames]`.
    pub(crate) fn power(&self, signal: &[f32]) -> Grid {
        // Squared in f64: the square of a sample of 1e-23 underflows in f32.
        self.map(signal, |x| {
            f64::from(x.re) * f64::from(x.re) + f64::from(x.im) * f64::from(x.im)
        })
    }

    /// `|X[k, t]|`, `[n_fft / 2 + 1, frames]`.
    pub(crate) fn magnitude(&self, signal: &[f32]) -> Grid {
        let mut grid = self.power(signal);
        grid.values
            .iter_mut()
            .for_each(|value| *value = value.sqrt());
        grid
    }

    fn map(&self, signal: &[f32], value: impl Fn(&Complex<f32>) -> f64) -> Grid {
        let StftConfig {
            n_fft, hop_length, ..
        } = *self.stft.config();
        let hops_before = (n_fft / 2).div_ceil(hop_length);
        let before = hops_before * hop_length;
        let mut padded = vec![0.0; before + signal.len() + n_fft];
        padded[before..before + signal.len()].copy_from_slice(signal);
        let spectrum = self.stft.forward(&padded);
        let frames = self.frames(signal.len());
        let mut values = Vec::with_capacity(spectrum.bins * frames);
        for row in spectrum.values.chunks_exact(spectrum.frames) {
            values.extend(row[hops_before..hops_before + frames].iter().map(&value));
        }
        Grid { values, frames }
    }
}

/// Whole samples in `ms` milliseconds, rounded down as `int(ms * rate / 1000)` does.
pub(crate) fn whole_samples(sample_rate_hz: u32, ms: u32) -> usize {
    (u64::from(sample_rate_hz) * u64::from(ms) / 1000) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, without a fast transform.
    fn direct(signal: &[f32], n_fft: usize, hop: usize, k: usize, t: usize) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for n in 0..n_fft {
            let at = (t * hop + n) as isize - (n_fft / 2) as isize;
            let Some(&x) = usize::try_from(at).ok().and_then(|at| signal.get(at)) else {
                continue;
            };
            let turn = std::f64::consts::TAU * n as f64 / n_fft as f64;
            let windowed = f64::from(x) * (0.5 - 0.5 * turn.cos());
            re += windowed * (turn * k as f64).cos();
            im -= windowed * (turn * k as f64).sin();
        }
        (re * re + im * im).sqrt()
    }

    #[test]
    fn beyond_both_ends_is_silence() {
        let mut checked = 0;
        // Even and odd windows; hops that do and don't divide half of one, or are longer.
        for (rate_hz, window_ms, hop_ms) in [
            (1_000, 24, 6),
            (1_000, 25, 10),
            (1_100, 30, 13),
            (1_000, 24, 20),
        ] {
            let stft = ZeroPaddedStft::new(rate_hz, window_ms, hop_ms);
            let hop = stft.stft.config().hop_length;
            for samples in [1, 2, 7, 30, 95] {
                // Values at the ends are large, so a reflection would show.
                let signal: Vec<f32> = (0..samples).map(|n| 1.0 + (n % 3) as f32).collect();
                let grid = stft.magnitude(&signal);
                assert_eq!(grid.frames, stft.frames(samples));
                for (k, row) in grid.rows().enumerate() {
                    for (t, &value) in row.iter().enumerate() {
                        let expected = direct(&signal, stft.n_fft(), hop, k, t);
                        assert!(
                            (value - expected).abs() < 1e-4,
                            "{samples} samples, bin {k}, frame {t}: {value}, expected {expected}"
                        );
                        checked += 1;
                    }
                }
            }
        }
        assert!(checked > 500, "{checked}");
    }

    #[test]
    fn zeros_at_the_end_change_none_of_the_earlier_frames() {
        let stft = ZeroPaddedStft::new(1_000, 25, 10);
        let mut signal: Vec<f32> = (0..123).map(|n| (n as f32 * 0.7).sin()).collect();
        let short = stft.power(&signal);
        signal.resize(200, 0.0);
        let long = stft.power(&signal);
        for (short, long) in short.rows().zip(long.rows()) {
            assert_eq!(short, &long[..short.len()]);
        }
    }

    #[test]
    fn milliseconds_are_rounded_down_to_samples() {
        assert_eq!(whole_samples(44_100, 25), 1_102);
        assert_eq!(whole_samples(16_384, 10), 163);
        assert_eq!(whole_samples(u32::MAX, 100), 429_496_729);
    }
}
