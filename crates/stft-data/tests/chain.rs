//! Resampling and STFT together, compared with librosa and torch. Made by reference/chain.py.

use std::f64::consts::TAU;

use serde::Deserialize;
use stft_data::{Audio, Stft, StftConfig, log1p, resample};

const SECONDS: f64 = 0.6;

#[derive(Deserialize)]
struct Case {
    signal: String,
    rate_in: u32,
    rate_out: u32,
    n_fft: usize,
    hop_length: usize,
    bins: usize,
    /// Bin, frame, log1p magnitude.
    probes: Vec<(usize, usize, f64)>,
}

fn sweep(t: f64) -> f64 {
    0.7 * (TAU * (60.0 * t + 0.5 * 5500.0 * t * t / SECONDS)).sin()
}

fn chord(t: f64) -> f64 {
    let partials = [110.0, 277.18, 659.26, 1760.0, 3520.0];
    let partial = |(k, hz): (usize, f64)| {
        let k = k as f64;
        0.3 / (k + 1.0) * (-(3.0 + k) * t).exp() * (TAU * hz * t + k).sin()
    };
    let fade_in = 1.0 - (-(t / 5e-3).powi(2)).exp();
    fade_in * partials.into_iter().enumerate().map(partial).sum::<f64>()
}

fn clicks(t: f64) -> f64 {
    let click = |centre: f64| 0.8 * (-((t - centre) / 3e-4).powi(2)).exp();
    [0.05, 0.21, 0.39].into_iter().map(click).sum()
}

#[test]
fn resampling_and_transform_together_equal_those_of_librosa_and_torch() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden/chain.json")).unwrap();
    let (mut checked, mut worst) = (0, 0.0_f64);
    for case in &cases {
        let signal = match case.signal.as_str() {
            "sweep" => sweep,
            "chord" => chord,
            "clicks" => clicks,
            other => panic!("no signal is called {other}"),
        };
        let samples = (SECONDS * f64::from(case.rate_in)).round() as usize;
        let sound = Audio {
            samples: (0..samples)
                .map(|n| signal(n as f64 / f64::from(case.rate_in)) as f32)
                .collect(),
            sample_rate_hz: case.rate_in,
        };
        let resampled = resample(&sound, case.rate_out).unwrap();
        let stft = Stft::new(&StftConfig {
            n_fft: case.n_fft,
            hop_length: case.hop_length,
            win_length: None,
        })
        .unwrap();
        let spectrogram = stft.magnitude(&resampled.samples);
        assert_eq!(spectrogram.bins, case.bins);
        for &(bin, frame, expected) in &case.probes {
            let got = log1p(spectrogram.values[bin * spectrogram.frames + frame]);
            let error = (f64::from(got) - expected).abs();
            worst = worst.max(error);
            assert!(
                error < 2e-4,
                "{} from {} to {} Hz: bin {bin}, frame {frame} is {got}, not {expected}",
                case.signal,
                case.rate_in,
                case.rate_out
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 3 * 5 * 150);
    println!("largest error {worst:.1e}");
}
