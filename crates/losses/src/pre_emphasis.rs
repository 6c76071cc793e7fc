//! Perceptual filters for prediction and target.

use crate::framing::{frames, samples_needed};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::sync::{Arc, Mutex, PoisonError};

/// A filter that is applied to prediction and target before they are compared.
///
/// ```text
/// y[n] = sum_k h[k] x[n - k]
///
/// x  sound, silent outside its samples n,  y  filtered sound
/// h  taps of the filter, whose transform H(z) is given for each kind below
/// ```
///
/// Wright and Välimäki, "Perceptual Loss Function for Neural Modelling of Audio Systems", ICASSP
/// 2020, on pre-emphasis in the loss function.
///
/// Differs from the paper: A-weighting is a linear-phase FIR filter, centred so that it has no delay. It
/// is the least-squares fit of the analogue curve of IEC 61672-1 at the given rate, so it isn't warped near
/// half the rate, unlike a bilinear transform of that curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "filter")]
pub enum PreEmphasis {
    /// `H(z) = 1`: no filter.
    None,
    /// `H(z) = 1 - 0.85 z^-1`: attenuates low frequencies.
    HighPass,
    /// `H(z) = 1 - 0.85 z^-2`: attenuates the lowest and the highest frequencies.
    FoldedDifferentiator,
    /// The sensitivity of the ear to quiet tones, 0 dB at 1 kHz.
    AWeighting {
        /// Sample rate of the sounds.
        sample_rate_hz: f64,
    },
}

/// Filter coefficients.
struct Taps {
    values: Vec<f64>,
    /// Index of the tap of the current sample; those before it look ahead.
    present: usize,
}

/// Taps on either side of the middle one, for each started 48 kHz of the rate, so that the filter's duration
/// hardly depends on the rate. From 20 Hz to 0.49 of the rate, the fit is then within 0.005 of the curve
/// (whose peak is 1.16); with half as many it is within 0.035 at 48 kHz.
const A_WEIGHTING_REACH: usize = 200;

/// Cache of A-weightings by the bits of their rates: a design takes longer than filtering a batch, and every
/// batch needs the same one.
static A_WEIGHTINGS: Mutex<BTreeMap<u64, Arc<Taps>>> = Mutex::new(BTreeMap::new());

impl PreEmphasis {
    /// The filter coefficients, starting with that of the latest sample.
    pub fn taps(&self) -> Vec<f64> {
        self.design().values.clone()
    }

    /// Filters each item, which is silent before its first sample and after its last.
    ///
    /// # Shapes
    /// - signal, output: `[batch, samples]`
    pub(crate) fn apply(&self, signal: Tensor<2>) -> Tensor<2> {
        match self {
            PreEmphasis::None => signal,
            _ => convolve(signal, &self.design()),
        }
    }

    fn design(&self) -> Arc<Taps> {
        let causal = |values: &[f64]| {
            Arc::new(Taps {
                values: values.to_vec(),
                present: 0,
            })
        };
        match *self {
            PreEmphasis::None => causal(&[1.0]),
            PreEmphasis::HighPass => causal(&[1.0, -0.85]),
            PreEmphasis::FoldedDifferentiator => causal(&[1.0, 0.0, -0.85]),
            PreEmphasis::AWeighting { sample_rate_hz } => {
                let designs = A_WEIGHTINGS.lock();
                // Designs are inserted complete, so a panic elsewhere leaves none half done.
                let mut designs = designs.unwrap_or_else(PoisonError::into_inner);
                let design = designs.entry(sample_rate_hz.to_bits());
                Arc::clone(design.or_insert_with(|| Arc::new(a_weighting(sample_rate_hz))))
            }
        }
    }
}

/// The first Fourier coefficients of the curve. Among all symmetric filters of that length they have the
/// least squared error over the frequencies from 0 to half the rate.
fn a_weighting(sample_rate_hz: f64) -> Taps {
    let scale = (sample_rate_hz / 48_000.0).ceil().max(1.0) as usize;
    let points = 8192 * scale;
    let gains: Vec<f64> = (0..points)
        .map(|i| a_weighting_gain((i as f64 + 0.5) / points as f64 * sample_rate_hz / 2.0))
        .collect();
    let coefficient = |tap: usize| {
        let wave = |i: usize| (PI * tap as f64 * (i as f64 + 0.5) / points as f64).cos();
        let terms = gains.iter().enumerate().map(|(i, gain)| gain * wave(i));
        terms.sum::<f64>() / points as f64
    };
    let reach = A_WEIGHTING_REACH * scale;
    let half: Vec<f64> = (0..=reach).map(coefficient).collect();
    let values = half.iter().rev().chain(&half[1..]).copied().collect();
    Taps {
        values,
        present: reach,
    }
}

/// Gain of the A-weighting at a frequency; 1 at 1 kHz. IEC 61672-1:2013, annex E.
pub(crate) fn a_weighting_gain(frequency_hz: f64) -> f64 {
    let raw = |f: f64| {
        let [f1, f2, f3, f4] = [20.598_997_f64, 107.652_65, 737.862_23, 12_194.217].map(|p| p * p);
        let f = f * f;
        f4 * f * f / ((f + f1) * ((f + f2) * (f + f3)).sqrt() * (f + f4))
    };
    raw(frequency_hz) / raw(1000.0)
}

/// Convolution as a matrix product: the signal is cut into blocks that overlap by the filter's memory, and
/// a banded matrix maps a block's input to its output. This needs the memory of about three signals on
/// every backend, while an unrolled convolution needs one signal for each tap.
fn convolve(signal: Tensor<2>, taps: &Taps) -> Tensor<2> {
    let [batch, samples] = signal.dims();
    let memory = taps.values.len() - 1;
    let block = memory.max(64);
    let (count, input) = (samples.div_ceil(block), block + memory);
    let length = samples_needed(input, block, count);
    let before = memory - taps.present;
    let padding = [(0, 0), (before, length - before - samples)];
    let padded = signal.clone().pad(padding, 0.0);
    let mut band = vec![0.0; input * block];
    for n in 0..block {
        for (k, tap) in taps.values.iter().enumerate() {
            band[(n + memory - k) * block + n] = *tap;
        }
    }
    let band = TensorData::new(band, [input, block]);
    let band = Tensor::<2>::from_data(band, (&signal.device().inner(), signal.dtype()));
    frames(padded, input, block, count)
        .reshape([batch * count, input])
        .matmul(band)
        .reshape([batch, count * block])
        .narrow(1, 0, samples)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn response(taps: &[f64], frequency_hz: f64, sample_rate_hz: f64) -> f64 {
        let phase = |k: usize| 2.0 * PI * frequency_hz / sample_rate_hz * k as f64;
        let sum = |wave: fn(f64) -> f64| -> f64 {
            let terms = taps.iter().enumerate().map(|(k, tap)| tap * wave(phase(k)));
            terms.sum()
        };
        sum(f64::cos).hypot(sum(f64::sin))
    }

    #[test]
    fn a_weighting_has_the_gains_of_the_standards_table() {
        // IEC 61672-1:2013, table 3.
        let table = [
            (100.0, -19.1),
            (1000.0, 0.0),
            (2511.9, 1.3),
            (10_000.0, -2.5),
            (19_952.6, -9.3),
        ];
        for (frequency_hz, gain_db) in table {
            let got = 20.0 * a_weighting_gain(frequency_hz).log10();
            assert!((got - gain_db).abs() < 0.06, "{frequency_hz} Hz: {got} dB");
        }
    }

    #[test]
    fn an_a_weighting_is_designed_once_for_each_rate() {
        let design = |sample_rate_hz| PreEmphasis::AWeighting { sample_rate_hz }.design();
        let once = design(22_050.0);
        assert!(Arc::ptr_eq(&once, &design(22_050.0)));
        assert_ne!(once.values, design(32_000.0).values);
    }

    #[test]
    fn at_44_1_khz_the_fit_is_within_a_hundredth_of_a_decibel_up_high() {
        let sample_rate_hz = 44_100.0;
        let taps = PreEmphasis::AWeighting { sample_rate_hz }.taps();
        for frequency_hz in [15_000.0, 20_000.0] {
            let gain = response(&taps, frequency_hz, sample_rate_hz);
            let off_db = 20.0 * (gain / a_weighting_gain(frequency_hz)).log10();
            assert!(off_db.abs() < 0.01, "{frequency_hz} Hz: {off_db} dB off");
        }
    }

    #[test]
    fn the_fit_follows_the_curve_at_every_rate() {
        let mut compared = 0;
        for sample_rate_hz in [16_384.0, 44_100.0, 48_000.0, 96_000.0, 192_000.0] {
            let taps = PreEmphasis::AWeighting { sample_rate_hz }.taps();
            for i in 0..500 {
                let frequency_hz = 20.0 + (0.49 * sample_rate_hz - 20.0) * i as f64 / 499.0;
                let got = response(&taps, frequency_hz, sample_rate_hz);
                let wanted = a_weighting_gain(frequency_hz);
                assert!(
                    (got - wanted).abs() < 0.005,
                    "{sample_rate_hz}: {frequency_hz} Hz: {got} for {wanted}"
                );
                compared += 1;
            }
        }
        assert_eq!(compared, 2500);
    }

    #[test]
    fn a_filter_is_its_convolution_sum() {
        let filters = [
            PreEmphasis::None,
            PreEmphasis::HighPass,
            PreEmphasis::FoldedDifferentiator,
            PreEmphasis::AWeighting {
                sample_rate_hz: 8000.0,
            },
        ];
        for filter in filters {
            for samples in [1, 2, 63, 64, 65, 301] {
                let signal: Vec<f32> = (0..2 * samples).map(|i| (i as f32 * 0.7).sin()).collect();
                let tensor = TensorData::new(signal.clone(), [2, samples]);
                let got = filter.apply(Tensor::from_data(tensor, &Device::flex()));
                let got = got.into_data().try_to_vec::<f32>().unwrap();
                let taps = filter.design();
                for (i, got) in got.iter().enumerate() {
                    let (item, n) = (i / samples, i % samples);
                    let terms = taps.values.iter().enumerate().map(|(k, tap)| {
                        let place = n as i64 + taps.present as i64 - k as i64;
                        let inside = (0..samples as i64).contains(&place);
                        let place = item * samples + place.max(0) as usize;
                        if inside {
                            tap * signal[place] as f64
                        } else {
                            0.0
                        }
                    });
                    let wanted: f64 = terms.sum();
                    assert!((*got as f64 - wanted).abs() < 1e-5, "{filter:?} at {n}");
                }
            }
        }
    }
}
