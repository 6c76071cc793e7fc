//! Files, and parts of them, that hold JSON.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::TrainerError;

/// What the file at `path` says.
///
/// # Errors
/// There is no such file, or it holds something else.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, TrainerError> {
    let text = fs::read_to_string(path).map_err(TrainerError::read(path))?;
    parse_json(path, &text)
}

/// What `text`, which stands in the file at `path`, says.
///
/// # Errors
/// [`TrainerError::Checkpoint`] if it is something else.
pub(crate) fn parse_json<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, TrainerError> {
    serde_json::from_str(text).map_err(|error| TrainerError::Checkpoint {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}
