//! The parameters of the voice: names, ranges and classes.

use params::Curve;

use crate::lfo::Shape;
use crate::setting::{Class, choice, range, settings, unit};

use super::algorithm::Algorithm;

settings! {
    /// Wiring of the operators.
    algorithm: Algorithm = choice::<Algorithm>(),
    /// Frequency of the second operator over the note's. Operators 1, 3, 5 and 6 have the note's frequency.
    op2_ratio: Ratio = choice::<Ratio>(),
    /// Frequency of the fourth operator over the note's.
    op4_ratio: Ratio = choice::<Ratio>(),
    /// Shape of the low-frequency oscillator.
    lfo_wave: Shape = choice::<Shape>(),
    /// Strength of the feedback to a phase, from 1/256 of a period at full level to half a period.
    feedback: f32 = unit(),
    /// Level of the second operator; the first is at full level.
    op2_level: f32 = unit(),
    /// Level of the third operator.
    op3_level: f32 = unit(),
    /// Level of the fourth operator.
    op4_level: f32 = unit(),
    /// Level of the fifth operator.
    op5_level: f32 = unit(),
    /// Level of the sixth operator.
    op6_level: f32 = unit(),
    /// Rate at which carriers rise to full level.
    carrier_attack_rate: f32 = unit(),
    /// Rate at which carriers then fall to their sustain level.
    carrier_decay_rate: f32 = unit(),
    /// Sustain level of carriers.
    carrier_sustain_level: f32 = unit(),
    /// Rate at which modulators fall from full level to their sustain level.
    modulator_decay_rate: f32 = unit(),
    /// Sustain level of modulators.
    modulator_sustain_level: f32 = unit(),
    /// Detuning of the first operator, in cents.
    op1_detune: f32 = range(-7.0, 7.0, "cents", Curve::Linear),
    /// Speed of the low-frequency oscillator.
    lfo_speed: f32 = unit(),
    /// Depth of the low-frequency oscillator on the pitch of all operators.
    lfo_pitch_depth: f32 = unit(),
    /// Depth of the low-frequency oscillator on the level of carriers.
    lfo_amp_depth: f32 = unit(),
}

/// Ratio of two frequencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio(pub f32);

impl Class for Ratio {
    const CLASSES: &'static [(&'static str, Self)] = &[
        ("0.5", Self(0.5)),
        ("1", Self(1.0)),
        ("2", Self(2.0)),
        ("3", Self(3.0)),
        ("4", Self(4.0)),
        ("5", Self(5.0)),
        ("6", Self(6.0)),
        ("7", Self(7.0)),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_fifteen_continuous_and_four_categorical_parameters() {
        assert_eq!(spec().n_continuous(), 15);
        assert_eq!(spec().class_counts(), [8, 8, 8, 5]);
    }
}
