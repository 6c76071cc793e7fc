use std::fmt;
use std::io;
use std::path::PathBuf;

use params::ParamError;

use crate::shown::shown;
use crate::sound_files::Rejected;

/// Whatever the world can do wrong between a folder and a batch.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A configuration field holds a value that no pipeline can be built from.
    #[error("`{field}` is {got}, but it must be {expected}")]
    Config {
        /// Name of the field, as it is written in the file.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A sound file can't be used.
    #[error("{}: {reason}", shown(path))]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        reason: Unusable,
    },
    /// The folder or list of sounds does not exist.
    #[error(
        "{}: there is no such file or folder; check the path of the data",
        shown(path)
    )]
    FolderMissing {
        /// The path asked for.
        path: PathBuf,
    },
    /// The path of the folder of sounds leads to something else.
    #[error(
        "{}: this is not a folder; name the folder that holds the sounds",
        shown(path)
    )]
    NotAFolder {
        /// The path asked for.
        path: PathBuf,
    },
    /// A folder could not be listed.
    #[error("{}: can't list this folder: {source}", shown(path))]
    Walk {
        /// The folder that was searched.
        path: PathBuf,
        /// The cause; it names the inner path.
        source: walkdir::Error,
    },
    /// The folder holds nothing that looks like a sound.
    #[error(
        "{}: no sound file (WAV, FLAC, OGG Vorbis, MP3, AIFF) in this folder or below; \
         {skipped} other files were passed over",
        shown(path)
    )]
    NoAudioFiles {
        /// The folder that was searched.
        path: PathBuf,
        /// Number of other files.
        skipped: usize,
    },
    /// The folder holds sound files, but none of them can be used.
    #[error("{}: none of the {} sound files can be used:{}", shown(path), rejected.len(), FirstReasons(rejected))]
    AllRejected {
        /// The folder that was searched.
        path: PathBuf,
        /// Every file with its reason.
        rejected: Vec<Rejected>,
    },
    /// A path leads neither to a sound nor to a folder nor to a list.
    #[error(
        "{}: this is neither a sound (WAV, FLAC, OGG Vorbis, MP3, AIFF), nor a folder of sounds, nor a list \
         of them (manifest.jsonl beside params.json, NSynth's examples.json, AudioCraft's *.jsonl, none of \
         them compressed)",
        shown(path)
    )]
    NoSource {
        /// The path asked for.
        path: PathBuf,
    },
    /// The folder of the cache can't be used.
    #[error(
        "{}: can't keep decoded sounds here: {source}; name another folder, or switch the cache off",
        shown(path)
    )]
    Cache {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A list of sounds, or the description beside it, can't be read.
    #[error("{}: can't read it: {source}", shown(path))]
    List {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A folder has a manifest, but nothing in it tells what the labels mean.
    #[error(
        "{}: there is no params.json beside this list; add it, or, if its rows have no labels, name the \
         list itself in place of its folder",
        shown(list)
    )]
    DescriptionMissing {
        /// The list.
        list: PathBuf,
    },
    /// A list has no rows.
    #[error(
        "{}: it lists no sound; add rows, or name the folder that holds the sounds",
        shown(path)
    )]
    EmptyList {
        /// The list.
        path: PathBuf,
    },
    /// A row of a list of sounds, or a line of the description beside it, is not what it must be.
    #[error("{}, line {line}: {fault}", shown(path))]
    Row {
        /// The list, or the description.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        fault: RowFault,
    },
    /// Too few different sounds to split.
    #[error("a split needs at least {needed} different sounds, but there are {got}; add sounds")]
    TooFewSounds {
        /// How many different contents the split needs.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// The training split can't be normalised, because it has no variation at all.
    #[error(
        "every valid frame of the {examples} training examples is equal (silence?); there is nothing to learn from"
    )]
    NoVariation {
        /// Number of training examples.
        examples: usize,
    },
    /// A source handed over an example without samples, or with a sample rate of zero.
    #[error(
        "{name}: the source gave {samples} samples at {sample_rate_hz} Hz; both must be positive"
    )]
    EmptyExample {
        /// Name of the example.
        name: String,
        /// Number of samples.
        samples: usize,
        /// Samples per second.
        sample_rate_hz: u32,
    },
    /// A source handed over a sample that is no number, or beyond [`MAX_SAMPLE`](crate::MAX_SAMPLE).
    #[error(
        "{name}: sample {at_sample} is {value:e}; every sample must be from -{max:e} to {max:e}"
    )]
    ImpossibleSample {
        /// Name of the example.
        name: String,
        /// Index of the first such sample.
        at_sample: usize,
        /// Its value.
        value: f32,
        /// Largest magnitude that is believed.
        max: f32,
    },
    /// The resampler refused.
    #[error("can't resample from {from_hz} Hz to {to_hz} Hz: {reason}")]
    Resample {
        /// Rate of the sound.
        from_hz: u32,
        /// Rate asked for.
        to_hz: u32,
        /// The cause.
        reason: String,
    },
    /// A loader's worker thread panicked, or could not be started.
    #[error("a loader worker failed: {message}")]
    Worker {
        /// The panic's message.
        message: String,
    },
}

/// What can be wrong with a row of a list of sounds.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum RowFault {
    /// It is not JSON, lacks a key, or holds a value of the wrong type.
    #[error("{}", JsonFault(key, cause))]
    Json {
        /// Where in the row, `.` for the row itself.
        key: String,
        /// The cause. It isn't the error's source, since it knows the row alone: its line would be a second one.
        cause: serde_json::Error,
    },
    /// Its parameters are not those of the description.
    #[error(transparent)]
    Param(ParamError),
    /// Its sound can't be found.
    #[error("`path`: can't find {}: {source}", shown(sound))]
    NoFile {
        /// The path, as the row gives it.
        sound: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Its path is absolute, or leads out of the folder of the list.
    #[error(
        "`path`: {} leaves the folder of this list; give a relative path without `..`, to a file \
         that is no link out of the folder",
        shown(sound)
    )]
    Outside {
        /// The path, as the row gives it.
        sound: PathBuf,
    },
    /// It has ground truth, but nothing tells what the values mean.
    #[error(
        "`cont`: this row has ground truth, but no params.json beside this list describes it; add it"
    )]
    NoDescription,
    /// Its sound is in an earlier row.
    #[error(
        "`path`: {} is in line {first_line} already; remove one of the two",
        shown(sound)
    )]
    Duplicate {
        /// The path, as the row gives it.
        sound: PathBuf,
        /// The earlier line.
        first_line: usize,
    },
}

/// Why a sound file can't be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It could not be opened or read.
    #[error("can't read it: {0}")]
    Io(#[from] io::Error),
    /// Its content is in no format that is known here.
    #[error("its content is not WAV, FLAC, OGG Vorbis, MP3 or AIFF ({0})")]
    NotAudio(String),
    /// The container is known, what is inside is not.
    #[error("it holds no sound that can be decoded ({0})")]
    UnknownCodec(String),
    /// There is not one sample in it.
    #[error("no sound could be decoded from it ({damaged_packets} damaged packets)")]
    NoFrames {
        /// Packets that failed to decode.
        damaged_packets: usize,
    },
    /// It is longer than the limit.
    #[error("it is longer than {max_seconds} s; cut it, or raise the limit `max_seconds`")]
    TooLong {
        /// The limit.
        max_seconds: f32,
    },
    /// It has more samples than the limit, though its rate makes it short enough.
    #[error(
        "it has more than {max_samples} samples; cut it, bring it to a lower rate, or raise the limit `max_samples`"
    )]
    TooManySamples {
        /// The limit, for one channel.
        max_samples: usize,
    },
    /// It has more channels than the limit.
    #[error(
        "it has {got} channels; mix it down, or raise the limit `max_channels` from {max_channels}"
    )]
    TooManyChannels {
        /// Number of channels.
        got: usize,
        /// The limit.
        max_channels: u16,
    },
    /// Its sample rate is beyond reason, on either side.
    #[error("its sample rate is {got} Hz; rates from {min} to {max} Hz are understood")]
    SampleRate {
        /// Samples per second, as the file says.
        got: u32,
        /// Lowest rate that is understood.
        min: u32,
        /// Highest rate that is understood.
        max: u32,
    },
    /// It holds NaN or an infinity.
    #[error("sample {at_sample} is not finite; export it again")]
    NotFinite {
        /// Index of the first such sample.
        at_sample: usize,
    },
    /// It holds a sample beyond [`MAX_SAMPLE`](crate::MAX_SAMPLE).
    #[error(
        "sample {at_sample} is {value:e}, and full scale is 1; more than {max:e} is taken for damage: export it again"
    )]
    TooLarge {
        /// Index of the first such sample.
        at_sample: usize,
        /// Its value.
        value: f32,
        /// Largest magnitude that is believed.
        max: f32,
    },
    /// It is a pipe, a socket, a device or a folder, perhaps behind a link; it is not opened.
    #[error("it is not a regular file")]
    NotRegular,
    /// The decoder panicked.
    #[error("the decoder failed on it: {0}")]
    DecoderPanicked(String),
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

/// The key and the cause, without the place inside the row, which is given as a line of the file.
struct JsonFault<'a>(&'a str, &'a serde_json::Error);

impl fmt::Display for JsonFault<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let JsonFault(key, source) = self;
        // The row itself, and a place that is not reached before the text ends.
        if !matches!(*key, "." | "?") {
            write!(out, "`{key}`: ")?;
        }
        let text = source.to_string();
        let place = format!(" at line {} column {}", source.line(), source.column());
        out.write_str(text.strip_suffix(&place).unwrap_or(&text))
    }
}

/// Enough reasons to act on without filling the screen.
struct FirstReasons<'a>(&'a [Rejected]);

impl fmt::Display for FirstReasons<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        for rejected in self.0.iter().take(SHOWN) {
            write!(out, "\n  {}: {}", shown(&rejected.path), rejected.reason)?;
        }
        if self.0.len() > SHOWN {
            write!(out, "\n  and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}
