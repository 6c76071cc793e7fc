//! What parameter heads go on from, where the weights that they begin with come with heads.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What parameter heads go on from, where the weights that they begin with come with heads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadTransfer {
    /// The networks that read bands beside the encoder are those from there.
    pub bands: bool,
    /// Outputs that go on: those whose parameter and class are called the same there.
    pub outputs: usize,
    /// Outputs in all.
    pub of: usize,
    /// Parameters of which an output begins anew, in the order of the outputs.
    pub anew: Vec<String>,
    /// The setting by which heads read something else than there, so that none goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differing: Option<String>,
}

/// What of the heads goes on: `38 of 42 outputs go on, anew: cutoff`.
impl fmt::Display for HeadTransfer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            outputs, of, anew, ..
        } = self;
        match &self.differing {
            Some(setting) => write!(out, "none goes on, since {setting} is another there"),
            None if *outputs == 0 => {
                out.write_str("none goes on, since no parameter is called the same there")
            }
            None => {
                write!(out, "{outputs} of {of} outputs go on")?;
                match anew.is_empty() {
                    true => Ok(()),
                    false => write!(out, ", anew: {}", anew.join(", ")),
                }
            }
        }
    }
}
