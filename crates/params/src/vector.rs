//! What a network predicts: positions and class indices in the order of a specification.

use serde::{Deserialize, Serialize};

/// The values of all parameters as numbers, in the order of a [`ParamSpec`](crate::ParamSpec).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamVector {
    /// `[n_continuous]`: positions in 0..1 along each parameter's curve.
    pub cont: Vec<f32>,
    /// `[n_categorical]`: class indices from 0.
    pub cat: Vec<usize>,
}
