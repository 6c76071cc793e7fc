//! Small synthesizer voices whose example i is a pure function of (seed, i).
//!
//! [`Voice::Subtractive`] has two band-limited oscillators, noise, a filter and an amplifier under 21 parameters,
//! [`Voice::Fm`] six sine operators under 19. [`Voice::draw`] gives patch i of a
//! seed, [`Voice::render`] turns a patch into sound in the caller's buffer, [`Voice::spec`] and [`Voice::describe`] say
//! what the parameters are. Nothing here reads or writes files.
//!
//! ```
//! use synth::Voice;
//!
//! let voice = Voice::Subtractive;
//! let patch = voice.draw(7, 1_000);
//! assert_eq!(patch, voice.draw(7, 1_000));
//!
//! let mut sound = vec![0.0_f32; 4_096];
//! voice.render(&patch, 16_384, &mut sound)?;
//! assert!(sound.iter().all(|sample| sample.abs() <= 1.0));
//!
//! // What a network predicts: positions and class indices in the order of the specification.
//! let vector = voice.spec().encode(&patch)?;
//! assert_eq!(vector.cont.len(), voice.spec().n_continuous());
//!
//! // One row of a labelled data set.
//! let pcm = synth::pcm16(&sound);
//! let row = params::ManifestRow::new("audio/01000.wav", &pcm, &voice.describe(16_384), &vector)?;
//! assert_eq!(row.vector(voice.spec())?, vector);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod draw;
mod error;
mod fm;
mod lfo;
mod limiter;
mod note;
mod oscillator;
mod setting;
#[cfg(test)]
mod spectrum;
mod subtractive;
mod voice;

pub use error::{SynthError, UnknownVoice};
pub use voice::{MIN_SAMPLE_RATE_HZ, Voice, pcm16};
