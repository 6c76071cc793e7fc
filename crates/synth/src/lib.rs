#![doc = include_str!("../README.md")]

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

pub use error::SynthError;
pub use voice::{MIN_SAMPLE_RATE_HZ, UnknownVoice, Voice, pcm16};
