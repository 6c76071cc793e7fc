//! The subtractive voice: two oscillators, noise, a filter and an amplifier.

mod envelope;
mod filter;
mod settings;
mod voice;

pub(crate) use envelope::NOTE_S;
pub(crate) use settings::{Settings, spec};
pub(crate) use voice::SubtractiveVoice;
