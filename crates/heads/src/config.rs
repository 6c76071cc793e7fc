//! The settings of the heads, and what can be wrong with them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What stands between pooled features and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParameterHeadsConfig {
    /// Width of the hidden layer; 0 for none: linear heads, whose accuracy tells how much of the parameters can be
    /// read from the features as they are (a linear probe, Alain & Bengio 2017).
    pub hidden: usize,
    /// Share of the values in front of the last layer that is set to 0 in training, from 0 to below 1.
    pub dropout: f64,
}

impl Default for ParameterHeadsConfig {
    fn default() -> Self {
        Self {
            hidden: 256,
            dropout: 0.1,
        }
    }
}

/// A setting that can't work.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("`{field}` has to be {expected}, got {got}")]
#[non_exhaustive]
pub struct HeadsConfigError {
    /// The setting.
    pub field: &'static str,
    /// What would work.
    pub expected: &'static str,
    /// What was given.
    pub got: f64,
}

impl ParameterHeadsConfig {
    /// Checks its numbers.
    ///
    /// # Errors
    /// A dropout that isn't from 0 to below 1.
    pub fn validate(&self) -> Result<(), HeadsConfigError> {
        match (0.0..1.0).contains(&self.dropout) {
            true => Ok(()),
            false => Err(HeadsConfigError {
                field: "dropout",
                expected: "from 0 to below 1",
                got: self.dropout,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_is_a_share() {
        let validate = |dropout| ParameterHeadsConfig { hidden: 7, dropout }.validate();
        for share in [0.0, 0.5, 0.999] {
            assert_eq!(validate(share), Ok(()));
        }
        for share in [-0.1, 1.0, f64::NAN] {
            let message = validate(share).unwrap_err().to_string();
            assert!(message.starts_with("`dropout` has to be from 0 to below 1, got"));
        }
    }
}
