use std::io;
use std::path::PathBuf;

/// Said of a file that begins as a sound does.
pub(crate) const CUT: &str = "it ends before its first sound; copy or export it again";

/// Why a sound file can't be used.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It could not be opened or read.
    #[error("can't read it: {0}")]
    Io(#[from] io::Error),
    /// Its content is in no format that is known here, or ends before that could be told.
    #[error("{0}")]
    NotAudio(String),
    /// The container is known, what is inside is not.
    #[error("it holds no sound that can be decoded ({0})")]
    UnknownCodec(String),
    /// There is not one sample in it.
    #[error("{}", match truncated {
        true => CUT.to_owned(),
        false => format!("no sound could be decoded from it ({damaged_packets} damaged packets)"),
    })]
    NoFrames {
        /// Packets that failed to decode.
        damaged_packets: usize,
        /// None failed, but its header tells of a sound: it was cut before the end of the first packet.
        truncated: bool,
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

/// A sound file that can't be used.
#[derive(Debug)]
pub struct Rejected {
    /// Path below the folder, or as the list gives it.
    pub path: PathBuf,
    /// Why.
    pub reason: Unusable,
}
