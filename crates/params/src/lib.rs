#![doc = include_str!("../README.md")]

mod description;
mod error;
mod identity;
mod keyed;
mod manifest;
mod param;
mod patch;
mod spec;
mod vector;

pub use description::SynthDescription;
pub use error::ParamError;
pub use keyed::keyed_rng;
pub use manifest::{ManifestRow, sha256_pcm};
pub use param::{Curve, Param, ParamKind};
pub use patch::Patch;
pub use spec::ParamSpec;
pub use vector::ParamVector;
