//! Synthesizer parameters: their specification, patches in musical units, and the vectors that networks predict.
//!
//! Nothing here knows sound or tensors. A [`ParamSpec`] owns the order, ranges and class counts
//! of a synthesizer's parameters and leads from a [`Patch`] (named values, musical units) to a
//! [`ParamVector`] (positions in 0..1 and class indices) and back. [`SynthDescription`] and
//! [`ManifestRow`] are the two files of a labelled data set, `params.json` and
//! `manifest.jsonl`. [`keyed_rng`] is where all random numbers of the project come from.
//!
//! ```
//! use params::{Curve, Param, ParamKind, ParamSpec, ParamVector};
//!
//! let spec = ParamSpec::new(vec![
//!     Param {
//!         name: "cutoff_hz".into(),
//!         kind: ParamKind::Continuous {
//!             min: 20.0,
//!             max: 8_000.0,
//!             unit: "Hz".into(),
//!             curve: Curve::Exponential,
//!         },
//!     },
//!     Param {
//!         name: "wave".into(),
//!         kind: ParamKind::Categorical { classes: vec!["sine".into(), "saw".into()] },
//!     },
//! ])?;
//!
//! let vector = ParamVector { cont: vec![0.5], cat: vec![1] };
//! let patch = spec.decode(&vector)?;
//! assert!((patch.cont["cutoff_hz"] - 400.0).abs() < 1e-3);
//! assert_eq!(patch.cat["wave"], 1);
//! assert_eq!(spec.encode(&patch)?, vector);
//! # Ok::<(), params::ParamError>(())
//! ```

mod description;
mod error;
mod keyed;
mod manifest;
mod param;
mod patch;
mod preset;
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
