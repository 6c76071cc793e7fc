use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::decode::unusable::{Rejected, Unusable};
use crate::files::row_fault::RowFault;
use crate::printable::{printable, printable_text};

/// Errors between a folder of sounds and a batch.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A configuration field has an impossible value.
    #[error("`{field}` is {got}, but it must be {expected}")]
    Config {
        /// Name of the field, as in a configuration file.
        field: &'static str,
        /// What is expected.
        expected: String,
        /// The value.
        got: String,
    },
    /// A sound file can't be used.
    #[error("{}: {reason}", printable(path))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why it can't be used.
        #[source]
        reason: Unusable,
    },
    /// The folder or list of sounds does not exist.
    #[error(
        "{}: there is no such file or folder; check the path of the data",
        printable(path)
    )]
    FolderMissing {
        /// The path.
        path: PathBuf,
    },
    /// The path of the folder of sounds is not that of a folder.
    #[error(
        "{}: this is not a folder; name the folder that holds the sounds",
        printable(path)
    )]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// A folder could not be listed.
    #[error("{}: can't list this folder: {}", printable(path), printable_text(&cause.to_string()))]
    Walk {
        /// The folder that was searched.
        path: PathBuf,
        /// The cause. It isn't the error's source, because its message holds a path with control characters unescaped.
        cause: walkdir::Error,
    },
    /// The folder holds no sound files.
    #[error(
        "{}: no sound file (WAV, FLAC, OGG Vorbis, MP3, AIFF) in this folder or below; \
         {skipped} other files were skipped",
        printable(path)
    )]
    NoAudioFiles {
        /// The folder that was searched.
        path: PathBuf,
        /// Number of other files.
        skipped: usize,
    },
    /// The folder holds sound files, but none of them can be used.
    #[error("{}: none of the {} sound files can be used:{}", printable(path), rejected.len(), FirstReasons(rejected))]
    AllRejected {
        /// The folder that was searched.
        path: PathBuf,
        /// Every file with the reason.
        rejected: Vec<Rejected>,
    },
    /// A path is neither that of a sound nor of a folder nor of a list.
    #[error(
        "{}: this is neither a sound (WAV, FLAC, OGG Vorbis, MP3, AIFF), nor a folder of sounds, nor a list \
         of them (manifest.jsonl beside params.json, NSynth's examples.json, AudioCraft's *.jsonl, none of \
         them compressed)",
        printable(path)
    )]
    NoSource {
        /// The path.
        path: PathBuf,
    },
    /// A list of sounds, or its `params.json`, can't be read.
    #[error("{}: can't read it: {source}", printable(path))]
    List {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder has a manifest, but no description of the labels.
    #[error(
        "{}: there is no params.json beside this list; add it, or, if its rows have no labels, name the \
         list itself in place of its folder",
        printable(list)
    )]
    DescriptionMissing {
        /// The list.
        list: PathBuf,
    },
    /// A list is empty.
    #[error(
        "{}: it lists no sound; add rows, or name the folder that holds the sounds",
        printable(path)
    )]
    EmptyList {
        /// The list.
        path: PathBuf,
    },
    /// A row of a list of sounds, or a line of its `params.json`, has a fault.
    #[error("{}, line {line}: {fault}", printable(path))]
    Row {
        /// The list, or its `params.json`.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The fault.
        #[source]
        fault: RowFault,
    },
    /// Several rows of a list of sounds have faults.
    #[error("{}: {} rows are faulty:{}", printable(path), faults.len(), FirstFaults(faults))]
    Rows {
        /// The list.
        path: PathBuf,
        /// The faults with their lines, from 1.
        faults: Vec<(usize, RowFault)>,
    },
    /// There are too few different sounds to split.
    #[error("a split needs at least {needed} different sounds, but there are {got}; add sounds")]
    TooFewSounds {
        /// Number of different sounds that the split needs.
        needed: usize,
        /// Number of different sounds.
        got: usize,
    },
    /// All values of the training split are equal, so it can't be normalised.
    #[error(
        "all valid frames of the {examples} training examples are equal (silence?); there is nothing to learn from"
    )]
    NoVariation {
        /// Number of training examples.
        examples: usize,
    },
    /// A source returned a sound without samples, or with a sample rate of zero.
    #[error(
        "{name}: the source returned {samples} samples at {sample_rate_hz} Hz; both must be positive"
    )]
    EmptyExample {
        /// Name of the sound.
        name: String,
        /// Number of samples.
        samples: usize,
        /// Samples per second.
        sample_rate_hz: u32,
    },
    /// A source returned a sample that is NaN, infinite or beyond [`MAX_SAMPLE`](crate::MAX_SAMPLE).
    #[error(
        "{name}: sample {at_sample} is {value:e}; every sample must be from -{max:e} to {max:e}"
    )]
    ImpossibleSample {
        /// Name of the sound.
        name: String,
        /// Index of the first such sample.
        at_sample: usize,
        /// Its value.
        value: f32,
        /// Largest accepted magnitude.
        max: f32,
    },
    /// A sound can't be resampled.
    #[error("can't resample from {from_hz} Hz to {to_hz} Hz: {reason}")]
    Resample {
        /// Rate of the sound.
        from_hz: u32,
        /// Requested rate.
        to_hz: u32,
        /// The cause.
        reason: String,
    },
    /// A worker thread of a loader panicked or could not be started.
    #[error("a loader worker failed: {message}")]
    Worker {
        /// The panic's message.
        message: String,
    },
}

impl DataError {
    pub(crate) fn config(
        field: &'static str,
        expected: impl Into<String>,
        got: impl fmt::Display,
    ) -> DataError {
        DataError::Config {
            field,
            expected: expected.into(),
            got: got.to_string(),
        }
    }
}

/// The text of a caught panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".to_owned())
}

/// Displays the first few rejected files.
struct FirstReasons<'a>(&'a [Rejected]);

impl fmt::Display for FirstReasons<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        first_of(out, self.0, |out, Rejected { path, reason }| {
            write!(out, "{}: {reason}", printable(path))
        })
    }
}

/// Displays the first few faults.
struct FirstFaults<'a>(&'a [(usize, RowFault)]);

impl fmt::Display for FirstFaults<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        first_of(out, self.0, |out, (line, fault)| {
            write!(out, "line {line}: {fault}")
        })
    }
}

fn first_of<T>(
    out: &mut fmt::Formatter<'_>,
    all: &[T],
    write_one: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    const SHOWN: usize = 5;
    for one in all.iter().take(SHOWN) {
        out.write_str("\n  ")?;
        write_one(out, one)?;
    }
    match all.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => write!(out, "\n  and {more} more"),
    }
}
