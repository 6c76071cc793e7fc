//! Every parameter is audible.

use params::{ParamVector, Patch};
use synth::Voice;

/// Patches for each parameter.
const PATCHES: u64 = 40;

/// A clear change: a difference of 20 dB below the sound.
const CLEAR: f32 = 0.1;

fn vector(voice: Voice, index: u64) -> ParamVector {
    voice.spec().encode(&voice.draw(5, index)).unwrap()
}

fn sound(voice: Voice, vector: &ParamVector) -> Vec<f32> {
    let patch: Patch = voice.spec().decode(vector).unwrap();
    let mut out = vec![0.0; 16_384];
    voice.render(&patch, 16_384, &mut out).unwrap();
    out
}

/// The L2 norm of the difference over the larger of both norms.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    let norm = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>().sqrt();
    let difference: Vec<f32> = a.iter().zip(b).map(|(x, y)| x - y).collect();
    norm(&difference) / norm(a).max(norm(b)).max(1e-6)
}

#[test]
fn moving_any_continuous_parameter_by_half_its_range_often_changes_the_sound() {
    let mut checked = 0;
    for voice in Voice::ALL {
        // Feedback has no effect at an operator of low level, nor has the level of a modulator of one.
        let enough = match voice {
            Voice::Subtractive => PATCHES / 4,
            Voice::Fm => PATCHES / 10,
        };
        for (p, param) in voice.spec().continuous().enumerate() {
            let changed = (0..PATCHES)
                .filter(|&index| {
                    let here = vector(voice, index);
                    let mut there = here.clone();
                    there.cont[p] = (here.cont[p] + 0.5) % 1.0;
                    distance(&sound(voice, &here), &sound(voice, &there)) > CLEAR
                })
                .count();
            println!("{voice} {}: {changed} of {PATCHES}", param.name);
            assert!(
                changed as u64 >= enough,
                "{voice} {} in {changed} of {PATCHES}",
                param.name
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 14 + 15);
}

#[test]
fn every_class_sounds_unlike_every_other_in_some_patch() {
    let mut checked = 0;
    for voice in Voice::ALL {
        let counts = voice.spec().class_counts();
        for ((p, param), count) in voice.spec().categorical().enumerate().zip(counts) {
            let sounds = |index, class| {
                let mut vector = vector(voice, index);
                vector.cat[p] = class;
                sound(voice, &vector)
            };
            for a in 0..count {
                for b in 0..a {
                    let differ =
                        |&index: &u64| distance(&sounds(index, a), &sounds(index, b)) > CLEAR;
                    assert!(
                        (0..PATCHES).any(|i| differ(&i)),
                        "{voice} {} {a} {b}",
                        param.name
                    );
                    checked += 1;
                }
            }
        }
    }
    let subtractive = 2 * 6 + 2 * 15 + 3 + 10 + 3;
    assert_eq!(checked, subtractive + 3 * 28 + 10);
}
