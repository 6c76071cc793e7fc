//! Properties of random sounds.

use std::collections::BTreeMap;
use std::time::Instant;

use params::{Patch, sha256_pcm};
use proptest::prelude::*;
use synth::{SynthError, Voice, pcm16};

const RATE_HZ: u32 = 16_384;
const DRAWS: u64 = 2_000;

fn sound(patch: &Patch, sample_rate_hz: u32, n_samples: usize) -> Vec<f32> {
    sound_of(Voice::Subtractive, patch, sample_rate_hz, n_samples)
}

fn draw(seed: u64, index: u64) -> Patch {
    Voice::Subtractive.draw(seed, index)
}

fn sound_of(voice: Voice, patch: &Patch, sample_rate_hz: u32, n_samples: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; n_samples];
    voice.render(patch, sample_rate_hz, &mut out).unwrap();
    out
}

fn rms(samples: &[f32]) -> f32 {
    (samples.iter().map(|x| x * x).sum::<f32>() / samples.len() as f32).sqrt()
}

/// Relative difference of a sound from `high`, the same sound at twice the rate.
fn difference_at_twice_the_rate(low: &[f32], high: &[f32]) -> f32 {
    let pairs = low.iter().zip(high.iter().step_by(2));
    let difference: Vec<f32> = pairs.map(|(a, b)| a - b).collect();
    rms(&difference) / rms(low)
}

/// Changes parameters of a patch.
fn set<T: Copy>(values: &mut BTreeMap<String, T>, others: &[(&str, T)]) {
    for &(name, value) in others {
        values
            .insert(name.into(), value)
            .expect("a parameter of the voice");
    }
}

#[test]
fn draws_are_finite_within_full_scale_and_seldom_silent() {
    // -60 dBFS because 16 bits end at -96 dBFS: below it, rounding is less than 36 dB away, and
    // normalisation would show it to a network as part of the sound.
    for voice in Voice::ALL {
        let (mut silent, mut limited, mut varied) = (0, 0, 0);
        for index in 0..DRAWS {
            let out = sound_of(voice, &voice.draw(1, index), RATE_HZ, RATE_HZ as usize);
            assert!(out.iter().all(|x| x.abs() <= 1.0), "{voice} {index}");
            let mean = out.iter().sum::<f32>() / out.len() as f32;
            silent += u64::from(rms(&out) < 1e-3);
            limited += u64::from(out.iter().any(|x| x.abs() > 0.8));
            // Frames of 50 ms in the held note.
            let levels: Vec<f32> = out[..12_288].chunks(819).map(rms).collect();
            let loudest = levels.iter().copied().fold(0.0, f32::max);
            let softest = levels.iter().copied().fold(f32::MAX, f32::min);
            varied += u64::from(softest < 0.5 * loudest);
            // A modulated operator at the note's frequency has an offset, as on the instrument.
            if voice == Voice::Subtractive {
                assert!(mean.abs() < 0.005, "draw {index} has the offset {mean}");
            }
        }
        println!("of {DRAWS} {voice}: silent {silent}, limited {limited}, varied {varied}");
        assert!(silent < DRAWS / 20, "{silent} of {DRAWS} are silent");
        assert!(
            limited < DRAWS / 100,
            "{limited} of {DRAWS} reach the limiter"
        );
        assert!(
            varied > DRAWS / 2,
            "only {varied} of {DRAWS} change by 6 dB while held"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_shorter_sound_is_the_beginning_of_a_longer_one(
        seed in any::<u64>(),
        index in any::<u64>(),
        short in 0_usize..5_000,
        more in 1_usize..3_000,
        rate_hz in 4_000_u32..48_000,
    ) {
        for voice in Voice::ALL {
            let patch = voice.draw(seed, index);
            let long = sound_of(voice, &patch, rate_hz, short + more);
            prop_assert_eq!(&sound_of(voice, &patch, rate_hz, short)[..], &long[..short]);
            prop_assert!(long.iter().all(|x| x.abs() <= 1.0));
        }
    }
}

#[test]
fn the_same_patch_is_the_same_sound_bit_for_bit() {
    for voice in Voice::ALL {
        for index in 0..20 {
            let sound = || sound_of(voice, &voice.draw(2, index), RATE_HZ, 9_000);
            let first = sound();
            sound_of(voice, &voice.draw(2, index + 1), 44_100, 500);
            assert_eq!(first, sound());
        }
    }
}

#[test]
fn the_first_sounds_are_pinned() {
    // No voice uses the platform's mathematical library, so these checksums hold on every platform.
    let sums = Voice::ALL.map(|voice| {
        let patch = voice.draw(0, 0);
        sha256_pcm(&pcm16(&sound_of(voice, &patch, RATE_HZ, RATE_HZ as usize)))
    });
    assert_eq!(
        sums,
        [
            "38be22e61d2b3451b1b1231baf63efcaf0093180ccb2f51eb6b626258fed6b83",
            "ce1bc8be753cce5bae0f344e2e8ed7cfc9acd1d0d29a5dd66f52e5fe8011599e"
        ]
    );
}

#[test]
fn after_the_release_there_is_silence_and_not_before() {
    for index in 0..20 {
        let mut patch = draw(3, index);
        set(&mut patch.cont, &[("sustain", 0.9), ("noise_level", 0.5)]);
        let end_s = Voice::Subtractive.describe(RATE_HZ).note_s + patch.cont["release_s"];
        let end = (end_s * RATE_HZ as f32) as usize;
        let out = sound(&patch, RATE_HZ, 2 * RATE_HZ as usize);
        assert!(
            out[end - 100..end - 16].iter().any(|&x| x != 0.0),
            "draw {index}"
        );
        assert!(out[end + 1..].iter().all(|&x| x == 0.0), "draw {index}");
    }
}

/// A sustained sound of oscillator 1 alone, the filter wide open.
fn plain(wave: usize, fm_ratio: usize, fm_index: f32) -> Patch {
    let mut patch = draw(0, 0);
    let cont = [
        ("osc_mix", 0.0),
        ("fm_index", fm_index),
        ("noise_level", 0.0),
        ("cutoff_hz", 80.0),
        ("resonance", 0.0),
        ("filter_env_octaves", 0.0),
        ("attack_s", 0.01),
        ("sustain", 1.0),
        ("lfo_depth", 0.0),
    ];
    set(&mut patch.cont, &cont);
    set(
        &mut patch.cat,
        &[
            ("osc1_wave", wave),
            ("fm_ratio", fm_ratio),
            ("filter_type", 2),
        ],
    );
    patch
}

#[test]
fn a_sound_hardly_depends_on_the_sample_rate() {
    for wave in 0..2 {
        let low = sound(&plain(wave, 1, 0.5), 22_050, 16_000);
        let high = sound(&plain(wave, 1, 0.5), 44_100, 32_000);
        let relative = difference_at_twice_the_rate(&low, &high);
        println!("wave {wave}: {relative}");
        assert!(relative < 0.02, "wave {wave}: {relative}");
    }
}

#[test]
fn a_full_tremolo_does_not_stop_the_voice_behind_it() {
    let mut patch = plain(2, 1, 0.5);
    set(&mut patch.cat, &[("lfo_target", 2), ("lfo_shape", 4)]);
    set(&mut patch.cont, &[("lfo_rate_hz", 2.0)]);
    let steady = sound(&patch, RATE_HZ, 12_288);
    set(&mut patch.cont, &[("lfo_depth", 1.0)]);
    let gated = sound(&patch, RATE_HZ, 12_288);
    // On for the first and third quarter of a second, off for the second; a block for each ramp.
    let first_difference = |range: std::ops::Range<usize>| {
        range
            .into_iter()
            .find(|&i| gated[i] != steady[i])
            .map(|i| (i, gated[i], steady[i]))
    };
    assert_eq!(first_difference(0..4_080), None);
    assert!(gated[4_096..8_176].iter().all(|&x| x == 0.0));
    assert_eq!(first_difference(8_192..12_272), None);
}

#[test]
fn invalid_rates_and_patches_are_refused() {
    for (voice, name) in [(Voice::Subtractive, "cutoff_hz"), (Voice::Fm, "lfo_speed")] {
        let mut patch = voice.draw(0, 0);
        assert_eq!(
            voice.render(&patch, 3_999, &mut []),
            Err(SynthError::SampleRate {
                min_hz: 4_000,
                got_hz: 3_999
            })
        );
        patch.cont.insert(name.into(), 7.0);
        let error = voice.render(&patch, RATE_HZ, &mut []).unwrap_err();
        let source = std::error::Error::source(&error).expect("the parameter's own error");
        let expected = format!("`{name}` is 7");
        assert!(source.to_string().contains(&expected), "{source}");
    }
}

#[test]
fn an_fm_note_is_released_after_its_end_and_a_still_patch_hardly_depends_on_the_sample_rate() {
    let mut patch = Voice::Fm.draw(0, 0);
    // The first operator alone, held at full level.
    let cont = [
        ("feedback", 0.0),
        ("carrier_attack_rate", 1.0),
        ("carrier_sustain_level", 1.0),
        ("modulator_decay_rate", 1.0),
        ("modulator_sustain_level", 0.0),
        ("op2_level", 0.0),
        ("op4_level", 0.0),
        ("lfo_pitch_depth", 0.0),
        ("lfo_amp_depth", 0.0),
    ];
    set(&mut patch.cont, &cont);
    let of = |rate_hz: u32| sound_of(Voice::Fm, &patch, rate_hz, 3 * rate_hz as usize / 2);
    let (low, high) = (of(22_050), of(44_100));
    let relative = difference_at_twice_the_rate(&low, &high);
    assert!(relative < 0.02, "{relative}");

    let end = (Voice::Fm.describe(22_050).note_s * 22_050.0) as usize;
    let held = rms(&low[end - 2_205..end]);
    // 150 dB/s: 60 dB in 0.4 s.
    let [after_a_while, at_last] = [2_205, 8_820].map(|after| rms(&low[end + after..][..2_205]));
    assert!(after_a_while < held / 4.0 && after_a_while > held / 100.0);
    assert!(at_last < held / 900.0, "{at_last} {held}");
}

#[test]
fn samples_are_rounded_to_sixteen_bits_and_kept_in_range() {
    let lsb = 1.0 / 32_768.0;
    let pcm = pcm16(&[0.0, 0.6 * lsb, -1.4 * lsb, 0.5, -1.0, 1.0]);
    assert_eq!(pcm, [0, 1, -1, 16_384, -32_768, 32_767]);
}

#[test]
fn rendering_is_much_faster_than_real_time() {
    const CLIPS: u64 = 200;
    let mut out = vec![0.0; RATE_HZ as usize];
    for voice in Voice::ALL {
        let start = Instant::now();
        for index in 0..CLIPS {
            voice
                .render(&voice.draw(4, index), RATE_HZ, &mut out)
                .unwrap();
            std::hint::black_box(&mut out);
        }
        let speed = CLIPS as f64 / start.elapsed().as_secs_f64();
        println!("{voice}: {speed:.0} times real time");
        // Thousands on one quiet core; machines that run tests are shared.
        assert!(speed > 100.0, "{voice}: only {speed:.0} times real time");
    }
}
