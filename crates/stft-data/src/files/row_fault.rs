use std::fmt;
use std::io;
use std::path::PathBuf;

use params::ParamError;

use crate::printable::{printable, printable_text};

/// A fault in a row of a list of sounds.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RowFault {
    /// It is not JSON, lacks a key, or holds a value of the wrong type.
    #[error("{}", JsonFault(key, cause))]
    Json {
        /// Position in the row; `.` for the row itself.
        key: String,
        /// The cause. It isn't the error's source, because its line number counts from the row.
        cause: serde_json::Error,
    },
    /// Its parameters don't match the description.
    #[error("{}", printable_text(&.0.to_string()))]
    Param(ParamError),
    /// Its sound can't be found.
    #[error("`path`: can't find {}: {source}", printable(sound))]
    NoFile {
        /// The path, as in the row.
        sound: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Its path is absolute, or leads out of the folder of the list.
    #[error(
        "`path`: {} leaves the folder of this list; give a relative path without `..`, to a file \
         that is no link out of the folder",
        printable(sound)
    )]
    Outside {
        /// The path, as in the row.
        sound: PathBuf,
    },
    /// It has ground truth, but no description of the parameters.
    #[error(
        "`cont`: this row has ground truth, but no params.json beside this list describes it; add it"
    )]
    NoDescription,
    /// Its sound is in an earlier row.
    #[error(
        "`path`: {} is in line {first_line} already; remove one of the two",
        printable(sound)
    )]
    Duplicate {
        /// The path, as in the row.
        sound: PathBuf,
        /// The earlier line.
        first_line: usize,
    },
}

/// The key and the cause, without the position inside the row: the message has the line of the file.
struct JsonFault<'a>(&'a str, &'a serde_json::Error);

impl fmt::Display for JsonFault<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JsonFault(key, source) = self;
        // The row itself, and a key that is not reached before the text ends.
        if !matches!(*key, "." | "?") {
            write!(out, "`{}`: ", printable_text(key))?;
        }
        let text = source.to_string();
        let position = format!(" at line {} column {}", source.line(), source.column());
        let text = text.strip_suffix(&position).unwrap_or(&text);
        write!(out, "{}", printable_text(text))
    }
}
