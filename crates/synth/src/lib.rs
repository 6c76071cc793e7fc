//! A small synthesizer voice whose example i is a pure function of (seed, i).
//!
//! Two band-limited oscillators (the first phase-modulated), noise, a state-variable filter, an
//! amplifier and a low-frequency oscillator, under 21 parameters. [`draw`] gives patch i of a
//! seed, [`render`] turns a patch into sound in the caller's buffer, [`spec`] and [`describe`] say
//! what the parameters are. Nothing here reads or writes files.
//!
//! ```
//! let patch = synth::draw(7, 1_000);
//! assert_eq!(patch, synth::draw(7, 1_000));
//!
//! let mut sound = vec![0.0_f32; 4_096];
//! synth::render(&patch, 16_384, &mut sound)?;
//! assert!(sound.iter().all(|sample| sample.abs() <= 1.0));
//!
//! // What a network predicts: positions and class indices in the order of the specification.
//! let vector = synth::spec().encode(&patch)?;
//! assert_eq!(vector.cont.len(), synth::spec().n_continuous());
//!
//! // One row of a labelled data set.
//! let pcm = synth::pcm16(&sound);
//! let row = params::ManifestRow::new("audio/01000.wav", &pcm, &synth::describe(16_384), &vector)?;
//! assert_eq!(row.vector(synth::spec())?, vector);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod draw;
mod envelope;
mod error;
mod filter;
mod lfo;
mod oscillator;
mod render;
mod settings;
#[cfg(test)]
mod spectrum;
mod voice;

pub use draw::draw;
pub use error::SynthError;
pub use render::{MIN_SAMPLE_RATE_HZ, describe, pcm16, render};
pub use settings::spec;
