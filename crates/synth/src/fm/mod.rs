//! The FM voice: six sine operators that modulate each other's phase.

mod algorithm;
mod envelope;
mod settings;
mod voice;

pub(crate) use envelope::NOTE_S;
pub(crate) use settings::{Settings, spec};
pub(crate) use voice::FmVoice;
