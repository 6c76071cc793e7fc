//! Vectors of parameters: the values that a network predicts.

use serde::{Deserialize, Serialize};

/// Positions and class indices of all parameters, in the order of a [`ParamSpec`](crate::ParamSpec).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamVector {
    /// `[n_continuous]`: positions in 0..1 along each parameter's curve.
    pub cont: Vec<f32>,
    /// `[n_categorical]`: class indices from 0.
    pub cat: Vec<usize>,
}
