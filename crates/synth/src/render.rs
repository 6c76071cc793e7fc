//! Rendering: from a patch to sound.

use params::{Patch, SynthDescription};

use crate::SynthError;
use crate::envelope::NOTE_S;
use crate::settings::{Settings, spec};
use crate::voice::{NOTE, Voice};

/// The lowest sample rate, in Hz: thrice the highest fundamental, which is that of oscillator 2
/// two octaves up, 30 cents sharp and bent by three semitones.
pub const MIN_SAMPLE_RATE_HZ: u32 = 4_000;

/// Renders the note of a patch from its start into `out`, mono, full scale ±1.
///
/// The sound is a function of its arguments alone, and a shorter buffer receives the beginning of
/// what a longer one does.
///
/// # Errors
/// If the patch does not fit [`spec`] or the sample rate is below [`MIN_SAMPLE_RATE_HZ`].
pub fn render(patch: &Patch, sample_rate_hz: u32, out: &mut [f32]) -> Result<(), SynthError> {
    if sample_rate_hz < MIN_SAMPLE_RATE_HZ {
        let (min_hz, got_hz) = (MIN_SAMPLE_RATE_HZ, sample_rate_hz);
        return Err(SynthError::SampleRate { min_hz, got_hz });
    }
    Voice::new(Settings::read(patch)?, sample_rate_hz as f32).play(out);
    Ok(())
}

/// The voice as a `params.json` describes it, for sounds at `sample_rate_hz`.
pub fn describe(sample_rate_hz: u32) -> SynthDescription {
    SynthDescription {
        synth: concat!("voice ", env!("CARGO_PKG_VERSION")).into(),
        sample_rate: sample_rate_hz,
        note: NOTE,
        // The voice has no velocity; it plays as loud as it can.
        velocity: 127,
        note_s: NOTE_S,
        params: spec().clone(),
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
