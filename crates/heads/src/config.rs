//! The configuration of the heads and its errors.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Sizes of [`ParameterHeads`](crate::ParameterHeads).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParameterHeadsConfig {
    /// Width of the hidden layer; 0 for none. Without it the heads are linear: a linear probe of the encoder's
    /// features (Alain & Bengio 2017).
    pub hidden: usize,
    /// Dropout probability before the last layer, from 0 to below 1.
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

/// An error in a configuration of this crate.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("`{field}` has to be {expected}, got {got}")]
#[non_exhaustive]
pub struct HeadsConfigError {
    /// The field that is wrong.
    pub field: &'static str,
    /// Its range, in words.
    pub expected: &'static str,
    /// Its value.
    pub got: f64,
}

impl ParameterHeadsConfig {
    /// Checks that heads can be built from this configuration.
    ///
    /// # Errors
    /// The dropout isn't from 0 to below 1.
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
