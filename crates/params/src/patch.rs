//! Patches: parameters by name, in musical units.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The settings of a synthesizer in musical units.
///
/// A patch is unchecked; [`ParamSpec::encode`](crate::ParamSpec::encode) checks it against a synthesizer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// Continuous values by name, each in its parameter's unit.
    pub cont: BTreeMap<String, f32>,
    /// Class indices by name.
    pub cat: BTreeMap<String, usize>,
}
