//! What parameter heads inherit from heads of another run.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What parameter heads inherit from heads of another run: transfer learning between synthesizers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadTransfer {
    /// Whether the band networks are copied.
    pub bands: bool,
    /// Outputs that are copied: those whose parameter and class names match.
    pub outputs: usize,
    /// Outputs in all.
    pub of: usize,
    /// Parameters with at least one output that is newly initialised, in the order of the outputs.
    pub new: Vec<String>,
    /// The setting whose difference keeps every output from being copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differing: Option<String>,
}

/// `38 of 42 outputs copied, newly initialised: cutoff`.
impl fmt::Display for HeadTransfer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            outputs, of, new, ..
        } = self;
        match &self.differing {
            Some(setting) => write!(out, "no output copied: {setting} differs"),
            None if *outputs == 0 => out.write_str("no output copied: no parameter name matches"),
            None => {
                write!(out, "{outputs} of {of} outputs copied")?;
                match new.is_empty() {
                    true => Ok(()),
                    false => write!(out, ", newly initialised: {}", new.join(", ")),
                }
            }
        }
    }
}
