//! Hostile sound files.

pub mod bytes;
pub mod cases;
pub mod mutation;
