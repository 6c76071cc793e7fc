//! The distances against librosa and dtw-python; `reference/distances.py` makes the values.

use std::f64::consts::TAU;

use distances::{MelFilterbank, dtw, score};
use serde::Deserialize;
use stft_data::Audio;

#[derive(Deserialize)]
struct Case {
    name: String,
    sample_rate_hz: u32,
    target: Sound,
    estimate: Sound,
    mss: f64,
    wmfcc: f64,
    sot: f64,
    rms_cosine: f64,
    logmel_l1: f64,
}

/// The formula of the script: a sine and noise from a linear congruential generator, decaying.
#[derive(Deserialize)]
struct Sound {
    samples: usize,
    delay: usize,
    hz: f64,
    gain: f64,
    noise: f64,
    seed: u32,
    decay: f64,
}

impl Sound {
    fn render(&self, sample_rate_hz: u32) -> Audio {
        let mut samples = vec![0.0; self.samples];
        let noise = uniform(self.seed);
        for (n, (sample, noise)) in samples[self.delay..].iter_mut().zip(noise).enumerate() {
            let s = n as f64 / f64::from(sample_rate_hz);
            let wave = self.gain * (TAU * self.hz * s).sin() + self.noise * noise;
            *sample = ((-self.decay * s).exp() * wave) as f32;
        }
        Audio {
            samples,
            sample_rate_hz,
        }
    }
}

fn uniform(seed: u32) -> impl Iterator<Item = f64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / 2_f64.powi(23) - 1.0
    })
}

fn cases<T: for<'de> Deserialize<'de>>(json: &str) -> Vec<T> {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_distances_are_those_of_librosa() {
    let mut checked = 0;
    for case in cases::<Case>(include_str!("golden/distances.json")) {
        let target = case.target.render(case.sample_rate_hz);
        let estimate = case.estimate.render(case.sample_rate_hz);
        let got = score(&target, &estimate).unwrap();
        for (distance, got, expected) in [
            ("mss", got.mss, case.mss),
            ("wmfcc", got.wmfcc, case.wmfcc),
            ("sot", got.sot, case.sot),
            ("rms_cosine", got.rms_cosine, case.rms_cosine),
            ("logmel_l1", got.logmel_l1, case.logmel_l1),
        ] {
            // The script explains the tolerances.
            assert!(
                (got - expected).abs() <= 1e-4 * expected + 1e-6,
                "{}, {distance}: {got}, expected {expected}",
                case.name
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 18 * 5);
}

#[test]
fn the_mel_filters_are_those_of_librosa() {
    #[derive(Deserialize)]
    struct Filters {
        sample_rate_hz: u32,
        n_fft: usize,
        n_mels: usize,
        non_zero: usize,
        sum: f64,
        /// Filter, bin, weight.
        probes: Vec<(usize, usize, f64)>,
    }
    let mut checked = 0;
    for case in cases::<Filters>(include_str!("golden/mel.json")) {
        let bank = MelFilterbank::new(case.sample_rate_hz, case.n_fft, case.n_mels);
        let dense = bank.to_dense();
        let bins = case.n_fft / 2 + 1;
        assert_eq!(dense.len(), case.n_mels * bins);
        let non_zero = dense.iter().filter(|&&weight| weight != 0.0).count();
        assert_eq!(non_zero, case.non_zero);
        assert!((dense.iter().sum::<f64>() / case.sum - 1.0).abs() < 1e-6);
        for (m, k, expected) in case.probes {
            let got = dense[m * bins + k];
            assert!(
                (got / expected - 1.0).abs() < 1e-6,
                "filter {m}, bin {k}: {got}, expected {expected}"
            );
            checked += 1;
        }
    }
    assert!(checked > 100, "{checked}");
}

#[test]
fn warping_is_that_of_the_dtw_package() {
    #[derive(Deserialize)]
    struct Sequences {
        n: usize,
        m: usize,
        width: usize,
        seed: u32,
        distance: f64,
    }
    let cases = cases::<Sequences>(include_str!("golden/dtw.json"));
    assert_eq!(cases.len(), 4);
    for case in cases {
        let mut values = uniform(case.seed);
        let a: Vec<f64> = values.by_ref().take(case.n * case.width).collect();
        let b: Vec<f64> = values.take(case.m * case.width).collect();
        let got = dtw(&a, &b, case.width);
        assert!(
            (got / case.distance - 1.0).abs() < 1e-12,
            "{} and {} frames: {got}, expected {}",
            case.n,
            case.m,
            case.distance
        );
    }
}
