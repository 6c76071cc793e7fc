//! From the bytes of a sound file to samples, within limits.

pub(crate) mod file;
pub(crate) mod level;
pub(crate) mod limits;
mod mono;
pub(crate) mod signature;
pub(crate) mod unusable;
mod vorbis;
