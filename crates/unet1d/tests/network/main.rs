//! The network through its public face: laws, and golden values from PyTorch.

mod formula;
mod golden;
mod laws;
