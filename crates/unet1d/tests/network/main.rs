//! Tests of the network through its public interface.

mod golden;
mod laws;
