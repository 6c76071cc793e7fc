//! The fused transform through the public API, against its definition in double precision.
#![cfg(feature = "flex")]

mod common;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::difference;
use kernels::{StftPlan, has_stft_magnitude, stft_magnitude};
use proptest::prelude::*;
use std::f64::consts::TAU;

/// Sizes in samples, and the shape of the signals.
#[derive(Clone, Copy, Debug)]
struct Case {
    n_fft: usize,
    hop_length: usize,
    win_length: usize,
    batch: usize,
    samples: usize,
}

/// Magnitudes, and the gradient of their sum with the weights of [`weight`] by the samples.
#[derive(Debug, PartialEq)]
struct Outcome {
    magnitudes: Vec<f64>,
    gradient: Vec<f64>,
}

fn weight(i: usize) -> f64 {
    0.3 + (i as f64 * 1.7).sin()
}

impl Case {
    fn window(&self) -> Vec<f32> {
        // All values differ, so that a misplaced one would be noticed.
        (0..self.win_length)
            .map(|n| 1.0 + 0.5 * (n as f32 * 0.9).sin())
            .collect()
    }

    fn signal(&self) -> Vec<f32> {
        (0..self.batch * self.samples)
            .map(|i| ((i * i) as f32 * 0.37).sin() + 0.2)
            .collect()
    }

    fn plan(&self) -> StftPlan {
        StftPlan::new(self.n_fft, self.hop_length, &self.window())
    }

    fn run(&self, signal: &[f32]) -> Outcome {
        let shape = [self.batch, self.samples];
        let device = Device::flex().autodiff();
        let signal = TensorData::new(signal.to_vec(), shape);
        let signal = Tensor::<2>::from_data(signal, &device).require_grad();
        let plan = self.plan();
        let magnitudes = stft_magnitude(signal.clone(), &plan);
        let shape = [self.batch, plan.bins(), plan.frames(self.samples)];
        assert_eq!(magnitudes.dims(), shape);
        let weights: Vec<f32> = (0..shape.iter().product())
            .map(|i| weight(i) as f32)
            .collect();
        let weights = Tensor::from_data(TensorData::new(weights, shape), &device);
        let gradients = (magnitudes.clone() * weights).sum().backward();
        Outcome {
            magnitudes: magnitudes.into_data().iter::<f64>().collect(),
            gradient: signal
                .grad(&gradients)
                .unwrap()
                .into_data()
                .iter::<f64>()
                .collect(),
        }
    }

    /// Sample by sample and bin by bin.
    fn direct(&self, signal: &[f32]) -> Outcome {
        let window = self.window();
        let (bins, frames) = (
            self.n_fft / 2 + 1,
            (self.samples - self.win_length) / self.hop_length + 1,
        );
        let mut outcome = Outcome {
            magnitudes: vec![0.0; self.batch * bins * frames],
            gradient: vec![0.0; signal.len()],
        };
        for item in 0..self.batch {
            for k in 0..bins {
                for t in 0..frames {
                    let start = item * self.samples + t * self.hop_length;
                    let wave = |n: usize| {
                        let phase = TAU * (k * n % self.n_fft) as f64 / self.n_fft as f64;
                        let w = f64::from(window[n]);
                        [w * phase.cos(), -w * phase.sin()]
                    };
                    let mut sum = [0.0; 2];
                    for n in 0..self.win_length {
                        let x = f64::from(signal[start + n]);
                        let [real, imaginary] = wave(n);
                        sum = [sum[0] + x * real, sum[1] + x * imaginary];
                    }
                    let magnitude = f64::hypot(sum[0], sum[1]);
                    let place = (item * bins + k) * frames + t;
                    outcome.magnitudes[place] = magnitude;
                    if magnitude > 0.0 {
                        for n in 0..self.win_length {
                            let [real, imaginary] = wave(n);
                            let slope = (sum[0] * real + sum[1] * imaginary) / magnitude;
                            outcome.gradient[start + n] += weight(place) * slope;
                        }
                    }
                }
            }
        }
        outcome
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn magnitudes_and_gradients_are_the_definition_for_any_sizes(
        n_fft in 1_usize..60,
        win_share in 0.0_f64..1.0,
        hop_length in 1_usize..30,
        batch in 1_usize..4,
        more in 0_usize..200,
    ) {
        let win_length = 1 + ((n_fft - 1) as f64 * win_share) as usize;
        let case = Case { n_fft, hop_length, win_length, batch, samples: win_length + more };
        let signal = case.signal();
        let (got, expected) = (case.run(&signal), case.direct(&signal));
        let off = difference(&got.magnitudes, &expected.magnitudes);
        prop_assert!(off < 1e-5, "magnitudes off by {off}");
        // The direction of a tiny magnitude is lost in the rounding of the sums.
        let least = expected.magnitudes.iter().fold(f64::INFINITY, |m, x| m.min(*x));
        if least > 1e-2 {
            let off = difference(&got.gradient, &expected.gradient);
            prop_assert!(off < 1e-4, "gradient off by {off}");
        }
    }
}

const LARGE: Case = Case {
    n_fft: 600,
    hop_length: 50,
    win_length: 240,
    batch: 3,
    samples: 2_345,
};

#[test]
fn a_size_that_is_no_power_of_two_is_the_definition() {
    let signal = LARGE.signal();
    let (got, expected) = (LARGE.run(&signal), LARGE.direct(&signal));
    let off = difference(&got.magnitudes, &expected.magnitudes);
    assert!(off < 1e-5, "magnitudes off by {off}");
    let off = difference(&got.gradient, &expected.gradient);
    assert!(off < 1e-4, "gradient off by {off}");
}

#[test]
fn runs_and_numbers_of_threads_agree_to_the_last_bit() {
    let signal = LARGE.signal();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| LARGE.run(&signal))
    };
    let one = with(1);
    for outcome in [with(1), with(2), with(3)] {
        assert!(outcome == one, "a result depends on the number of threads");
    }
}

#[test]
fn silence_has_no_magnitude_and_no_gradient() {
    let outcome = LARGE.run(&vec![0.0; LARGE.batch * LARGE.samples]);
    assert!(outcome.magnitudes.iter().all(|&x| x == 0.0));
    assert!(outcome.gradient.iter().all(|&x| x == 0.0));
}

#[test]
fn other_types_than_f32_are_not_supported() {
    let signal = Tensor::<2>::zeros([1, 9], &Device::flex());
    assert!(has_stft_magnitude(&signal));
    assert!(!has_stft_magnitude(&signal.cast(DType::F64)));
}

#[test]
#[should_panic(expected = "signals of at least the window's 5 samples, got 4")]
fn a_signal_shorter_than_the_window_is_refused() {
    let signal = Tensor::<2>::zeros([1, 4], &Device::flex());
    stft_magnitude(signal, &StftPlan::new(8, 2, &[1.0; 5]));
}

#[test]
#[should_panic(expected = "a window of 1 to 8 samples, got 9")]
fn a_window_longer_than_the_transform_is_refused() {
    StftPlan::new(8, 2, &[1.0; 9]);
}
