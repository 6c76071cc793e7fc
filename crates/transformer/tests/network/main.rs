//! Tests of the networks through their public interface.

mod contrast;
mod frozen;
mod golden;
mod laws;
mod masks;
