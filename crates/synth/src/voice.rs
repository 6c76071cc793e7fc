//! The voices and their interface.

use std::fmt;
use std::str::FromStr;

use params::{ParamSpec, Patch, SynthDescription};

use crate::draw::draw;
use crate::error::SynthError;
use crate::fm::{self, FmVoice};
use crate::note::NOTE;
use crate::subtractive::{self, SubtractiveVoice};

/// The lowest sample rate, in Hz: slightly more than twice the highest fundamental of any voice, which is that of an FM
/// operator at seven times the note, bent by one and a half semitones.
pub const MIN_SAMPLE_RATE_HZ: u32 = 4_000;

/// A synthesizer voice.
///
/// All voices play the same note without velocity. The sound depends on the patch and the sample rate alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Voice {
    /// Two band-limited oscillators (the first phase-modulated), noise, a state-variable filter, an amplifier and a
    /// low-frequency oscillator; 21 parameters.
    // The discriminant is part of the random key of a voice's patches.
    Subtractive = 0,
    /// Six sine operators that modulate each other's phase (Chowning 1973) by one of eight algorithms, with the most
    /// important controls of a Yamaha DX7 (1983); 19 parameters. Partials beyond half the sample rate alias, so the sound of
    /// bright patches depends on the rate: train at the sample rate of the sounds that are to be matched.
    Fm = 1,
}

impl Voice {
    /// All voices.
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

    /// The voice with these parameters, if one exists.
    pub fn of(spec: &ParamSpec) -> Option<Self> {
        Self::ALL.into_iter().find(|voice| voice.spec() == spec)
    }

    /// Patch `index` of the random sequence `seed`.
    ///
    /// Continuous parameters are uniform along their curves, categorical ones uniform over their classes, and all are
    /// independent. The ranges and curves of [`spec`](Self::spec) make the distribution musical. A patch depends on the
    /// voice and the two arguments alone, not on earlier draws.
    pub fn draw(self, seed: u64, index: u64) -> Patch {
        draw(self.spec(), self as u64, seed, index)
    }

    /// Renders the note of a patch from its start into `out`, mono, full scale ±1.
    ///
    /// The sound depends on the arguments alone. A shorter buffer receives the beginning of the sound of a longer
    /// one.
    ///
    /// # Errors
    /// If the patch doesn't fit [`spec`](Self::spec) or the sample rate is below [`MIN_SAMPLE_RATE_HZ`].
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

    /// The contents of a `params.json` for sounds of this voice at `sample_rate_hz`.
    pub fn describe(self, sample_rate_hz: u32) -> SynthDescription {
        let (kind, note_s) = match self {
            Self::Subtractive => ("voice", subtractive::NOTE_S),
            Self::Fm => ("fm voice", fm::NOTE_S),
        };
        SynthDescription {
            synth: format!("{kind} {}", env!("CARGO_PKG_VERSION")),
            sample_rate: sample_rate_hz,
            note: NOTE,
            // No voice uses the velocity; all play at the highest.
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

/// An unknown name of a voice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no voice `{0}`: expected {names}", names = Voice::ALL.map(Voice::name).join(" or "))]
pub struct UnknownVoice(pub(crate) String);

/// Samples as 16-bit integers, for a sound file and
/// [`sha256_pcm`](params::sha256_pcm): rounded to the nearest 2^-15 and clamped.
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
