//! The parameters of the voice: names, ranges and classes.

use params::Curve;

use crate::lfo::Shape;
use crate::oscillator::Waveform;
use crate::setting::{Class, choice, range, settings, unit};

use super::filter::Response;

settings! {
    /// Waveform of the first oscillator.
    osc1_wave: Waveform = choice::<Waveform>(),
    /// Waveform of the second oscillator.
    osc2_wave: Waveform = choice::<Waveform>(),
    /// Distance of the second oscillator above the first.
    osc2_interval: Interval = choice::<Interval>(),
    /// Detuning of the second oscillator, in cents.
    osc2_detune_cents: f32 = range(-30.0, 30.0, "cents", Curve::Linear),
    /// Part of the second oscillator in the sum of both.
    osc_mix: f32 = unit(),
    /// Frequency of the modulator over that of the first oscillator.
    fm_ratio: Ratio = choice::<Ratio>(),
    /// Peak phase deviation of the first oscillator's fundamental, in radians.
    fm_index: f32 = range(0.0, 3.0, "rad", Curve::Quadratic),
    /// Part of the noise in the sum of oscillators and noise.
    noise_level: f32 = range(0.0, 1.0, "unit", Curve::Quadratic),
    /// Response of the filter.
    filter_type: Response = choice::<Response>(),
    /// Cutoff of the filter without modulation, in Hz.
    cutoff_hz: f32 = range(80.0, 6_000.0, "Hz", Curve::Exponential),
    /// Resonance of the filter, from none (Butterworth) to a quality factor of 11.
    resonance: f32 = unit(),
    /// Shift of the cutoff by the filter's envelope at the start of the note, in octaves.
    filter_env_octaves: f32 = range(-4.0, 4.0, "octaves", Curve::Linear),
    /// Decay time of the filter's envelope, in s.
    filter_decay_s: f32 = range(0.02, 1.0, "s", Curve::Exponential),
    /// Attack time, in s.
    attack_s: f32 = range(0.002, 0.3, "s", Curve::Exponential),
    /// Decay time to the sustain level, in s.
    decay_s: f32 = range(0.02, 1.0, "s", Curve::Exponential),
    /// Sustain level, relative to full level.
    sustain: f32 = unit(),
    /// Release time after the note, in s.
    release_s: f32 = range(0.01, 0.5, "s", Curve::Exponential),
    /// Shape of the low-frequency oscillator.
    lfo_shape: Shape = choice::<Shape>(),
    /// Target of the low-frequency oscillator.
    lfo_target: Target = choice::<Target>(),
    /// Frequency of the low-frequency oscillator, in Hz.
    lfo_rate_hz: f32 = range(1.0, 16.0, "Hz", Curve::Exponential),
    /// Depth of the low-frequency oscillator, relative to the target's full swing.
    lfo_depth: f32 = unit(),
}

/// Distance between two oscillators, in semitones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval(pub f32);

impl Class for Interval {
    const CLASSES: &'static [(&'static str, Self)] = &[
        ("-12", Self(-12.0)),
        ("0", Self(0.0)),
        ("7", Self(7.0)),
        ("12", Self(12.0)),
        ("19", Self(19.0)),
        ("24", Self(24.0)),
    ];
}

/// Ratio of two frequencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio(pub f32);

impl Class for Ratio {
    const CLASSES: &'static [(&'static str, Self)] = &[
        ("0.5", Self(0.5)),
        ("1", Self(1.0)),
        ("1.41", Self(1.41)),
        ("2", Self(2.0)),
        ("3", Self(3.0)),
        ("4", Self(4.0)),
    ];
}

/// Target of the low-frequency oscillator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Pitch,
    Cutoff,
    Amplitude,
}

impl Class for Target {
    const CLASSES: &'static [(&'static str, Self)] = &[
        ("pitch", Self::Pitch),
        ("cutoff", Self::Cutoff),
        ("amplitude", Self::Amplitude),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use params::ParamVector;

    #[test]
    fn there_are_fourteen_continuous_and_seven_categorical_parameters() {
        assert_eq!(spec().n_continuous(), 14);
        assert_eq!(spec().class_counts(), [4, 4, 6, 6, 3, 5, 3]);
    }

    #[test]
    fn settings_are_the_values_of_the_patch() {
        let vector = ParamVector {
            cont: vec![1.0; 14],
            cat: vec![3, 1, 5, 2, 2, 4, 1],
        };
        let settings = Settings::read(&spec().decode(&vector).unwrap()).unwrap();
        assert_eq!(
            (settings.osc1_wave, settings.osc2_wave),
            (Waveform::Square, Waveform::Triangle)
        );
        assert_eq!(
            (settings.osc2_interval, settings.fm_ratio),
            (Interval(24.0), Ratio(1.41))
        );
        assert_eq!((settings.cutoff_hz, settings.release_s), (6_000.0, 0.5));
    }
}
