//! Band-limited oscillators: tables of one period, computed from harmonics and indexed by a wrapping phase.

use std::f64::consts::{PI, SQRT_2};
use std::sync::LazyLock;

use crate::setting::Class;

/// The waveforms; each is a sine series that starts at 0 and has the power of a full-scale sine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Waveform {
    Sine,
    Triangle,
    Saw,
    Square,
}

impl Class for Waveform {
    const CLASSES: &'static [(&'static str, Self)] = &[
        ("sine", Self::Sine),
        ("triangle", Self::Triangle),
        ("saw", Self::Saw),
        ("square", Self::Square),
    ];
}

impl Waveform {
    /// The amplitude of `sin(k phase)` in the Fourier series.
    fn harmonic(self, k: usize) -> f64 {
        // Triangle and saw have a third of the power of a square of the same peak, a sine half.
        let (order, odd) = (k as f64, k % 2 == 1);
        match self {
            Self::Sine if k == 1 => 1.0,
            Self::Triangle if odd => {
                let sign = if k % 4 == 1 { 1.0 } else { -1.0 };
                sign * 1.5_f64.sqrt() * 8.0 / (PI * PI * order * order)
            }
            Self::Saw => 1.5_f64.sqrt() * 2.0 / (PI * order),
            Self::Square if odd => 4.0 / (SQRT_2 * PI * order),
            _ => 0.0,
        }
    }
}

/// Points per period. Linear interpolation between them mirrors harmonic k around multiples of
/// `LENGTH`, `(k / LENGTH)^2` times as strong, and weakens the harmonic itself by
/// `sinc^2(k / LENGTH)`. At k = 168, the most that 44,100 Hz leaves room for over the voice's lowest
/// oscillator, this is 76 dB below a saw's fundamental, and 0.8 dB.
const LENGTH: usize = 1024;

/// Bits of a phase below the table's index.
const FRACTION_BITS: u32 = u32::BITS - LENGTH.trailing_zeros();

/// One period of a waveform.
///
/// ```text
/// table[i] = sum_k  w_k a_k sin(2 pi k i / LENGTH),   w_k = clamp(limit - k, 0, 1),   w_1 = 1
/// ```
///
/// a_k: Fourier series of the waveform. limit: half the sample rate over the fundamental. There are no
/// harmonics beyond it, so none can alias, and the weight of the last one makes the sound a continuous
/// function of pitch and modulation. (Additive synthesis into a table: Moore 1990, Elements of Computer
/// Music, section 3.3.)
pub(crate) struct Wavetable {
    /// The last point repeats the first, so that interpolation need not wrap.
    points: [f32; LENGTH + 1],
}

impl Wavetable {
    /// The waveform from the harmonics below `limit`, always including the fundamental.
    pub(crate) fn new(waveform: Waveform, limit: f32) -> Self {
        static SINE: LazyLock<[f32; LENGTH]> = LazyLock::new(|| {
            std::array::from_fn(|i| libm::sin(2.0 * PI * i as f64 / LENGTH as f64) as f32)
        });
        let sine = &*SINE;
        let mut points = [0.0_f32; LENGTH + 1];
        // Harmonics from half the table's length on would alias to lower ones.
        for k in 1..LENGTH / 2 {
            let weight = if k == 1 {
                1.0
            } else {
                (limit - k as f32).clamp(0.0, 1.0)
            };
            if weight == 0.0 {
                break;
            }
            let amplitude = waveform.harmonic(k) as f32 * weight;
            if amplitude != 0.0 {
                for (i, point) in points[..LENGTH / 2].iter_mut().enumerate() {
                    *point += amplitude * sine[(k * i) % LENGTH];
                }
            }
        }
        // A sine series is odd: the second half is the first one, backwards and upside down.
        for i in 1..LENGTH / 2 {
            points[LENGTH - i] = -points[i];
        }
        Self { points }
    }

    /// The value at a phase, where 2^32 is one period.
    #[inline]
    pub(crate) fn at(&self, phase: u32) -> f32 {
        let index = (phase >> FRACTION_BITS) as usize;
        let fraction =
            (phase & ((1 << FRACTION_BITS) - 1)) as f32 / (1_u32 << FRACTION_BITS) as f32;
        let (left, right) = (self.points[index], self.points[index + 1]);
        left + fraction * (right - left)
    }
}

/// A phase difference of `periods`, where 2^32 is one period; whole periods are dropped.
#[inline]
pub(crate) fn phase_of(periods: f32) -> u32 {
    (periods * 4_294_967_296.0) as i64 as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::{
        power_spectrum, strongest_between_harmonics_db, windowed_power_spectrum,
    };

    const ALL: [Waveform; 4] = [
        Waveform::Sine,
        Waveform::Triangle,
        Waveform::Saw,
        Waveform::Square,
    ];
    const N: usize = 16_384;

    fn tone(waveform: Waveform, frequency_hz: f64, sample_rate_hz: f64) -> Vec<f32> {
        let table = Wavetable::new(waveform, (sample_rate_hz / 2.0 / frequency_hz) as f32);
        let increment = phase_of((frequency_hz / sample_rate_hz) as f32);
        (0..N as u32)
            .map(|i| table.at(i.wrapping_mul(increment)))
            .collect()
    }

    #[test]
    fn whole_bins_alias_below_minus_seventy_db() {
        // Odd bin numbers share no factor with N, so that no alias can hide under a harmonic.
        let mut checked = 0;
        let mut worst = f64::NEG_INFINITY;
        for sample_rate_hz in [16_384.0, 44_100.0] {
            let last = (2_000.0 / sample_rate_hz * N as f64) as usize;
            for bin in (41..=last).step_by(58) {
                let frequency_hz = bin as f64 * sample_rate_hz / N as f64;
                for waveform in ALL {
                    let power = power_spectrum(&tone(waveform, frequency_hz, sample_rate_hz));
                    let alias_db = strongest_between_harmonics_db(&power, bin as f64, 0.5);
                    worst = worst.max(alias_db);
                    assert!(alias_db < -70.0, "{waveform:?} {frequency_hz} {alias_db}");
                    checked += 1;
                }
            }
        }
        println!("worst alias {worst:.1} dB");
        assert_eq!(checked, 4 * (34 + 13));
    }

    #[test]
    fn notes_between_bins_alias_below_minus_seventy_db() {
        let mut checked = 0;
        let mut worst = f64::NEG_INFINITY;
        for sample_rate_hz in [16_384.0, 44_100.0] {
            // Every third semitone from 130.8 Hz (MIDI 48, the lowest oscillator) to 1,975.5 Hz.
            for note in (48..=95).step_by(3).chain([95]) {
                let frequency_hz = 440.0 * 2.0_f64.powf((f64::from(note) - 69.0) / 12.0);
                for waveform in ALL {
                    let sound = tone(waveform, frequency_hz, sample_rate_hz);
                    let bins = frequency_hz / sample_rate_hz * N as f64;
                    let alias_db =
                        strongest_between_harmonics_db(&windowed_power_spectrum(&sound), bins, 5.0);
                    worst = worst.max(alias_db);
                    assert!(alias_db < -70.0, "{waveform:?} {frequency_hz} {alias_db}");
                    checked += 1;
                }
            }
        }
        println!("worst alias {worst:.1} dB");
        assert_eq!(checked, 4 * 17 * 2);
    }

    #[test]
    fn harmonics_below_half_the_rate_follow_the_fourier_series() {
        let bin = 127;
        for waveform in ALL {
            let power = power_spectrum(&tone(waveform, bin as f64, N as f64));
            // 64.5 periods fit below half the rate: the 64th harmonic is the last, half as strong.
            for k in 1..=63 {
                let expected = waveform.harmonic(k).powi(2);
                let got = power[k * bin] / (N as f64 / 2.0).powi(2);
                // Interpolation weakens the 63rd harmonic by 2.5 % of its power.
                assert!(
                    (got - expected).abs() < 0.03 * expected + 1e-9,
                    "{waveform:?} {k} {got}"
                );
            }
        }
    }

    #[test]
    fn every_waveform_has_the_power_of_a_sine_and_no_offset() {
        for waveform in ALL {
            let sound = tone(waveform, 101.0, N as f64);
            let mean = sound.iter().sum::<f32>() / N as f32;
            let power = sound.iter().map(|x| x * x).sum::<f32>() / N as f32;
            assert!(mean.abs() < 1e-4, "{waveform:?} {mean}");
            assert!((power - 0.5).abs() < 0.01, "{waveform:?} {power}");
        }
    }

    #[test]
    fn every_waveform_has_its_shape() {
        let quarter = phase_of(0.25);
        let eighth = phase_of(0.125);
        let read = |waveform| {
            let table = Wavetable::new(waveform, 400.0);
            [
                table.at(0),
                table.at(eighth),
                table.at(quarter),
                table.at(phase_of(0.75)),
            ]
        };
        let close = |got: [f32; 4], expected: [f32; 4]| {
            let near = got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 0.01);
            assert!(near, "expected {expected:?}, got {got:?}");
        };
        let (half, up) = (0.5_f32.sqrt(), 1.5_f32.sqrt());
        close(read(Waveform::Sine), [0.0, half, 1.0, -1.0]);
        close(read(Waveform::Triangle), [0.0, up / 2.0, up, -up]);
        close(read(Waveform::Saw), [0.0, 0.75 * up, 0.5 * up, -0.5 * up]);
        close(read(Waveform::Square), [0.0, half, half, -half]);
    }

    #[test]
    fn the_table_changes_continuously_with_its_limit() {
        let table = |limit| Wavetable::new(Waveform::Saw, limit);
        let mut checked = 0;
        for limit in [1.5_f32, 2.0, 7.999, 8.0, 8.001] {
            let (a, b) = (table(limit), table(limit + 0.001));
            for i in 0..64 {
                let phase = i << 26;
                assert!((a.at(phase) - b.at(phase)).abs() < 1e-3);
                checked += 1;
            }
        }
        assert_eq!(checked, 5 * 64);
    }

    #[test]
    fn phases_wrap_in_both_directions() {
        assert_eq!(phase_of(0.25), 1 << 30);
        assert_eq!(phase_of(-0.25), phase_of(0.75));
        assert_eq!(phase_of(3.5), 1 << 31);
    }
}
