use std::cell::RefCell;

use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler, WindowFunction};

use crate::audio::Audio;
use crate::error::DataError;

/// Shortest anti-aliasing filter, in samples at the lower of the two rates. The transition band is
/// about 14 / 1024 of that rate's Nyquist frequency wide.
const MIN_BLOCK: usize = 1024;

/// Number of resamplers that a thread keeps. A folder mixes two or three rates, and planning a
/// resampler costs more than resampling a one-shot.
const KEPT_PER_THREAD: usize = 4;

/// Most samples, of both rates, in the blocks of the kept resamplers together: some 20 MiB. Rates
/// without a common divisor, as in a damaged header, need a block of up to 1.6 million samples; such a
/// resampler is planned each time.
const KEPT_SAMPLES: usize = 1 << 18;

struct Planned {
    from_hz: u32,
    to_hz: u32,
    resampler: Fft<f32>,
}

impl Planned {
    /// Samples of an input block and an output block.
    fn samples(&self) -> usize {
        self.resampler.input_frames_max() + self.resampler.output_frames_max()
    }
}

thread_local! {
    static PLANNED: RefCell<Vec<Planned>> = const { RefCell::new(Vec::new()) };
}

/// Resamples a sound with a band-limiting filter and without delay.
///
/// Up to 0.95 of the lower of the two Nyquist frequencies, the gain is within 0.001 dB of 1.
/// Frequencies above the new Nyquist frequency, images and aliases are at least 125 dB below a sine of
/// full scale (measured in steady state for all pairs of nine rates from 4 to 192 kHz). The filter is
/// as long as 1024 samples at the lower rate, or longer if the rates have no large common divisor.
///
/// The result has `round(n · rate_hz / audio.sample_rate_hz)` samples, at least one. With equal rates
/// the sound is unchanged.
///
/// # Errors
/// [`DataError::Resample`] if a rate is zero or the sound is empty.
pub fn resample(audio: &Audio, rate_hz: u32) -> Result<Audio, DataError> {
    let (from_hz, to_hz) = (audio.sample_rate_hz, rate_hz);
    let fail = |reason: String| DataError::Resample {
        from_hz,
        to_hz,
        reason,
    };
    if from_hz == 0 || to_hz == 0 || audio.samples.is_empty() {
        return Err(fail(format!(
            "{} samples; rates and length must be positive",
            audio.samples.len()
        )));
    }
    if from_hz == to_hz {
        return Ok(audio.clone());
    }
    let mut samples = PLANNED.with_borrow_mut(|kept| {
        let resampler = planned(kept, from_hz, to_hz).map_err(|error| fail(error.to_string()))?;
        let resampled = run(resampler, &audio.samples).map_err(|error| fail(error.to_string()));
        drop_beyond_limit(kept);
        resampled
    })?;
    samples.resize(resampled_length(audio.samples.len(), from_hz, to_hz), 0.0);
    Ok(Audio {
        samples,
        sample_rate_hz: to_hz,
    })
}

/// As [`resample`], but a sound that already has the rate is returned without a copy.
pub(crate) fn resample_owned(audio: Audio, rate_hz: u32) -> Result<Audio, DataError> {
    match audio.sample_rate_hz == rate_hz && rate_hz != 0 && !audio.samples.is_empty() {
        true => Ok(audio),
        false => resample(&audio, rate_hz),
    }
}

/// Number of samples after resampling, rounded half up in integers; at least one.
pub(crate) fn resampled_length(samples: usize, from_hz: u32, to_hz: u32) -> usize {
    let (n, from, to) = (samples as u128, u128::from(from_hz), u128::from(to_hz));
    (((2 * n * to + from) / (2 * from)) as usize).max(1)
}

/// Finds or plans the resampler for these rates and moves it to the front of the kept ones.
fn planned(
    kept: &mut Vec<Planned>,
    from_hz: u32,
    to_hz: u32,
) -> Result<&mut Fft<f32>, rubato::ResamplerConstructionError> {
    match kept
        .iter()
        .position(|planned| (planned.from_hz, planned.to_hz) == (from_hz, to_hz))
    {
        Some(at) => kept[..=at].rotate_right(1),
        None => {
            let resampler = plan(from_hz, to_hz)?;
            kept.truncate(KEPT_PER_THREAD - 1);
            kept.insert(
                0,
                Planned {
                    from_hz,
                    to_hz,
                    resampler,
                },
            );
        }
    }
    Ok(&mut kept[0].resampler)
}

/// Drops the least recently used resamplers beyond [`KEPT_SAMPLES`].
fn drop_beyond_limit(kept: &mut Vec<Planned>) {
    let mut sum = 0;
    kept.retain(|planned| {
        sum += planned.samples();
        sum <= KEPT_SAMPLES
    });
}

fn plan(from_hz: u32, to_hz: u32) -> Result<Fft<f32>, rubato::ResamplerConstructionError> {
    Fft::new_custom(
        from_hz as usize,
        to_hz as usize,
        block_length(from_hz, to_hz),
        1,
        1,
        WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
}

/// Samples at `from_hz` that are transformed at a time; also the length of the filter. Even at both
/// rates, because the filter delays by half a block, and half an odd block would shift the sound by
/// half a sample.
fn block_length(from_hz: u32, to_hz: u32) -> usize {
    let divisor = greatest_common_divisor(from_hz, to_hz);
    let (unit_in, unit_out) = ((from_hz / divisor) as usize, (to_hz / divisor) as usize);
    let units = MIN_BLOCK
        .div_ceil(unit_in.min(unit_out))
        .next_multiple_of(2);
    units * unit_in
}

fn run(resampler: &mut Fft<f32>, samples: &[f32]) -> Result<Vec<f32>, rubato::ResampleError> {
    let input =
        InterleavedSlice::new(samples, 1, samples.len()).expect("one channel of its own length");
    Ok(resampler
        .process_all(&input, samples.len(), None)?
        .take_data())
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn resamplers_are_kept_for_usual_rates_and_not_for_rates_without_a_common_divisor() {
        // A new thread has kept none yet.
        let kept_after = |from_hz: &[u32]| {
            std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    for &sample_rate_hz in from_hz {
                        let samples = vec![0.1; 100];
                        let audio = Audio {
                            samples,
                            sample_rate_hz,
                        };
                        resample(&audio, 16_384).unwrap();
                    }
                    PLANNED.with_borrow(|kept| kept.iter().map(|p| p.from_hz).collect::<Vec<_>>())
                });
                thread.join().unwrap()
            })
        };
        assert_eq!(
            kept_after(&[48_000, 44_100, 22_050, 48_000]),
            [48_000, 22_050, 44_100]
        );
        assert_eq!(kept_after(&[44_100, 191_999]), [0; 0]);
        assert_eq!(kept_after(&[191_999, 44_100, 48_000]), [48_000, 44_100]);
    }

    /// Tested from each to each.
    const RATES_HZ: [u32; 9] = [
        4_000, 8_000, 11_025, 16_384, 22_050, 44_100, 48_000, 96_000, 192_000,
    ];

    fn sine(hz: f64, rate_hz: u32, samples: usize) -> Audio {
        let turn = std::f64::consts::TAU * hz / f64::from(rate_hz);
        Audio {
            samples: (0..samples)
                .map(|n| (turn * n as f64 + 0.3).sin() as f32)
                .collect(),
            sample_rate_hz: rate_hz,
        }
    }

    fn pairs() -> impl Iterator<Item = (u32, u32)> {
        RATES_HZ
            .iter()
            .flat_map(|&from| RATES_HZ.iter().map(move |&to| (from, to)))
    }

    /// The amplitude of this sine in `signal`, by least squares, and the level of the rest relative
    /// to a sine of amplitude 1.
    fn fit(signal: &[f32], hz: f64, rate_hz: u32) -> (f64, f64) {
        let turn = std::f64::consts::TAU * hz / f64::from(rate_hz);
        let basis = |n: usize| (turn * n as f64).sin_cos();
        let (mut ss, mut sc, mut cc, mut sx, mut cx) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (n, &x) in signal.iter().enumerate() {
            let ((s, c), x) = (basis(n), f64::from(x));
            ss += s * s;
            sc += s * c;
            cc += c * c;
            sx += s * x;
            cx += c * x;
        }
        let determinant = ss * cc - sc * sc;
        let a = (sx * cc - cx * sc) / determinant;
        let b = (cx * ss - sx * sc) / determinant;
        let rest: f64 = signal
            .iter()
            .enumerate()
            .map(|(n, &x)| {
                let (s, c) = basis(n);
                (f64::from(x) - a * s - b * c).powi(2)
            })
            .sum();
        (a.hypot(b), (2.0 * rest / signal.len() as f64).sqrt())
    }

    fn db(ratio: f64) -> f64 {
        20.0 * ratio.log10()
    }

    /// The inner third of a resampled sine of six blocks: the filter, a block long, rings where the
    /// sine begins and ends.
    fn middle_of_resampled(hz: f64, from_hz: u32, to_hz: u32) -> Vec<f32> {
        let sound = sine(hz, from_hz, 6 * block_length(from_hz, to_hz));
        let out = resample(&sound, to_hz).unwrap().samples;
        out[out.len() / 3..2 * out.len() / 3].to_vec()
    }

    #[test]
    fn the_pass_band_is_flat_and_all_else_is_below_minus_125_db() {
        let (mut ripple, mut noise, mut checked) = (0.0_f64, f64::MIN, 0);
        for (from_hz, to_hz) in pairs().filter(|(from, to)| from != to) {
            for share in [0.02, 0.31, 0.6, 0.8, 0.9, 0.95] {
                let hz = share * 0.5 * f64::from(from_hz.min(to_hz));
                let (gain, rest) = fit(&middle_of_resampled(hz, from_hz, to_hz), hz, to_hz);
                ripple = ripple.max(db(gain).abs());
                noise = noise.max(db(rest));
                checked += 1;
            }
        }
        assert_eq!(checked, 72 * 6);
        assert!(ripple < 0.001, "the gain is off by {ripple} dB");
        assert!(noise < -125.0, "{noise} dB besides the sine");
    }

    #[test]
    fn a_sine_above_the_new_nyquist_frequency_vanishes() {
        let (mut loudest, mut checked) = (f64::MIN, 0);
        for (from_hz, to_hz) in pairs().filter(|(from, to)| from > to) {
            for share in [1.0, 1.003, 1.007, 1.015, 1.03, 1.1, 1.5, 1.9, 2.6, 5.3] {
                let hz = share * 0.5 * f64::from(to_hz);
                if hz >= 0.499 * f64::from(from_hz) {
                    continue;
                }
                let out = middle_of_resampled(hz, from_hz, to_hz);
                let power: f64 = out.iter().map(|&x| f64::from(x).powi(2)).sum();
                let level = db((2.0 * power / out.len() as f64).sqrt());
                loudest = loudest.max(level);
                checked += 1;
            }
        }
        assert!(checked > 300, "{checked}");
        assert!(loudest < -125.0, "{loudest} dB are left");
    }

    #[test]
    fn an_impulse_keeps_its_time() {
        for (from_hz, to_hz) in pairs() {
            for seconds in [0.0, 0.01, 0.25, 0.4999] {
                let position = (seconds * f64::from(from_hz)) as usize;
                let mut samples = vec![0.0; from_hz as usize / 2];
                samples[position] = 1.0;
                let out = resample(
                    &Audio {
                        samples,
                        sample_rate_hz: from_hz,
                    },
                    to_hz,
                )
                .unwrap();
                let loudest = (0..out.samples.len())
                    .max_by(|&a, &b| out.samples[a].total_cmp(&out.samples[b]))
                    .unwrap();
                let expected = position as f64 * f64::from(to_hz) / f64::from(from_hz);
                let last = (out.samples.len() - 1) as f64;
                assert!(
                    (loudest as f64 - expected.min(last)).abs() <= 0.51,
                    "{from_hz} to {to_hz} Hz: {expected} became {loudest}"
                );
            }
        }
    }

    #[test]
    fn the_length_is_that_of_the_sound_and_never_zero() {
        for (from_hz, to_hz) in pairs() {
            for samples in [1, 2, 3, 100, 1023, 4097] {
                let out = resample(&sine(100.0, from_hz, samples), to_hz).unwrap();
                let exact = samples as f64 * f64::from(to_hz) / f64::from(from_hz);
                assert_eq!(
                    out.samples.len(),
                    ((exact + 0.5).floor() as usize).max(1),
                    "{samples} from {from_hz} to {to_hz} Hz"
                );
                assert_eq!(out.sample_rate_hz, to_hz);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_length_is_that_of_the_sound_at_any_rates(
            samples in 1_usize..3_000,
            from_hz in 100_u32..200_000,
            to_hz in 100_u32..200_000,
        ) {
            let audio = Audio { samples: vec![0.25; samples], sample_rate_hz: from_hz };
            let exact = samples as f64 * f64::from(to_hz) / f64::from(from_hz);
            prop_assume!(exact < 2e5);
            let got = resample(&audio, to_hz).unwrap().samples.len();
            prop_assert!((got as f64 - exact.max(1.0)).abs() <= 1.0, "{got}, expected {exact}");
            prop_assert_eq!(got, resampled_length(samples, from_hz, to_hz));
        }
    }

    #[test]
    fn equal_rates_change_nothing() {
        let audio = sine(440.0, 22_050, 1234);
        assert_eq!(resample(&audio, 22_050).unwrap(), audio);
    }

    #[test]
    fn the_result_does_not_depend_on_what_was_resampled_before() {
        let audio = sine(440.0, 44_100, 5000);
        let fresh = std::thread::spawn({
            let audio = audio.clone();
            move || resample(&audio, 16_384).unwrap()
        });
        for &rate_hz in &RATES_HZ {
            resample(&sine(1000.0, 44_100, 3000), rate_hz).unwrap();
        }
        assert_eq!(resample(&audio, 16_384).unwrap(), fresh.join().unwrap());
    }

    #[test]
    fn an_empty_sound_and_a_rate_of_zero_are_refused() {
        for (samples, from_hz, to_hz) in [(0, 8_000, 16_000), (5, 0, 16_000), (5, 8_000, 0)] {
            let audio = Audio {
                samples: vec![0.1; samples],
                sample_rate_hz: from_hz,
            };
            assert!(matches!(
                resample(&audio, to_hz),
                Err(DataError::Resample { .. })
            ));
        }
    }
}
