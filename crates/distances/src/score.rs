//! The panel of distances.

use serde::Serialize;
use stft_data::{Audio, MAX_SAMPLE};

use crate::decibel::{mean_difference, relative_to_maximum, relative_to_one};
use crate::dtw::dtw;
use crate::envelope;
use crate::error::DistanceError;
use crate::mel_spectrogram::{MelScale, MelSpectrogram};
use crate::mfcc::mfcc;
use crate::transform::{Grid, ZeroPaddedStft};
use crate::transport::spectral_transport;

/// Lowest rate at which each filter of the panel contains at least one bin.
const MIN_RATE_HZ: u32 = 4_000;
/// Lowest rate at which windows of 50 ms resolve a useful spectrum.
const MIN_RATE_WITHOUT_MELS_HZ: u32 = 1_000;
/// Highest rate at which `stft_data` can plan a transform of the longest window.
const MAX_RATE_HZ: u32 = 655_360;

/// The three scales of MSS.
const MSS_SCALES: [MelScale; 3] = [
    MelScale {
        window_ms: 10,
        hop_ms: 5,
        n_mels: 32,
    },
    MelScale {
        window_ms: 25,
        hop_ms: 10,
        n_mels: 64,
    },
    MelScale {
        window_ms: 100,
        hop_ms: 50,
        n_mels: 128,
    },
];

/// The mel spectrogram under the MFCCs, and of `logmel_l1`.
const CEPSTRAL_SCALE: MelScale = MelScale {
    window_ms: 50,
    hop_ms: 10,
    n_mels: 128,
};
const N_MFCC: usize = 20;

const TRANSPORT_WINDOW_MS: u32 = 50;
const TRANSPORT_HOP_MS: u32 = 20;

/// Distances between a target and an estimate. All are finite.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Multi-scale spectral distance, in dB, 0 to 80; see [`Panel::mss`].
    pub mss: f64,
    /// Warped distance of MFCCs, 0 or more; see [`Panel::wmfcc`].
    pub wmfcc: f64,
    /// Spectral optimal transport, 0 to 1 of half the sample rate; see [`Panel::sot`].
    pub sot: f64,
    /// Similarity of amplitude envelopes, 1 for the same; see [`Panel::rms_cosine`].
    pub rms_cosine: f64,
    /// Distance of log-mel spectrograms, in dB, 0 or more; see [`Panel::logmel_l1`].
    pub logmel_l1: f64,
}

/// Scores one pair. To score many, plan a [`Panel`] once.
///
/// # Errors
/// As [`Panel::new`] and [`Panel::score`]. Sounds of different sample rates are not compared: resample one
/// of them, and mention it where you report the figures.
pub fn score(target: &Audio, estimate: &Audio) -> Result<Score, DistanceError> {
    Panel::new(target.sample_rate_hz)?.score(target, estimate)
}

/// [`Panel::sot`] of one pair. It needs no mel filters, so it supports rates from 1 kHz.
///
/// # Errors
/// [`DistanceError::UnsupportedRate`] beyond 1 to 655.36 kHz, and as [`Panel::score`].
pub fn sot(target: &Audio, estimate: &Audio) -> Result<f64, DistanceError> {
    let rate_hz = target.sample_rate_hz;
    check_rate(rate_hz, MIN_RATE_WITHOUT_MELS_HZ)?;
    let pair = Pair::new(rate_hz, target, estimate)?;
    Ok(sot_by(&transport(rate_hz), &pair))
}

/// [`Panel::rms_cosine`] of one pair. It needs no mel filters, so it supports rates from 1 kHz.
///
/// # Errors
/// As [`sot`].
pub fn rms_cosine(target: &Audio, estimate: &Audio) -> Result<f64, DistanceError> {
    let rate_hz = target.sample_rate_hz;
    check_rate(rate_hz, MIN_RATE_WITHOUT_MELS_HZ)?;
    let pair = Pair::new(rate_hz, target, estimate)?;
    Ok(envelope::rms_cosine(&pair.target, &pair.estimate, rate_hz))
}

fn check_rate(got_hz: u32, min_hz: u32) -> Result<(), DistanceError> {
    if (min_hz..=MAX_RATE_HZ).contains(&got_hz) {
        return Ok(());
    }
    Err(DistanceError::UnsupportedRate {
        got_hz,
        min_hz,
        max_hz: MAX_RATE_HZ,
    })
}

fn transport(sample_rate_hz: u32) -> ZeroPaddedStft {
    ZeroPaddedStft::new(sample_rate_hz, TRANSPORT_WINDOW_MS, TRANSPORT_HOP_MS)
}

fn sot_by(stft: &ZeroPaddedStft, pair: &Pair) -> f64 {
    let [target, estimate] = pair.map(|sound| stft.magnitude(sound));
    spectral_transport(&target, &estimate)
}

/// The distances, with windows, filters and transforms planned for one sample rate.
///
/// Unless said otherwise, definitions are those of Hayes, Saitis and Fazekas 2025, "Audio
/// synthesizer inversion in symmetric parameter spaces with approximately equivariant flow matching"
/// (ISMIR), section 4.2.2, with the sizes of their published code, which uses librosa: Hann windows, a transform
/// as long as the window, frames centred from the first sample on, silence beyond both ends.
///
/// The shorter of two sounds is padded with silence to the length of the longer one, except in
/// [`wmfcc`](Panel::wmfcc), whose warping accepts any two lengths. (The published code accepts equal lengths
/// only, and compares stereo sounds; sounds have one channel here.)
#[derive(Debug)]
pub struct Panel {
    sample_rate_hz: u32,
    mss: [MelSpectrogram; 3],
    cepstral: MelSpectrogram,
    transport: ZeroPaddedStft,
}

impl Panel {
    /// Plans the panel for a sample rate.
    ///
    /// # Errors
    /// [`DistanceError::UnsupportedRate`] beyond 4 to 655.36 kHz: at lower rates some mel filters would contain
    /// no bin, at higher rates the transforms would be too long.
    pub fn new(sample_rate_hz: u32) -> Result<Panel, DistanceError> {
        check_rate(sample_rate_hz, MIN_RATE_HZ)?;
        Ok(Panel {
            sample_rate_hz,
            mss: MSS_SCALES.map(|scale| MelSpectrogram::new(sample_rate_hz, scale)),
            cepstral: MelSpectrogram::new(sample_rate_hz, CEPSTRAL_SCALE),
            transport: transport(sample_rate_hz),
        })
    }

    /// The sample rate of the panel.
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// Computes all distances.
    ///
    /// # Errors
    /// [`DistanceError::SampleRate`] if the rate of a sound differs from the panel's,
    /// [`DistanceError::Empty`] if it has no samples, [`DistanceError::ImpossibleSample`] if one is not finite
    /// or beyond [`MAX_SAMPLE`].
    pub fn score(&self, target: &Audio, estimate: &Audio) -> Result<Score, DistanceError> {
        let pair = Pair::new(self.sample_rate_hz, target, estimate)?;
        let mels = pair.map(|sound| self.cepstral.power(sound));
        Ok(Score {
            mss: self.mss_of(&pair),
            wmfcc: self.wmfcc_of(&pair, &mels),
            sot: self.sot_of(&pair),
            rms_cosine: envelope::rms_cosine(&pair.target, &pair.estimate, self.sample_rate_hz),
            logmel_l1: logmel_l1_of(mels),
        })
    }

    /// Multi-scale spectral distance: the mean over three resolutions of the mean absolute difference
    /// of log-mel spectrograms, each in dB relative to its own sound's maximum.
    ///
    /// ```text
    /// MSS = 1/3 Σ_s mean_{m,t} |L_s(target)[m, t] - L_s(estimate)[m, t]|
    /// L_s = max(10 log10(P_s / max P_s), -80),   P_s mel power at (window, hop, mels)_s
    /// s:  (10 ms, 5 ms, 32),  (25 ms, 10 ms, 64),  (100 ms, 50 ms, 128)
    /// ```
    ///
    /// A metric up to gain: scaling a sound changes nothing. Silence is -80 dB everywhere.
    ///
    /// Differs from the paper: its code raises powers to 1e-10 before it divides by the maximum. That is
    /// the same unless the mel power of a sound never reaches 0.01 (a tone of -40 dB of full scale, noise of
    /// -25 dB). Below, its floor rises as the gain falls, until silence is 0 dB everywhere, like steady noise.
    ///
    /// # Errors
    /// As [`score`](Panel::score).
    pub fn mss(&self, target: &Audio, estimate: &Audio) -> Result<f64, DistanceError> {
        Ok(self.mss_of(&Pair::new(self.sample_rate_hz, target, estimate)?))
    }

    /// Warped MFCC distance: dynamic time warping between sequences of 20 MFCCs, of 50 ms windows every
    /// 10 ms, from 128 mel filters.
    ///
    /// ```text
    /// wMFCC = min over paths Σ weight · mean_i |C_target[t, i] - C_estimate[u, i]| / (N + M)
    /// ```
    ///
    /// MFCCs are those of `librosa.feature.mfcc` (levels in dB relative to a power of 1, at least -100 dB and at
    /// most 80 dB below the loudest; orthonormal DCT-II); paths and weights are those of [`dtw`]. `C_0` is
    /// included, so level matters. Symmetric; the triangle inequality does not hold.
    ///
    /// # Errors
    /// As [`score`](Panel::score).
    pub fn wmfcc(&self, target: &Audio, estimate: &Audio) -> Result<f64, DistanceError> {
        let pair = Pair::new(self.sample_rate_hz, target, estimate)?;
        let mels = pair.map(|sound| self.cepstral.power(sound));
        Ok(self.wmfcc_of(&pair, &mels))
    }

    /// Spectral optimal transport: the mean over frames (50 ms every 20 ms) of the 1-Wasserstein distance
    /// between magnitude spectra scaled to a sum of 1.
    ///
    /// ```text
    /// SOT = mean_t  1/K Σ_k | Σ_{j <= k} (p[j, t] - q[j, t]) |,     p[k, t] = |X[k, t]| / max(Σ_k |X[k, t]|, 1e-6)
    /// ```
    ///
    /// The unit is half the sample rate: a partial that is 1 % of 22.05 kHz too high costs 0.01. Multiply by
    /// half the rate for Hz. A metric that is independent of gain in each frame. Two silent frames have a
    /// distance of 0. If only one is silent, it counts as if its mass were just above the highest bin, as in the
    /// published code: far from low sounds, near high ones.
    ///
    /// # Errors
    /// As [`score`](Panel::score).
    pub fn sot(&self, target: &Audio, estimate: &Audio) -> Result<f64, DistanceError> {
        Ok(self.sot_of(&Pair::new(self.sample_rate_hz, target, estimate)?))
    }

    /// Similarity of amplitude envelopes: the cosine between root mean squares of 50 ms windows every 25 ms.
    ///
    /// ```text
    /// RMS = Σ_t r_target[t] r_estimate[t] / sqrt(Σ_t r_target[t]² · Σ_t r_estimate[t]²)
    /// ```
    ///
    /// 1 for the same envelope at any gain, 0 for sounds that never overlap in time. Two silent sounds have 1,
    /// silence and a sound have 0 (the published code divides by zero). Symmetric.
    ///
    /// # Errors
    /// As [`score`](Panel::score).
    pub fn rms_cosine(&self, target: &Audio, estimate: &Audio) -> Result<f64, DistanceError> {
        let pair = Pair::new(self.sample_rate_hz, target, estimate)?;
        Ok(envelope::rms_cosine(
            &pair.target,
            &pair.estimate,
            self.sample_rate_hz,
        ))
    }

    /// Log-mel distance: the mean absolute difference in dB of 128 mel filters, of 50 ms windows every 10 ms,
    /// relative to a power of 1, at least -100 dB and at most 80 dB below the loudest of the sound.
    ///
    /// ```text
    /// logmel_l1 = mean_{m,t} |L(target)[m, t] - L(estimate)[m, t]|,     L = librosa.power_to_db(P, ref=1.0)
    /// ```
    ///
    /// It is not part of the panel of Hayes et al.: it is the plain distance of the spectrograms whose cosine
    /// transform [`wmfcc`](Panel::wmfcc) warps. Level matters, and time is not warped. A metric on
    /// spectrograms.
    ///
    /// # Errors
    /// As [`score`](Panel::score).
    pub fn logmel_l1(&self, target: &Audio, estimate: &Audio) -> Result<f64, DistanceError> {
        let pair = Pair::new(self.sample_rate_hz, target, estimate)?;
        Ok(logmel_l1_of(pair.map(|sound| self.cepstral.power(sound))))
    }

    fn mss_of(&self, pair: &Pair) -> f64 {
        let distances = self.mss.iter().map(|scale| {
            let [target, estimate] = pair.map(|sound| relative_to_maximum(scale.power(sound)));
            mean_difference(&target, &estimate)
        });
        distances.sum::<f64>() / self.mss.len() as f64
    }

    fn wmfcc_of(&self, pair: &Pair, mels: &[Grid; 2]) -> f64 {
        let coefficients = |mels: &Grid, samples: usize| {
            // Silence after the end doesn't change the frames before it, so the first ones are those of
            // the unpadded sound.
            let own = first_frames(mels, self.cepstral.frames(samples));
            mfcc(&relative_to_one(own), N_MFCC)
        };
        let target = coefficients(&mels[0], pair.target_samples);
        let estimate = coefficients(&mels[1], pair.estimate_samples);
        dtw(&target, &estimate, N_MFCC)
    }

    fn sot_of(&self, pair: &Pair) -> f64 {
        sot_by(&self.transport, pair)
    }
}

/// Two sounds of the same length, the shorter one padded with silence.
struct Pair {
    target: Vec<f32>,
    estimate: Vec<f32>,
    target_samples: usize,
    estimate_samples: usize,
}

impl Pair {
    /// Checks both sounds and pads the shorter one.
    fn new(sample_rate_hz: u32, target: &Audio, estimate: &Audio) -> Result<Self, DistanceError> {
        for (sound, audio) in [("target", target), ("estimate", estimate)] {
            check(sample_rate_hz, sound, audio)?;
        }
        let (target_samples, estimate_samples) = (target.samples.len(), estimate.samples.len());
        let padded = |audio: &Audio| {
            let mut samples = audio.samples.clone();
            samples.resize(target_samples.max(estimate_samples), 0.0);
            samples
        };
        Ok(Self {
            target: padded(target),
            estimate: padded(estimate),
            target_samples,
            estimate_samples,
        })
    }

    fn map<T>(&self, of: impl Fn(&[f32]) -> T) -> [T; 2] {
        [of(&self.target), of(&self.estimate)]
    }
}

fn logmel_l1_of(mels: [Grid; 2]) -> f64 {
    let [target, estimate] = mels.map(relative_to_one);
    mean_difference(&target, &estimate)
}

fn first_frames(grid: &Grid, frames: usize) -> Grid {
    Grid {
        values: grid
            .rows()
            .flat_map(|row| &row[..frames])
            .copied()
            .collect(),
        frames,
    }
}

fn check(expected_hz: u32, sound: &'static str, audio: &Audio) -> Result<(), DistanceError> {
    if audio.sample_rate_hz != expected_hz {
        return Err(DistanceError::SampleRate {
            sound,
            expected_hz,
            got_hz: audio.sample_rate_hz,
        });
    }
    if audio.samples.is_empty() {
        return Err(DistanceError::Empty { sound });
    }
    let impossible = |x: &f32| !x.is_finite() || x.abs() > MAX_SAMPLE;
    match audio.samples.iter().position(impossible) {
        Some(at_sample) => Err(DistanceError::ImpossibleSample {
            sound,
            at_sample,
            value: audio.samples[at_sample],
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mel::MelFilterbank;

    #[test]
    fn every_mel_filter_contains_a_bin_from_the_lowest_rate_on() {
        let scales = MSS_SCALES.iter().chain([&CEPSTRAL_SCALE]);
        let mut checked = 0;
        for scale in scales {
            for rate_hz in (MIN_RATE_HZ..60_000).step_by(97).chain([MAX_RATE_HZ]) {
                let n_fft = ZeroPaddedStft::new(rate_hz, scale.window_ms, scale.hop_ms).n_fft();
                let bank = MelFilterbank::new(rate_hz, n_fft, scale.n_mels);
                assert_eq!(bank.empty(), 0, "{scale:?} at {rate_hz} Hz");
                checked += 1;
            }
        }
        assert!(checked > 2_000, "{checked}");
    }
}
