//! The voices, and what can be asked of each.

use std::fmt;
use std::str::FromStr;

use params::{ParamSpec, Patch, SynthDescription};

use crate::draw::draw;
use crate::fm::{self, FmVoice};
use crate::note::NOTE;
use crate::subtractive::{self, SubtractiveVoice};
use crate::{SynthError, UnknownVoice};

/// The lowest sample rate, in Hz: a little more than twice the highest fundamental of any voice, that of an FM operator at seven times the
/// note and bent by one and a half semitones.
pub const MIN_SAMPLE_RATE_HZ: u32 = 4_000;

/// A voice: a way to make a sound of a few parameters.
///
/// Each plays the same note, has no velocity, and its sound is a function of a patch and a sample rate alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Voice {
    /// Two band-limited oscillators (the first phase-modulated), noise, a state-variable filter, an amplifier and a
    /// low-frequency oscillator; 21 parameters.
    // A voice's number is part of the key that its patches are drawn by.
    Subtractive = 0,
    /// Six sine operators that modulate each other's phase (Chowning 1973) in one of eight ways, with the controls of a Yamaha
    /// DX7 (1983) that matter most; 19 parameters. Its partials beyond half the sample rate are mirrored, so that bright patches
    /// sound otherwise at another rate: teach it at the rate at which what is to be matched was rendered.
    Fm = 1,
}

impl Voice {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Subtractive, Self::Fm];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subtractive => "subtractive",
            Self::Fm => "fm",
        }
    }

    /// Its parameters: their order, ranges and classes.
    pub fn spec(self) -> &'static ParamSpec {
        match self {
            Self::Subtractive => subtractive::spec(),
            Self::Fm => fm::spec(),
        }
    }

    /// The voice with these parameters, if there is one.
    pub fn of(spec: &ParamSpec) -> Option<Self> {
        Self::ALL.into_iter().find(|voice| voice.spec() == spec)
    }

    /// Patch number `index` of the endless collection called `seed`.
    ///
    /// Every continuous parameter is uniform along its curve and every categorical one among its
    /// classes, all of them independent: what is musical about the spread is in the ranges and curves
    /// of [`spec`](Self::spec), and a network sees each parameter evenly. A patch depends on the voice and the two arguments
    /// alone, not on what was drawn before.
    pub fn draw(self, seed: u64, index: u64) -> Patch {
        draw(self.spec(), self as u64, seed, index)
    }

    /// Renders the note of a patch from its start into `out`, mono, full scale ±1.
    ///
    /// The sound is a function of its arguments alone, and a shorter buffer receives the beginning of
    /// what a longer one does.
    ///
    /// # Errors
    /// If the patch does not fit [`spec`](Self::spec) or the sample rate is below [`MIN_SAMPLE_RATE_HZ`].
    pub fn render(
        self,
        patch: &Patch,
        sample_rate_hz: u32,
        out: &mut [f32],
    ) -> Result<(), SynthError> {
        if sample_rate_hz < MIN_SAMPLE_RATE_HZ {
            let (min_hz, got_hz) = (MIN_SAMPLE_RATE_HZ, sample_rate_hz);
            return Err(SynthError::SampleRate { min_hz, got_hz });
        }
        let rate = sample_rate_hz as f32;
        match self {
            Self::Subtractive => {
                SubtractiveVoice::new(subtractive::Settings::read(patch)?, rate).play(out);
            }
            Self::Fm => FmVoice::new(fm::Settings::read(patch)?, rate).play(out),
        }
        Ok(())
    }

    /// The voice as a `params.json` describes it, for sounds at `sample_rate_hz`.
    pub fn describe(self, sample_rate_hz: u32) -> SynthDescription {
        let (kind, note_s) = match self {
            Self::Subtractive => ("voice", subtractive::NOTE_S),
            Self::Fm => ("fm voice", fm::NOTE_S),
        };
        SynthDescription {
            synth: format!("{kind} {}", env!("CARGO_PKG_VERSION")),
            sample_rate: sample_rate_hz,
            note: NOTE,
            // No voice has a velocity; each plays as loud as it can.
            velocity: 127,
            note_s,
            params: self.spec().clone(),
        }
    }
}

impl fmt::Display for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Voice {
    type Err = UnknownVoice;

    fn from_str(name: &str) -> Result<Self, UnknownVoice> {
        let named = Self::ALL.into_iter().find(|voice| voice.name() == name);
        named.ok_or_else(|| UnknownVoice(name.to_owned()))
    }
}

/// Samples as 16-bit integers, for a sound file and
/// [`sha256_pcm`](params::sha256_pcm): rounded to the nearest 2^-15 and kept in range.
pub fn pcm16(samples: &[f32]) -> Vec<i16> {
    // The cast saturates: 1.0 becomes 32,767.
    samples
        .iter()
        .map(|sample| (sample * 32_768.0).round() as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_voice_is_found_by_its_name_and_by_its_parameters() {
        for voice in Voice::ALL {
            assert_eq!(voice.to_string().parse(), Ok(voice));
            assert_eq!(Voice::of(voice.spec()), Some(voice));
        }
        let message = "FM".parse::<Voice>().unwrap_err().to_string();
        assert_eq!(
            message,
            "there is no voice `FM`: expected subtractive or fm"
        );
        let one = ParamSpec::new(Voice::Fm.spec().params()[..1].to_vec()).unwrap();
        assert_eq!(Voice::of(&one), None);
    }
}
