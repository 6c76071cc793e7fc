//! The networks through their public face: laws, and golden values from PyTorch.

mod contrast;
mod formula;
mod frozen;
mod golden;
mod laws;
