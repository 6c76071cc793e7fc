//! The protocol-buffer messages of an event file, as far as this project writes them.
//!
//! Field numbers are those of TensorFlow's `event.proto` and `summary.proto`.

/// One entry of an event file.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Event {
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    #[prost(int64, tag = "2")]
    pub step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    pub what: Option<What>,
}

/// What an [`Event`] carries.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// A change in the state of the process that writes; `status` 1 is its start.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SessionLog {
    #[prost(int32, tag = "1")]
    pub status: i32,
}

/// Values of one step.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// A tagged value.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub tag: String,
    #[prost(oneof = "Kind", tags = "2, 4, 6")]
    pub kind: Option<Kind>,
}

/// What a [`Value`] holds.
#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Kind {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "4")]
    Image(Image),
    #[prost(message, tag = "6")]
    Audio(Audio),
}

/// An encoded picture; `colorspace` 3 is RGB.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Image {
    #[prost(int32, tag = "1")]
    pub height: i32,
    #[prost(int32, tag = "2")]
    pub width: i32,
    #[prost(int32, tag = "3")]
    pub colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub encoded_image_string: Vec<u8>,
}

/// An encoded sound.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Audio {
    #[prost(float, tag = "1")]
    pub sample_rate: f32,
    #[prost(int64, tag = "2")]
    pub num_channels: i64,
    #[prost(int64, tag = "3")]
    pub length_frames: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub encoded_audio_string: Vec<u8>,
    #[prost(string, tag = "5")]
    pub content_type: String,
}

impl Value {
    pub(super) fn scalar(tag: &str, value: f32) -> Self {
        Self::new(tag, Kind::SimpleValue(value))
    }

    pub(super) fn image(tag: &str, image: Image) -> Self {
        Self::new(tag, Kind::Image(image))
    }

    pub(super) fn audio(tag: &str, audio: Audio) -> Self {
        Self::new(tag, Kind::Audio(audio))
    }

    fn new(tag: &str, kind: Kind) -> Self {
        Self {
            tag: tag.to_string(),
            kind: Some(kind),
        }
    }
}
