//! Envelopes: levels as functions of the time since the start of the note.

/// How long the note is held, in s. One value for all patches, so that a second of sound contains attack,
/// decay, sustain and a large part of the release.
pub(crate) const NOTE_S: f32 = 0.75;

/// The amplifier's envelope: attack, decay, sustain, release.
///
/// ```text
/// t < A          t / A
/// t < A + D      S + (1 - S) fall((t - A) / D)
/// t < NOTE_S     S
/// afterwards     L fall((t - NOTE_S) / R)
/// ```
///
/// A, D, R: times in s. S: sustain level. L: the level at the end of the note.
/// `fall(x) = (e^-5x - e^-5) / (1 - e^-5)` is the discharge of a capacitor, shifted so that it
/// ends at 0 when x = 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adsr {
    pub attack_s: f32,
    pub decay_s: f32,
    pub sustain: f32,
    pub release_s: f32,
}

impl Adsr {
    /// The level, in 0..1, at `time_s` after the start of the note.
    pub(crate) fn level(&self, time_s: f32) -> f32 {
        if time_s < NOTE_S {
            self.held_level(time_s)
        } else {
            self.held_level(NOTE_S) * fall((time_s - NOTE_S) / self.release_s)
        }
    }

    /// End of the sound, in s after the start of the note.
    pub(crate) fn end_s(&self) -> f32 {
        NOTE_S + self.release_s
    }

    fn held_level(&self, time_s: f32) -> f32 {
        if time_s < self.attack_s {
            time_s / self.attack_s
        } else {
            let fallen = fall((time_s - self.attack_s) / self.decay_s);
            self.sustain + (1.0 - self.sustain) * fallen
        }
    }
}

/// An exponential fall from 1 at `x = 0` to 0 at `x = 1`, and 0 afterwards.
pub(crate) fn fall(x: f32) -> f32 {
    const STEEPNESS: f32 = 5.0;
    let floor = libm::expf(-STEEPNESS);
    ((libm::expf(-STEEPNESS * x) - floor) / (1.0 - floor)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADSR: Adsr = Adsr {
        attack_s: 0.1,
        decay_s: 0.2,
        sustain: 0.3,
        release_s: 0.15,
    };

    #[test]
    fn each_segment_ends_where_the_next_begins() {
        assert_eq!(ADSR.level(0.0), 0.0);
        assert!((ADSR.level(0.05) - 0.5).abs() < 1e-6);
        assert!((ADSR.level(0.1) - 1.0).abs() < 1e-6);
        assert!((ADSR.level(0.3) - 0.3).abs() < 1e-6);
        assert!((ADSR.level(0.5) - 0.3).abs() < 1e-6);
        assert!((ADSR.level(NOTE_S) - 0.3).abs() < 1e-6);
        assert!(ADSR.level(ADSR.end_s() - 1e-3) > 0.0);
        assert_eq!(ADSR.level(ADSR.end_s() + 1e-6), 0.0);
        assert_eq!(ADSR.level(100.0), 0.0);
    }

    #[test]
    fn a_note_that_ends_while_it_decays_is_released_from_where_it_was() {
        let adsr = Adsr {
            decay_s: 1.0,
            ..ADSR
        };
        let (before, after) = (adsr.level(NOTE_S - 1e-4), adsr.level(NOTE_S + 1e-4));
        assert!(
            before > adsr.sustain + 0.01 && after < before,
            "{before} {after}"
        );
        assert!((before - after) < 2e-3, "{before} {after}");
    }

    #[test]
    fn a_fall_is_half_way_down_early() {
        assert_eq!((fall(0.0), fall(1.0), fall(9.0)), (1.0, 0.0, 0.0));
        let middle = ((-2.5_f32).exp() - (-5.0_f32).exp()) / (1.0 - (-5.0_f32).exp());
        assert!((fall(0.5) - middle).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn the_level_rises_falls_and_never_leaves_zero_to_one(
            attack_s in 0.002_f32..0.3,
            decay_s in 0.02_f32..1.0,
            sustain in 0.0_f32..=1.0,
            release_s in 0.01_f32..0.5,
        ) {
            let adsr = Adsr { attack_s, decay_s, sustain, release_s };
            let mut previous = 0.0;
            for i in 0..400 {
                let time_s = i as f32 * 0.003_25;
                let level = adsr.level(time_s);
                prop_assert!((0.0..=1.0).contains(&level), "{}", level);
                if time_s < attack_s {
                    prop_assert!(level >= previous);
                } else if i > 0 && time_s - 0.003_25 >= attack_s {
                    prop_assert!(level <= previous + 1e-6);
                }
                previous = level;
            }
        }
    }
}
