//! A patch: every parameter by its name, in musical units.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The settings of a synthesizer as a musician reads them.
///
/// A patch alone is just named numbers; whether they fit a synthesizer is decided by
/// [`ParamSpec::encode`](crate::ParamSpec::encode).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Continuous values by name, each in its parameter's unit.
    pub cont: BTreeMap<String, f32>,
    /// Class indices by name.
    pub cat: BTreeMap<String, usize>,
}
