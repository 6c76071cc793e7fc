use std::io;
use std::path::PathBuf;

/// Why a file that begins like a sound file, but ends before its first sample, can't be used.
pub(crate) const CUT: &str = "it ends before its first sound; copy or export it again";

/// Why a sound file can't be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It could not be opened or read.
    #[error("can't read it: {0}")]
    Io(#[from] io::Error),
    /// Its format is unknown, or it ends before the format can be detected.
    #[error("{0}")]
    NotAudio(String),
    /// The container is known, its content is not.
    #[error("it holds no sound that can be decoded ({0})")]
    UnknownCodec(String),
    /// It has no samples.
    #[error("{}", match truncated {
        true => CUT.to_owned(),
        false => format!("no sound could be decoded from it ({damaged_packets} damaged packets)"),
    })]
    NoFrames {
        /// Number of packets that could not be decoded.
        damaged_packets: usize,
        /// No packet failed, but the header announces sound: the file ends within the first packet.
        truncated: bool,
    },
    /// It is longer than the limit.
    #[error("it is longer than {max_seconds} s; cut it, or raise the limit `max_seconds`")]
    TooLong {
        /// The limit.
        max_seconds: f32,
    },
    /// It has more samples than the limit, although it is short enough in seconds.
    #[error(
        "it has more than {max_samples} samples; cut it, resample it to a lower rate, or raise the limit `max_samples`"
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
    /// Its sample rate is implausibly low or high.
    #[error("its sample rate is {got} Hz; rates from {min} to {max} Hz are supported")]
    SampleRate {
        /// Samples per second, according to the file.
        got: u32,
        /// Lowest supported rate.
        min: u32,
        /// Highest supported rate.
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
        "sample {at_sample} is {value:e}, where full scale is 1; values beyond {max:e} count as damage: export it again"
    )]
    TooLarge {
        /// Index of the first such sample.
        at_sample: usize,
        /// Its value.
        value: f32,
        /// Largest accepted magnitude.
        max: f32,
    },
    /// It is a pipe, a socket, a device or a folder, or a link to one; such files are never opened.
    #[error("it is not a regular file")]
    NotRegular,
    /// The decoder panicked.
    #[error("the decoder failed on it: {0}")]
    DecoderPanicked(String),
}

/// A sound file that can't be used.
#[derive(Debug)]
pub struct Rejected {
    /// Path relative to the folder, or as in the list.
    pub path: PathBuf,
    /// Why it can't be used.
    pub reason: Unusable,
}
