//! Properties of the distances, through the public interface.

use distances::{DistanceError, Panel, Score, rms_cosine, score, sot};
use proptest::prelude::*;
use stft_data::{Audio, MAX_SAMPLE};

const RATE_HZ: u32 = 8_000;

fn audio(samples: Vec<f32>) -> Audio {
    Audio {
        samples,
        sample_rate_hz: RATE_HZ,
    }
}

fn sine(hz: f64, samples: usize) -> Audio {
    let turn = std::f64::consts::TAU * hz / f64::from(RATE_HZ);
    audio(
        (0..samples)
            .map(|n| (turn * n as f64).sin() as f32)
            .collect(),
    )
}

fn panel() -> Panel {
    Panel::new(RATE_HZ).unwrap()
}

fn all(score: Score) -> [f64; 5] {
    [
        score.mss,
        score.wmfcc,
        score.sot,
        score.rms_cosine,
        score.logmel_l1,
    ]
}

/// A decaying mixture of a tone and noise, sometimes with silence at its end.
fn sounds() -> impl Strategy<Value = Audio> {
    (
        1_usize..2_500,
        60.0..3_900.0_f64,
        0.0..30.0_f64,
        0.0..1.0_f64,
        prop::collection::vec(-1.0..1.0_f64, 64),
        0.3..1.0_f64,
    )
        .prop_map(|(samples, hz, decay, tonal, noise, sounding)| {
            let end = (samples as f64 * sounding).ceil() as usize;
            let wave = (0..samples).map(|n| {
                let s = n as f64 / f64::from(RATE_HZ);
                // A prime stride through few values: no short period.
                let noise = noise[n * 37 % 64] * noise[n / 64 * 11 % 64];
                let wave = tonal * (std::f64::consts::TAU * hz * s).sin() + (1.0 - tonal) * noise;
                if n < end {
                    ((-decay * s).exp() * wave) as f32
                } else {
                    0.0
                }
            });
            audio(wave.collect())
        })
}

/// Sounds of any valid samples, including zeros and very large and small ones.
fn any_sounds() -> impl Strategy<Value = Audio> {
    let sample = prop_oneof![
        Just(0.0_f32),
        -1.0..1.0_f32,
        -MAX_SAMPLE..MAX_SAMPLE,
        Just(f32::from_bits(1)),
        Just(1e-23),
        Just(-MAX_SAMPLE),
    ];
    prop::collection::vec(sample, 1..900).prop_map(audio)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_sound_has_no_distance_from_itself(sound in sounds()) {
        let same = panel().score(&sound, &sound).unwrap();
        prop_assert_eq!([same.mss, same.wmfcc, same.sot, same.logmel_l1], [0.0; 4]);
        prop_assert!((same.rms_cosine - 1.0).abs() < 1e-12);
    }

    #[test]
    fn target_and_estimate_may_be_swapped(a in sounds(), b in sounds()) {
        let panel = panel();
        let (there, back) = (panel.score(&a, &b).unwrap(), panel.score(&b, &a).unwrap());
        for (there, back) in all(there).into_iter().zip(all(back)) {
            prop_assert!((there - back).abs() <= 1e-12 * there.abs());
        }
    }

    #[test]
    fn every_distance_is_finite_and_in_its_range(a in any_sounds(), b in any_sounds()) {
        let got = panel().score(&a, &b).unwrap();
        prop_assert!(all(got).iter().all(|value| value.is_finite()));
        prop_assert!((0.0..=80.0).contains(&got.mss));
        prop_assert!((0.0..=1.0).contains(&got.sot));
        prop_assert!((0.0..=1.0).contains(&got.rms_cosine));
        prop_assert!(got.wmfcc >= 0.0 && got.logmel_l1 >= 0.0);
    }

    #[test]
    fn the_triangle_inequality_holds(a in sounds(), b in sounds(), c in sounds()) {
        // One length, because padding would change a sound from pair to pair.
        let length = [&a, &b, &c].map(|sound| sound.samples.len()).into_iter().max().unwrap();
        let [a, b, c] = [a, b, c].map(|mut sound| {
            sound.samples.resize(length, 0.0);
            sound
        });
        let panel = panel();
        for distance in [Panel::mss, Panel::sot, Panel::logmel_l1] {
            let direct = distance(&panel, &a, &b).unwrap();
            let detour = distance(&panel, &a, &c).unwrap() + distance(&panel, &c, &b).unwrap();
            prop_assert!(direct <= detour + 1e-9);
        }
    }

    #[test]
    fn gain_changes_neither_mss_nor_the_similarity_of_envelopes(a in sounds(), b in sounds(), exponent in -75_i32..30) {
        // A power of two is exact, so only the logarithm is rounded.
        let gain = 2_f32.powi(exponent);
        let louder = audio(b.samples.iter().map(|x| x * gain).collect());
        let panel = panel();
        let (before, after) = (panel.score(&a, &b).unwrap(), panel.score(&a, &louder).unwrap());
        prop_assert!((before.mss - after.mss).abs() < 1e-9, "{} {}", before.mss, after.mss);
        prop_assert!((before.rms_cosine - after.rms_cosine).abs() < 1e-12);
    }

    #[test]
    fn silence_after_the_shorter_sound_changes_only_the_warping(a in sounds(), b in sounds()) {
        let panel = panel();
        let (mut longer_a, mut longer_b) = (a.clone(), b.clone());
        let length = a.samples.len().max(b.samples.len());
        longer_a.samples.resize(length, 0.0);
        longer_b.samples.resize(length, 0.0);
        let (given, padded) = (panel.score(&a, &b).unwrap(), panel.score(&longer_a, &longer_b).unwrap());
        prop_assert_eq!(
            [given.mss, given.sot, given.rms_cosine, given.logmel_l1],
            [padded.mss, padded.sot, padded.rms_cosine, padded.logmel_l1]
        );
    }

    #[test]
    fn one_by_one_the_distances_are_those_of_the_score(a in sounds(), b in sounds()) {
        let panel = panel();
        let alone = [Panel::mss, Panel::wmfcc, Panel::sot, Panel::rms_cosine, Panel::logmel_l1]
            .map(|distance| distance(&panel, &a, &b).unwrap());
        prop_assert_eq!(alone, all(panel.score(&a, &b).unwrap()));
    }
}

#[test]
fn the_further_a_partial_moves_the_more_there_is_to_transport() {
    let panel = panel();
    let target = sine(300.0, 4_000);
    let distances: Vec<f64> = (0..70)
        .map(|step| {
            panel
                .sot(&target, &sine(300.0 + 50.0 * f64::from(step), 4_000))
                .unwrap()
        })
        .collect();
    assert!(distances.is_sorted_by(|a, b| a < b), "{distances:?}");
    // 3,450 Hz, of 4,000.
    let furthest = distances[69];
    assert!((furthest - 3_450.0 / 4_000.0).abs() < 0.05, "{furthest}");
}

#[test]
fn a_shift_costs_little_when_time_is_warped() {
    let tone_after = |silence: usize| {
        let mut samples = vec![0.0; 2_000];
        samples.splice(silence..silence + 1_200, sine(440.0, 1_200).samples);
        audio(samples)
    };
    let (early, late) = (tone_after(200), tone_after(700));
    let silence = audio(vec![0.0; 2_000]);
    let panel = panel();
    let shifted = panel.score(&early, &late).unwrap();
    let lost = panel.score(&early, &silence).unwrap();
    let warped = shifted.wmfcc / lost.wmfcc;
    let frame_by_frame = shifted.logmel_l1 / lost.logmel_l1;
    assert!(warped < 0.5 * frame_by_frame, "{shifted:?} {lost:?}");
}

#[test]
fn silence_is_far_from_steady_noise() {
    // A level relative to a silent maximum of 0 would make it similar to noise.
    let panel = panel();
    let silence = audio(vec![0.0; 4_000]);
    let mut state = 1_u32;
    let noise = audio(
        (0..4_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state as f32 / 2_f32.powi(31) - 1.0
            })
            .collect(),
    );
    let quieter = audio(noise.samples.iter().map(|x| x * 0.01).collect());
    for sound in [&noise, &quieter] {
        assert!(panel.mss(&silence, sound).unwrap() > 50.0);
    }
    assert!(panel.mss(&noise, &quieter).unwrap() < 1e-2);
    assert_eq!(panel.rms_cosine(&silence, &noise).unwrap(), 0.0);
    assert_eq!(
        all(panel.score(&silence, &silence).unwrap()),
        [0.0, 0.0, 0.0, 1.0, 0.0]
    );
}

#[test]
fn sounds_of_any_length_are_compared() {
    let panel = panel();
    let lengths = [1, 2, 3, 39, 40, 41, 79, 80, 81, 399, 400, 401, 1_000];
    for target in lengths {
        for estimate in lengths {
            let got = panel
                .score(&sine(440.0, target + 1), &sine(440.0, estimate + 1))
                .unwrap();
            assert!(all(got).iter().all(|value| value.is_finite()));
            if target == estimate {
                assert_eq!(got.mss, 0.0);
            }
        }
    }
}

#[test]
fn what_cannot_be_compared_is_refused_by_name() {
    let tone = sine(440.0, 100);
    let other_rate = Audio {
        sample_rate_hz: 44_100,
        ..tone.clone()
    };
    assert!(matches!(
        score(&tone, &other_rate).unwrap_err(),
        DistanceError::SampleRate {
            sound: "estimate",
            expected_hz: RATE_HZ,
            got_hz: 44_100
        }
    ));
    assert!(matches!(
        panel().score(&other_rate, &tone).unwrap_err(),
        DistanceError::SampleRate {
            sound: "target",
            ..
        }
    ));
    assert!(matches!(
        score(&audio(Vec::new()), &tone).unwrap_err(),
        DistanceError::Empty { sound: "target" }
    ));
    for value in [f32::NAN, f32::NEG_INFINITY, 1.1 * MAX_SAMPLE] {
        let mut broken = tone.clone();
        broken.samples[7] = value;
        assert!(matches!(
            score(&tone, &broken).unwrap_err(),
            DistanceError::ImpossibleSample {
                sound: "estimate",
                at_sample: 7,
                ..
            }
        ));
    }
    for rate_hz in [0, 3_999, 655_361, u32::MAX] {
        assert!(matches!(
            Panel::new(rate_hz),
            Err(DistanceError::UnsupportedRate { got_hz, .. }) if got_hz == rate_hz
        ));
    }
}

#[test]
fn a_score_is_written_by_name() {
    let tone = sine(440.0, 100);
    let json = serde_json::to_value(score(&tone, &tone).unwrap()).unwrap();
    let mut names: Vec<&String> = json.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["logmel_l1", "mss", "rms_cosine", "sot", "wmfcc"]);
}

#[test]
fn distances_without_mel_filters_equal_the_panels_and_support_lower_rates() {
    let [target, estimate] = [sine(440.0, 4_000), sine(990.0, 3_000)];
    let panel = panel().score(&target, &estimate).unwrap();
    assert_eq!(sot(&target, &estimate).unwrap(), panel.sot);
    assert_eq!(rms_cosine(&target, &estimate).unwrap(), panel.rms_cosine);

    // A quarter of the rate makes the same spectra two octaves lower, and spectra are compared in shares of it.
    let slower = |sound: &Audio, sample_rate_hz| Audio {
        sample_rate_hz,
        ..sound.clone()
    };
    let estimate = sine(990.0, 4_000);
    let [target, estimate] = [&target, &estimate].map(|sound| slower(sound, 2_000));
    let moved = sot(&target, &estimate).unwrap();
    let share = (990.0 - 440.0) / f64::from(RATE_HZ / 2);
    assert!(
        (moved - share).abs() < 0.3 * share + 0.02,
        "{moved} {share}"
    );
    let too_slow = slower(&target, 999);
    for refused in [sot(&too_slow, &too_slow), rms_cosine(&too_slow, &too_slow)] {
        let at_least = |error: &DistanceError| {
            matches!(error, DistanceError::UnsupportedRate { min_hz: 1_000, .. })
        };
        assert!(refused.as_ref().is_err_and(at_least), "{refused:?}");
    }
}
