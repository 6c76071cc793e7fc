//! The voice: oscillators, noise, filter and amplifier, sample by sample.

use std::f32::consts::TAU;

use params::keyed_rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use crate::limiter::limit;
use crate::note::NOTE_HZ;
use crate::oscillator::{Waveform, Wavetable, phase_of};

use super::envelope::{Adsr, fall};
use super::filter::{StateVariableFilter, damping, integrator_gain};
use super::settings::{Settings, Target};

/// Samples between two evaluations of envelopes and LFO; values in between are interpolated linearly.
/// 1 ms at 16,384 Hz, half of the shortest attack; at the lowest rate the attack is no shorter than
/// a block of 4 ms.
const BLOCK: usize = 16;

/// Vibrato at full depth, in semitones in both directions.
const VIBRATO_SEMITONES: f32 = 3.0;

/// Shift of the cutoff by the LFO at full depth, in octaves in both directions.
const SWEEP_OCTAVES: f32 = 2.0;

/// Level of the sum before the filter: no waveform alone reaches the limiter, and few resonant
/// patches do (1 of 2,000 draws at 16,384 Hz). Those that do gain harmonics that may alias.
const LEVEL: f32 = 0.5;

/// Key of the noise: the same samples in every sound, so that sounds differ by their patch alone.
const NOISE: u64 = u64::from_le_bytes(*b"noise\0\0\0");

/// A playing voice.
///
/// ```text
///                modulator (sine)                filter envelope      amplifier envelope
///                    | phase                            |                     |
///                    v                                  v                     v
/// LFO - pitch -> oscillator 1 --+                    cutoff               amplitude
///          |                    +-- mix --+             |                     |
///          +---> oscillator 2 --+         +-- sum -> filter -----------> amplifier -> limiter ->
///                               noise ----+             ^                     ^
///                                                 LFO --+---------------------+
/// ```
///
/// The LFO modulates pitch, cutoff or amplitude. All envelopes and the LFO are functions of time alone;
/// the state consists of three phases, the filter's two states and the noise.
pub(crate) struct SubtractiveVoice {
    settings: Settings,
    sample_rate_hz: f32,
    envelope: Adsr,
    wave1: Wavetable,
    wave2: Wavetable,
    sine: Wavetable,
    phase1: u32,
    phase2: u32,
    modulator_phase: u32,
    filter: StateVariableFilter,
    noise: ChaCha8Rng,
}

/// Values that vary during the note, at one sample.
#[derive(Debug, Clone, Copy)]
struct Controls {
    /// Periods of oscillator 1 per sample.
    frequency: f32,
    /// The filter's integrator gain.
    filter_g: f32,
    /// The amplifier's gain.
    amplitude: f32,
}

impl SubtractiveVoice {
    pub(crate) fn new(settings: Settings, sample_rate_hz: f32) -> Self {
        let (limit1, limit2) = harmonic_limits(&settings, sample_rate_hz);
        Self {
            envelope: Adsr {
                attack_s: settings.attack_s,
                decay_s: settings.decay_s,
                sustain: settings.sustain,
                release_s: settings.release_s,
            },
            wave1: Wavetable::new(settings.osc1_wave, limit1),
            wave2: Wavetable::new(settings.osc2_wave, limit2),
            sine: Wavetable::new(Waveform::Sine, 1.0),
            phase1: 0,
            phase2: 0,
            modulator_phase: 0,
            filter: StateVariableFilter::default(),
            noise: keyed_rng([0, NOISE, 0, 0]),
            settings,
            sample_rate_hz,
        }
    }

    /// Plays the note from its start into `out`, mono.
    pub(crate) fn play(mut self, out: &mut [f32]) {
        let end = (self.envelope.end_s() * self.sample_rate_hz).ceil() as usize;
        let (sounding, silent) = out.split_at_mut(end.min(out.len()));
        silent.fill(0.0);
        let mut controls = self.controls_at(0);
        for (index, block) in sounding.chunks_mut(BLOCK).enumerate() {
            let next = self.controls_at((index + 1) * BLOCK);
            self.play_block(block, controls, next);
            controls = next;
        }
    }

    fn play_block(&mut self, block: &mut [f32], from: Controls, to: Controls) {
        let s = self.settings;
        let ratio2 = interval_ratio(&s);
        let fm_periods = s.fm_index / TAU;
        let k = damping(s.resonance);
        // Half of the resonance, in dB, is compensated, so that it changes the timbre more than the level.
        let level = LEVEL * (k / damping(0.0)).sqrt();
        for (i, sample) in block.iter_mut().enumerate() {
            let at = i as f32 / BLOCK as f32;
            let mix = |from: f32, to: f32| from + at * (to - from);

            let frequency = mix(from.frequency, to.frequency);
            let deviation = phase_of(fm_periods * self.sine.at(self.modulator_phase));
            let osc1 = self.wave1.at(self.phase1.wrapping_add(deviation));
            let osc2 = self.wave2.at(self.phase2);
            self.phase1 = self.phase1.wrapping_add(phase_of(frequency));
            self.phase2 = self.phase2.wrapping_add(phase_of(frequency * ratio2));
            let modulator = frequency * s.fm_ratio.0;
            self.modulator_phase = self.modulator_phase.wrapping_add(phase_of(modulator));

            let tone = osc1 + s.osc_mix * (osc2 - osc1);
            let sum = tone + s.noise_level * (white(&mut self.noise) - tone);
            let outputs = self
                .filter
                .tick(level * sum, mix(from.filter_g, to.filter_g), k);
            let filtered = outputs[s.filter_type as usize];
            *sample = limit(filtered * mix(from.amplitude, to.amplitude));
        }
    }

    /// Envelopes and LFO at a sample.
    fn controls_at(&self, sample: usize) -> Controls {
        let s = &self.settings;
        let time_s = sample as f32 / self.sample_rate_hz;
        let lfo = s.lfo_shape.at(s.lfo_rate_hz * time_s);
        let moved = |target| {
            if s.lfo_target == target {
                s.lfo_depth * lfo
            } else {
                0.0
            }
        };

        let semitones = VIBRATO_SEMITONES * moved(Target::Pitch);
        let octaves = s.filter_env_octaves * fall(time_s / s.filter_decay_s)
            + SWEEP_OCTAVES * moved(Target::Cutoff);
        let tremolo = match s.lfo_target {
            // Reduced from full level by the depth.
            Target::Amplitude => 1.0 - s.lfo_depth * (1.0 - lfo) / 2.0,
            Target::Pitch | Target::Cutoff => 1.0,
        };
        let cutoff_hz = s.cutoff_hz * libm::exp2f(octaves);
        Controls {
            frequency: NOTE_HZ * semitone_ratio(semitones) / self.sample_rate_hz,
            filter_g: integrator_gain(cutoff_hz, self.sample_rate_hz),
            amplitude: tremolo * self.envelope.level(time_s),
        }
    }
}

/// Half the sample rate over the highest fundamental of each oscillator.
///
/// Phase modulation of index I and ratio r spreads harmonic k of oscillator 1 up to
/// `k + (k I + m) r` times the fundamental, where m counts the sidebands beyond the peak deviation
/// that matter: Carson (1922) uses 1, this voice 3, fading in with I. Aliases between the harmonics are
/// then 50 dB below the strongest, with every waveform, from 16,384 Hz on. At lower rates, the sidebands of
/// a strongly modulated fundamental, which is always kept, exceed half the rate.
fn harmonic_limits(s: &Settings, sample_rate_hz: f32) -> (f32, f32) {
    let vibrato = match s.lfo_target {
        Target::Pitch => semitone_ratio(VIBRATO_SEMITONES * s.lfo_depth),
        Target::Cutoff | Target::Amplitude => 1.0,
    };
    let room = sample_rate_hz / 2.0 / (NOTE_HZ * vibrato);
    let sidebands = 3.0 * (room * s.fm_index).min(1.0) * s.fm_ratio.0;
    let limit1 = (room - sidebands) / (1.0 + s.fm_index * s.fm_ratio.0);
    (limit1, room / interval_ratio(s))
}

fn interval_ratio(s: &Settings) -> f32 {
    semitone_ratio(s.osc2_interval.0 + s.osc2_detune_cents / 100.0)
}

fn semitone_ratio(semitones: f32) -> f32 {
    libm::exp2f(semitones / 12.0)
}

/// White noise with the power of a full-scale sine: uniform in +-sqrt(3/2).
#[inline]
fn white(rng: &mut ChaCha8Rng) -> f32 {
    const SCALE: f32 = 1.224_744_9 / 2_147_483_648.0;
    rng.next_u32() as i32 as f32 * SCALE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Voice;
    use crate::setting::Class;
    use crate::spectrum::{strongest_between_harmonics_db, windowed_power_spectrum};
    use crate::subtractive::filter::Response;
    use crate::subtractive::settings::Ratio;

    #[test]
    fn noise_has_the_power_of_a_full_scale_sine() {
        let mut rng = keyed_rng([5, NOISE, 0, 0]);
        let noise: Vec<f32> = (0..100_000).map(|_| white(&mut rng)).collect();
        let mean = noise.iter().sum::<f32>() / 1e5;
        let power = noise.iter().map(|x| x * x).sum::<f32>() / 1e5;
        assert!(
            mean.abs() < 0.01 && (power - 0.5).abs() < 0.01,
            "{mean} {power}"
        );
    }

    #[test]
    fn no_harmonic_passes_half_the_sample_rate_at_the_peak_of_any_modulation() {
        let mut checked = 0;
        for index in 0..500 {
            let settings = Settings::read(&Voice::Subtractive.draw(1, index)).unwrap();
            for sample_rate_hz in [16_384.0, 44_100.0] {
                let (limit1, limit2) = harmonic_limits(&settings, sample_rate_hz);
                let voice = SubtractiveVoice::new(settings, sample_rate_hz);
                let highest = (0..sample_rate_hz as usize)
                    .step_by(BLOCK)
                    .map(|sample| voice.controls_at(sample).frequency)
                    .fold(0.0, f32::max);
                let swing = 1.0 + settings.fm_index * settings.fm_ratio.0;
                assert!(limit1 >= 1.0, "{limit1}");
                assert!(highest * limit1 * swing <= 0.5001, "{limit1} {highest}");
                assert!(
                    highest * limit2 * interval_ratio(&settings) <= 0.5001,
                    "{limit2}"
                );
                checked += 1;
            }
        }
        assert_eq!(checked, 1_000);
    }

    #[test]
    fn the_lfo_swings_its_target_by_the_depth() {
        let mut settings = Settings::read(&Voice::Subtractive.draw(1, 0)).unwrap();
        settings.lfo_shape = crate::lfo::Shape::Square;
        settings.lfo_depth = 0.5;
        settings.lfo_rate_hz = 2.0;
        settings.filter_env_octaves = 0.0;
        settings.cutoff_hz = 1_000.0;
        // A quarter of a second is high, the next one low; both lie in the held note.
        let swing = |target, read: fn(&Controls) -> f32| {
            let voice = SubtractiveVoice::new(
                Settings {
                    lfo_target: target,
                    ..settings
                },
                16_000.0,
            );
            let still = SubtractiveVoice::new(
                Settings {
                    lfo_target: target,
                    lfo_depth: 0.0,
                    ..settings
                },
                16_000.0,
            );
            [3_200, 4_800].map(|at| read(&voice.controls_at(at)) / read(&still.controls_at(at)))
        };
        let close = |got: [f32; 2], expected: [f32; 2]| {
            let near = got
                .iter()
                .zip(expected)
                .all(|(a, b)| (a / b - 1.0).abs() < 1e-4);
            assert!(near, "expected {expected:?}, got {got:?}");
        };
        let bend = 2.0_f32.powf(1.5 / 12.0);
        close(swing(Target::Pitch, |c| c.frequency), [bend, 1.0 / bend]);
        close(swing(Target::Cutoff, |c| c.filter_g.atan()), [2.0, 0.5]);
        close(swing(Target::Amplitude, |c| c.amplitude), [1.0, 0.5]);
    }

    #[test]
    fn phase_modulation_leaves_less_than_minus_fifty_db_between_its_harmonics() {
        // The fundamental of carrier and sidebands, over the note's; with 1.41 there is none.
        let ratios = [(0.5, 0.5), (1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0)];
        let mut checked = 0;
        let mut worst = f64::NEG_INFINITY;
        for sample_rate_hz in [16_384.0, 44_100.0] {
            for (_, osc1_wave) in Waveform::CLASSES {
                for (ratio, fundamental) in ratios {
                    for fm_index in [0.0, 0.1, 0.5, 1.0, 2.0, 3.0] {
                        // Half a second of sustain, the filter wide open.
                        let settings = Settings {
                            osc1_wave: *osc1_wave,
                            osc_mix: 0.0,
                            fm_ratio: Ratio(ratio),
                            fm_index,
                            noise_level: 0.0,
                            filter_type: Response::High,
                            cutoff_hz: 80.0,
                            resonance: 0.0,
                            filter_env_octaves: 0.0,
                            attack_s: 0.01,
                            sustain: 1.0,
                            lfo_depth: 0.0,
                            ..Settings::read(&Voice::Subtractive.draw(0, 0)).unwrap()
                        };
                        let start = (0.1 * sample_rate_hz) as usize;
                        let mut out = vec![0.0; start + (0.5 * sample_rate_hz) as usize];
                        SubtractiveVoice::new(settings, sample_rate_hz).play(&mut out);
                        let power = windowed_power_spectrum(&out[start..]);
                        let bins = fundamental * f64::from(NOTE_HZ) * 0.5;
                        let between_db = strongest_between_harmonics_db(&power, bins, 5.0);
                        worst = worst.max(between_db);
                        assert!(
                            between_db < -50.0,
                            "{sample_rate_hz} {settings:?} {between_db}"
                        );
                        checked += 1;
                    }
                }
            }
        }
        println!("strongest between harmonics {worst:.1} dB");
        assert_eq!(checked, 2 * 4 * 5 * 6);
    }
}
