//! The note of all voices.

/// The MIDI note.
pub(crate) const NOTE: u8 = 60;

/// Its frequency, in Hz (twelve-tone equal temperament, A4 = 440 Hz).
pub(crate) const NOTE_HZ: f32 = 261.625_58;
