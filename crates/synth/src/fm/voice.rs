//! The voice: six operators, sample by sample.

use crate::limiter::limit;
use crate::note::NOTE_HZ;
use crate::oscillator::{Waveform, Wavetable, phase_of};

use super::algorithm::OPERATORS;
use super::envelope::{CarrierEnvelope, ModulatorEnvelope, level_db};
use super::settings::Settings;

/// Samples between two evaluations of envelopes and LFO; gains in between are interpolated linearly.
const BLOCK: usize = 16;

/// Phase deviation caused by a modulator at full level, in periods in both directions: a modulation index of 4 pi.
const DEVIATION_PERIODS: f32 = 2.0;

/// Vibrato at full depth, in octaves in both directions.
const VIBRATO_OCTAVES: f32 = 0.122;

/// Attenuation of carriers by the LFO at full depth, in dB.
const TREMOLO_DB: f32 = 5.0;

/// Level of one carrier: three at full level just reach the limiter.
const LEVEL: f32 = 0.29;

/// Lower gains are 0.
const SILENT_DB: f32 = -95.0;

/// A playing voice.
///
/// ```text
/// y_i[n] = g_i sin(2 pi (p_i[n] + 2 sum_j y_j[n] + f (y_k[n-1] + y_k[n-2])))      j: modulators of i
/// x[n]   = limit(0.29 sum_i y_i[n])                                               i: carriers
///
/// p_i    phase, in periods: the note's frequency, times the operator's ratio, moved by the LFO
/// g_i    gain: level and envelope in dB, reduced by the LFO for carriers
/// f      2^(7 feedback - 8) for the target of the feedback, else 0; not 0 even if feedback is 0
/// y_k    output of the source of the feedback
/// ```
///
/// Phase modulation of sines (Chowning 1973, "The synthesis of complex audio spectra by means of frequency modulation").
/// Sidebands beyond half the sample rate alias, as in digital instruments of this kind: the timbre of a patch with strong
/// modulation depends on the rate.
///
/// The form of the equations is that of such instruments. Their constants, except the modulation index, were fitted by eye
/// and numerically to renders of a DX7.
pub(crate) struct FmVoice {
    settings: Settings,
    sample_rate_hz: f32,
    sine: Wavetable,
    carriers: CarrierEnvelope,
    modulators: ModulatorEnvelope,
    /// Frequency of each operator over the note's.
    ratios: [f32; OPERATORS],
    levels_db: [f32; OPERATORS],
    phases: [u32; OPERATORS],
    outputs: [f32; OPERATORS],
    /// The last two outputs of the source of the feedback.
    fed_back: [f32; 2],
}

/// Values that vary during the note, at one sample.
#[derive(Debug, Clone, Copy)]
struct Controls {
    /// Periods of the note per sample.
    frequency: f32,
    gains: [f32; OPERATORS],
}

impl FmVoice {
    pub(crate) fn new(settings: Settings, sample_rate_hz: f32) -> Self {
        let s = settings;
        let detune = libm::exp2f(s.op1_detune / 1_200.0);
        let levels = [
            1.0,
            s.op2_level,
            s.op3_level,
            s.op4_level,
            s.op5_level,
            s.op6_level,
        ];
        Self {
            sine: Wavetable::new(Waveform::Sine, 1.0),
            carriers: CarrierEnvelope::new(
                s.carrier_attack_rate,
                s.carrier_decay_rate,
                s.carrier_sustain_level,
            ),
            modulators: ModulatorEnvelope::new(s.modulator_decay_rate, s.modulator_sustain_level),
            ratios: [detune, s.op2_ratio.0, 1.0, s.op4_ratio.0, 1.0, 1.0],
            levels_db: levels.map(level_db),
            phases: [0; OPERATORS],
            outputs: [0.0; OPERATORS],
            fed_back: [0.0; 2],
            settings,
            sample_rate_hz,
        }
    }

    /// Plays the note from its start into `out`, mono.
    pub(crate) fn play(mut self, out: &mut [f32]) {
        let mut controls = self.controls_at(0);
        for (index, block) in out.chunks_mut(BLOCK).enumerate() {
            let next = self.controls_at((index + 1) * BLOCK);
            self.play_block(block, controls, next);
            controls = next;
        }
    }

    fn play_block(&mut self, block: &mut [f32], from: Controls, to: Controls) {
        let algorithm = self.settings.algorithm;
        let (source, target) = algorithm.feedback();
        let feedback = libm::exp2f(7.0 * self.settings.feedback - 8.0);
        for (i, sample) in block.iter_mut().enumerate() {
            let at = i as f32 / BLOCK as f32;
            let mix = |from: f32, to: f32| from + at * (to - from);
            let frequency = mix(from.frequency, to.frequency);
            // Modulators have higher numbers, so they come first.
            for operator in (0..OPERATORS).rev() {
                let mut periods = DEVIATION_PERIODS * algorithm.modulation(operator, &self.outputs);
                if operator == target {
                    periods += feedback * (self.fed_back[0] + self.fed_back[1]);
                }
                let phase = self.phases[operator].wrapping_add(phase_of(periods));
                let gain = mix(from.gains[operator], to.gains[operator]);
                self.outputs[operator] = gain * self.sine.at(phase);
                let step = phase_of(frequency * self.ratios[operator]);
                self.phases[operator] = self.phases[operator].wrapping_add(step);
            }
            self.fed_back = [self.outputs[source], self.fed_back[0]];
            *sample = limit(LEVEL * algorithm.carrier_sum(&self.outputs));
        }
    }

    /// Envelopes and LFO at a sample.
    fn controls_at(&self, sample: usize) -> Controls {
        let s = &self.settings;
        let time_s = sample as f32 / self.sample_rate_hz;
        let lfo = s.lfo_wave.at(lfo_hz(s.lfo_speed) * time_s);
        let octaves = VIBRATO_OCTAVES * s.lfo_pitch_depth * lfo;
        let tremolo_db = TREMOLO_DB * s.lfo_amp_depth * (lfo - 1.0) / 2.0;
        let carrier_db = self.carriers.level_db(time_s) + tremolo_db;
        let modulator_db = self.modulators.level_db(time_s);
        Controls {
            frequency: NOTE_HZ * libm::exp2f(octaves) / self.sample_rate_hz,
            gains: std::array::from_fn(|operator| {
                let envelope_db = match s.algorithm.is_carrier(operator) {
                    true => carrier_db,
                    false => modulator_db,
                };
                gain(self.levels_db[operator] + envelope_db)
            }),
        }
    }
}

fn gain(level_db: f32) -> f32 {
    if level_db < SILENT_DB {
        return 0.0;
    }
    libm::exp10f(level_db / 20.0)
}

/// The frequency of the LFO, in Hz: two straight lines, which nearly fit the DX7's speeds.
fn lfo_hz(speed: f32) -> f32 {
    const BEND: f32 = 0.64;
    0.06 + 16.0 * speed.min(BEND) + 98.0 * (speed - BEND).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Voice;
    use crate::fm::algorithm::Algorithm;
    use crate::fm::envelope::RANGE_DB;
    use crate::fm::settings::Ratio;
    use crate::lfo::Shape;
    use crate::spectrum::{strongest_between_harmonics_db, windowed_power_spectrum};

    const RATE_HZ: f32 = 65_536.0;

    /// A level so far below the range that the operator is silent.
    const NONE: f32 = -2.0;

    /// Settings without any movement, with operators 2 to 6 silent.
    fn still(algorithm: &str) -> Settings {
        Settings {
            algorithm: Algorithm::named(algorithm),
            feedback: 0.0,
            op2_level: NONE,
            op3_level: NONE,
            op4_level: NONE,
            op5_level: NONE,
            op6_level: NONE,
            carrier_attack_rate: 1.0,
            carrier_decay_rate: 1.0,
            carrier_sustain_level: 1.0,
            modulator_decay_rate: 1.0,
            modulator_sustain_level: 1.0,
            op1_detune: 0.0,
            lfo_pitch_depth: 0.0,
            lfo_amp_depth: 0.0,
            ..Settings::read(&Voice::Fm.draw(0, 0)).unwrap()
        }
    }

    /// Amplitudes of the note's harmonics 0 to `count - 1` in the held note.
    fn harmonics(settings: Settings, count: usize) -> Vec<f64> {
        let (start, length) = (4_096, 32_768);
        let mut out = vec![0.0; start + length];
        FmVoice::new(settings, RATE_HZ).play(&mut out);
        let power = windowed_power_spectrum(&out[start..]);
        let bins = f64::from(NOTE_HZ) * length as f64 / f64::from(RATE_HZ);
        // A tone's power is spread over the window's main lobe; its noise bandwidth is 2.0044 bins and its
        // mean 0.35875.
        let scale = 2.004_4 * (0.358_75 * length as f64 / 2.0).powi(2);
        (0..count)
            .map(|k| {
                let middle = (k as f64 * bins).round() as usize;
                let lobe = middle.saturating_sub(5)..middle + 6;
                (power[lobe].iter().sum::<f64>() / scale).sqrt()
            })
            .collect()
    }

    /// Bessel functions of the first kind, by their integral.
    fn bessel(order: i32, x: f64) -> f64 {
        let n = 2_000;
        let at = |i: i32| {
            let angle = std::f64::consts::PI * (f64::from(i) + 0.5) / f64::from(n);
            (f64::from(order) * angle - x * angle.sin()).cos()
        };
        (0..n).map(at).sum::<f64>() / f64::from(n)
    }

    #[test]
    fn sidebands_of_one_modulator_are_bessel_functions_of_its_index() {
        let settings = Settings {
            op2_ratio: Ratio(1.0),
            // 21 dB below an index of 4 pi.
            op2_level: 1.0 - 21.0 / RANGE_DB,
            ..still("alg1")
        };
        let index =
            f64::from(DEVIATION_PERIODS) * std::f64::consts::TAU * 10_f64.powf(-21.0 / 20.0);
        let got = harmonics(settings, 5);
        for k in 1..5_i32 {
            // At a ratio of 1, sideband -k - 1 is harmonic k again, mirrored: sin(-x) = -sin(x).
            let sum = bessel(k - 1, index) - bessel(-k - 1, index);
            let expected = f64::from(LEVEL) * sum.abs();
            assert!(
                (got[k as usize] - expected).abs() < 2e-3,
                "harmonic {k}: {} {expected}",
                got[k as usize]
            );
        }
    }

    #[test]
    fn without_modulation_each_operator_is_one_partial_at_its_level() {
        let settings = Settings {
            op2_ratio: Ratio(3.0),
            op4_ratio: Ratio(5.0),
            op2_level: 1.0 - 6.0 / RANGE_DB,
            op4_level: 1.0 - 12.0 / RANGE_DB,
            ..still("alg32")
        };
        let got = harmonics(settings, 8);
        for (k, db) in [(1, 0.0), (3, -6.0), (5, -12.0)] {
            let expected = f64::from(LEVEL) * 10_f64.powf(db / 20.0);
            assert!(
                (got[k] / expected - 1.0).abs() < 0.01,
                "harmonic {k}: {} {expected}",
                got[k]
            );
        }
        assert!(
            [2, 4, 6, 7].iter().all(|&k: &usize| got[k] < 1e-4),
            "{got:?}"
        );
    }

    #[test]
    fn feedback_makes_harmonics_of_a_sine() {
        let with = |feedback| {
            let settings = Settings {
                feedback,
                op6_level: 1.0,
                ..still("alg32")
            };
            harmonics(settings, 4)
        };
        let (little, much) = (with(0.0), with(1.0));
        assert!(
            little[2] < 0.02 && much[2] > 5.0 * little[2],
            "{little:?} {much:?}"
        );
    }

    #[test]
    fn the_lfo_moves_pitch_and_level_by_their_depths() {
        let settings = Settings {
            lfo_wave: Shape::Square,
            // 0.06 + 3.94 Hz: up for an eighth of a second, then down for another.
            lfo_speed: 3.94 / 16.0,
            lfo_pitch_depth: 0.5,
            lfo_amp_depth: 1.0,
            ..still("alg32")
        };
        let voice = FmVoice::new(settings, 16_000.0);
        let [up, down] = [1_600, 3_200].map(|sample| voice.controls_at(sample));
        let octaves = (up.frequency / down.frequency).log2();
        assert!((octaves - VIBRATO_OCTAVES).abs() < 1e-4, "{octaves}");
        let lower_db = 20.0 * (up.gains[0] / down.gains[0]).log10();
        assert!((lower_db - TREMOLO_DB).abs() < 1e-3, "{lower_db}");
    }

    #[test]
    fn a_still_patch_has_nothing_between_its_harmonics() {
        let settings = Settings {
            op2_ratio: Ratio(2.0),
            op4_ratio: Ratio(3.0),
            op2_level: 0.7,
            op3_level: 0.8,
            op4_level: 0.7,
            ..still("alg5")
        };
        let mut out = vec![0.0; 4_096 + 32_768];
        FmVoice::new(settings, RATE_HZ).play(&mut out);
        let power = windowed_power_spectrum(&out[4_096..]);
        let between = strongest_between_harmonics_db(&power, f64::from(NOTE_HZ) / 2.0, 5.0);
        assert!(between < -80.0, "{between} dB");
    }
}
