//! Envelopes in decibels, as functions of the time since the start of the note. As on a DX7, rates double by steps and levels
//! are in decibels; the constants were fitted to renders of a DX7.

/// How long the note is held, in s.
pub(crate) const NOTE_S: f32 = 0.9;

/// Level of a carrier at the start of its attack, relative to full level.
const ATTACK_FROM_DB: f32 = -50.0;

/// Level that a carrier's attack approaches, above full level, so that it reaches full level in finite time.
const ATTACK_AIM_DB: f32 = 12.0;

/// Release rate of a carrier after the end of the note, in dB/s.
const RELEASE_DB_PER_S: f32 = 150.0;

/// A doubling of the amplitude, in dB.
const DOUBLING_DB: f32 = 6.020_6;

/// The envelope of a carrier.
///
/// ```text
/// attack        aim - (aim - from) exp(-a t / 6.02 dB)      until it is at 0 dB
/// decay         -d t', t' the time since                    until it is at the sustain level
/// afterwards    the sustain level; from NOTE_S on 150 dB/s less
///
/// a = 20 dB/s 2^(9 attack)     d = 2.3 dB/s 2^(12 decay)     sustain: 18 dB (sustain - 1)
/// ```
#[derive(Debug, Clone, Copy)]
pub(crate) struct CarrierEnvelope {
    attack_db_per_s: f32,
    attack_s: f32,
    decay_db_per_s: f32,
    sustain_db: f32,
}

impl CarrierEnvelope {
    /// All three from 0 to 1.
    pub(crate) fn new(attack_rate: f32, decay_rate: f32, sustain_level: f32) -> Self {
        let attack_db_per_s = 20.0 * libm::exp2f(9.0 * attack_rate);
        let way = (ATTACK_AIM_DB - ATTACK_FROM_DB) / ATTACK_AIM_DB;
        Self {
            attack_db_per_s,
            attack_s: DOUBLING_DB / attack_db_per_s * libm::logf(way),
            decay_db_per_s: decay_db_per_s(decay_rate),
            sustain_db: 18.0 * (sustain_level - 1.0),
        }
    }

    /// The level, in dB below full, at `time_s` after the start of the note.
    pub(crate) fn level_db(&self, time_s: f32) -> f32 {
        let held = if time_s < self.attack_s {
            let left = libm::expf(-self.attack_db_per_s * time_s / DOUBLING_DB);
            ATTACK_AIM_DB - (ATTACK_AIM_DB - ATTACK_FROM_DB) * left
        } else {
            (-self.decay_db_per_s * (time_s - self.attack_s)).max(self.sustain_db)
        };
        held.min(0.0) - RELEASE_DB_PER_S * (time_s - NOTE_S).max(0.0)
    }
}

/// The envelope of a modulator: it starts at full level and falls to its sustain level. There is no release, so the timbre
/// doesn't change when the note ends.
///
/// ```text
/// max(-d t, 40 dB (sustain - 1))      d = 2.3 dB/s 2^(12 decay)
/// ```
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModulatorEnvelope {
    decay_db_per_s: f32,
    sustain_db: f32,
}

impl ModulatorEnvelope {
    /// Both from 0 to 1.
    pub(crate) fn new(decay_rate: f32, sustain_level: f32) -> Self {
        Self {
            decay_db_per_s: decay_db_per_s(decay_rate),
            sustain_db: level_db(sustain_level),
        }
    }

    /// The level, in dB below full, at `time_s` after the start of the note.
    pub(crate) fn level_db(&self, time_s: f32) -> f32 {
        (-self.decay_db_per_s * time_s).max(self.sustain_db)
    }
}

/// Range of levels, in dB.
pub(crate) const RANGE_DB: f32 = 40.0;

/// An operator's level from 0 to 1 in dB.
pub(crate) fn level_db(level: f32) -> f32 {
    RANGE_DB * (level - 1.0)
}

fn decay_db_per_s(rate: f32) -> f32 {
    2.3 * libm::exp2f(12.0 * rate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_carrier_rises_falls_stays_and_is_released() {
        let envelope = CarrierEnvelope::new(0.5, 0.5, 0.5);
        // 452.5 dB/s, and ln(62/12) = 1.642 times 6.02 dB to go.
        let top = 1.642_2 * 6.020_6 / 452.55;
        assert_eq!(envelope.level_db(0.0), ATTACK_FROM_DB);
        assert!((envelope.level_db(top - 1e-6)).abs() < 0.05);
        // 2.3 dB/s, 64 times.
        assert!((envelope.level_db(top + 0.02) + 0.02 * 147.2).abs() < 0.05);
        assert_eq!(envelope.level_db(0.5), -9.0);
        assert!((envelope.level_db(1.0) + 9.0 + 15.0).abs() < 1e-3);
    }

    #[test]
    fn a_modulator_falls_to_its_sustain_level() {
        let envelope = ModulatorEnvelope::new(0.25, 0.9);
        assert_eq!(envelope.level_db(0.0), 0.0);
        assert!((envelope.level_db(0.1) + 1.84).abs() < 1e-4);
        assert!((envelope.level_db(10.0) + 4.0).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn no_level_is_above_full_and_none_jumps_while_the_note_is_held(
            attack in 0.0_f32..=1.0,
            decay in 0.0_f32..=1.0,
            sustain in 0.0_f32..=1.0,
        ) {
            let carrier = CarrierEnvelope::new(attack, decay, sustain);
            let modulator = ModulatorEnvelope::new(decay, sustain);
            let fastest = (carrier.attack_db_per_s * 62.0 / DOUBLING_DB).max(carrier.decay_db_per_s);
            let mut previous = carrier.level_db(0.0);
            for i in 1..1_000 {
                let time_s = i as f32 * 1e-3;
                let level = carrier.level_db(time_s);
                prop_assert!(level <= 0.0 && modulator.level_db(time_s) <= 0.0);
                prop_assert!((level - previous).abs() <= 1.01e-3 * fastest.max(RELEASE_DB_PER_S) + 1e-2, "{} {}", previous, level);
                previous = level;
            }
        }
    }
}
