//! The filter: a state-variable filter that may be modulated at any speed.

use std::f32::consts::{PI, SQRT_2};

use crate::setting::Class;

/// Response of the filter: one of its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Response {
    Low,
    Band,
    High,
}

impl Class for Response {
    const CLASSES: &'static [(&'static str, Self)] = &[
        ("low_pass", Self::Low),
        ("band_pass", Self::Band),
        ("high_pass", Self::High),
    ];
}

/// A second-order state-variable filter with trapezoidal integrators.
///
/// ```text
/// low  = 1   / (s^2 + k s + 1)
/// band = s   / (s^2 + k s + 1)      s = (1 / g) (z - 1) / (z + 1),   g = tan(pi cutoff / rate)
/// high = s^2 / (s^2 + k s + 1)
/// ```
///
/// k: damping, the inverse of the quality factor. (Simper 2013, Solving the continuous SVF
/// equations using trapezoidal integration and equivalent currents; Zavalishin 2012, The Art of VA
/// Filter Design, chapter 4.)
///
/// It is stable for any modulation of g and k: from one sample to the next the sum of the squared states
/// grows by `4 g v1 (input - k v1)` (v1: the band output), which is never positive without input.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StateVariableFilter {
    state1: f32,
    state2: f32,
}

impl StateVariableFilter {
    /// Processes one sample and returns `[low, band, high]`.
    #[inline]
    pub(crate) fn tick(&mut self, input: f32, g: f32, damping: f32) -> [f32; 3] {
        let gain = 1.0 / (1.0 + g * (g + damping));
        let band = gain * (self.state1 + g * (input - self.state2));
        let low = self.state2 + g * band;
        self.state1 = 2.0 * band - self.state1;
        self.state2 = 2.0 * low - self.state2;
        [low, band, input - damping * band - low]
    }
}

/// The g of a cutoff, which is clamped between 20 Hz and 0.45 of the sample rate, because the tangent
/// diverges at half the rate.
pub(crate) fn integrator_gain(cutoff_hz: f32, sample_rate_hz: f32) -> f32 {
    libm::tanf(PI * cutoff_hz.clamp(20.0, 0.45 * sample_rate_hz) / sample_rate_hz)
}

/// The damping of a resonance in 0..1: from Butterworth (sqrt 2) by four octaves to Q = 11.3.
pub(crate) fn damping(resonance: f32) -> f32 {
    SQRT_2 * libm::exp2f(-4.0 * resonance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use params::keyed_rng;
    use proptest::prelude::*;
    use rand_chacha::rand_core::Rng;
    use serde::Deserialize;

    const RATE_HZ: f32 = 16_384.0;

    /// The gain of output `response` at a frequency, from the filter's impulse response.
    fn gain(response: Response, cutoff_hz: f32, k: f32, frequency_hz: f64, rate_hz: f32) -> f64 {
        let mut filter = StateVariableFilter::default();
        let g = integrator_gain(cutoff_hz, rate_hz);
        let step = std::f64::consts::TAU * frequency_hz / f64::from(rate_hz);
        let (mut re, mut im) = (0.0, 0.0);
        for i in 0..30_000 {
            let input = if i == 0 { 1.0 } else { 0.0 };
            let y = f64::from(filter.tick(input, g, k)[response as usize]);
            re += y * (step * f64::from(i)).cos();
            im += y * (step * f64::from(i)).sin();
        }
        re.hypot(im)
    }

    #[test]
    fn without_resonance_the_cutoff_is_three_db_down() {
        for response in [Response::Low, Response::High] {
            for cutoff_hz in [80.0, 1_000.0, 6_000.0] {
                let at_cutoff = gain(response, cutoff_hz, damping(0.0), cutoff_hz.into(), RATE_HZ);
                assert!(
                    (at_cutoff - 0.5_f64.sqrt()).abs() < 1e-3,
                    "{response:?} {at_cutoff}"
                );
            }
        }
    }

    #[test]
    fn low_pass_keeps_the_lowest_and_high_pass_the_highest() {
        for resonance in [0.0, 0.6, 1.0] {
            let k = damping(resonance);
            let ends = |response| [0.0, 8_192.0].map(|f| gain(response, 700.0, k, f, RATE_HZ));
            let near = |got: [f64; 2], expected: [f64; 2]| {
                assert!(
                    got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4),
                    "{got:?}"
                );
            };
            near(ends(Response::Low), [1.0, 0.0]);
            near(ends(Response::Band), [0.0, 0.0]);
            near(ends(Response::High), [0.0, 1.0]);
        }
    }

    #[test]
    fn resonance_raises_the_cutoff_to_the_quality_factor() {
        for resonance in [0.0, 0.5, 1.0] {
            let quality = f64::from(1.0 / damping(resonance));
            for response in [Response::Low, Response::Band, Response::High] {
                let peak = gain(response, 900.0, damping(resonance), 900.0, RATE_HZ);
                assert!(
                    (peak / quality - 1.0).abs() < 1e-3,
                    "{response:?} {peak} {quality}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn without_input_no_modulation_adds_energy(seed in any::<u64>()) {
            let mut rng = keyed_rng([seed, 0, 0, 0]);
            let mut unit = || (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
            let mut filter = StateVariableFilter { state1: unit(), state2: -unit() };
            let mut energy = filter.state1.powi(2) + filter.state2.powi(2);
            for _ in 0..500 {
                filter.tick(0.0, integrator_gain(9_000.0 * unit(), RATE_HZ), damping(unit()));
                let next = filter.state1.powi(2) + filter.state2.powi(2);
                // Rounding to f32, relative and near zero absolute.
                prop_assert!(next <= energy * (1.0 + 1e-5) + 1e-36, "{} {}", energy, next);
                energy = next;
            }
        }

        #[test]
        fn bounded_input_stays_bounded_under_any_modulation(seed in any::<u64>()) {
            let mut rng = keyed_rng([seed, 1, 0, 0]);
            let mut unit = || (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
            let mut filter = StateVariableFilter::default();
            for _ in 0..2_000 {
                let g = integrator_gain(9_000.0 * unit(), RATE_HZ);
                let outputs = filter.tick(2.0 * unit() - 1.0, g, damping(unit()));
                prop_assert!(outputs.iter().all(|y| y.abs() < 100.0), "{:?}", outputs);
            }
        }
    }

    #[derive(Deserialize)]
    struct Golden {
        response: usize,
        sample_rate_hz: f32,
        cutoff_hz: f32,
        damping: f32,
        frequency_hz: Vec<f64>,
        magnitude: Vec<f64>,
    }

    #[test]
    fn the_magnitude_response_is_that_of_scipy() {
        let text = include_str!("../../tests/golden/synth_filter.json");
        let cases: Vec<Golden> = serde_json::from_str(text).unwrap();
        let mut checked = 0;
        for case in cases {
            let response = Response::CLASSES[case.response].1;
            for (&frequency_hz, &expected) in case.frequency_hz.iter().zip(&case.magnitude) {
                let got = gain(
                    response,
                    case.cutoff_hz,
                    case.damping,
                    frequency_hz,
                    case.sample_rate_hz,
                );
                // The impulse response is rounded to f32 at each of 30,000 samples.
                let tolerance = 1e-4 * (1.0 + expected);
                assert!(
                    (got - expected).abs() < tolerance,
                    "{response:?} {frequency_hz} {got}"
                );
                checked += 1;
            }
        }
        assert_eq!(checked, 3 * 2 * 2 * 2 * 7);
    }
}
