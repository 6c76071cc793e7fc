use std::fs::File;
use std::io::{self, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde::{Deserialize, Serialize};
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;

use crate::audio::{Audio, MAX_SAMPLE};
use crate::error::{DataError, Unusable, panic_message};

/// Highest sample rate that is believed: twice that of the fastest converters on sale. A header
/// that claims more would only make the resampler plan enormous transforms.
const MAX_RATE_HZ: u32 = 768_000;

/// What a sound file may hold before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeLimits {
    /// Longest sound, in seconds. Ten minutes: far beyond any note, far below what fills memory.
    pub max_seconds: f32,
    /// Most channels. Eight, the widest layout in common use (7.1).
    pub max_channels: u16,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            max_seconds: 600.0,
            max_channels: 8,
        }
    }
}

impl DecodeLimits {
    pub(crate) fn validate(&self) -> Result<(), DataError> {
        if !(self.max_seconds.is_finite() && self.max_seconds > 0.0) {
            return Err(DataError::config(
                "decode.max_seconds",
                "a positive number of seconds",
                self.max_seconds,
            ));
        }
        if self.max_channels == 0 {
            return Err(DataError::config(
                "decode.max_channels",
                "at least 1",
                self.max_channels,
            ));
        }
        Ok(())
    }
}

/// Decodes a sound file (WAV, FLAC, OGG Vorbis, MP3 or AIFF) to the mean of its channels.
///
/// The content decides on the format, the name does not. Damaged packets are passed over and a
/// truncated file gives what is present, as players do. Memory grows with the sound that is really
/// there, not with what a header claims. Only regular files are opened: a pipe would make the reader
/// wait, and a device may have no end.
///
/// # Errors
/// [`DataError::Unusable`] with the path and the reason.
pub fn decode_file(path: &Path, limits: &DecodeLimits) -> Result<Audio, DataError> {
    decode_with_facts(path, limits)
        .map(|decoded| decoded.audio)
        .map_err(|reason| DataError::Unusable {
            path: path.to_owned(),
            reason,
        })
}

/// A decoded file with what its header and its packets told.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) audio: Audio,
    pub(crate) channels: usize,
    pub(crate) damaged_packets: usize,
}

pub(crate) fn decode_with_facts(path: &Path, limits: &DecodeLimits) -> Result<Decoded, Unusable> {
    guarded(|| decode(path, limits))
}

/// A hostile file may hit a bug in a decoder. One file must not end a run over thousands.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Unusable>) -> Result<T, Unusable> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|payload| Err(Unusable::DecoderPanicked(panic_message(&*payload))))
}

fn decode(path: &Path, limits: &DecodeLimits) -> Result<Decoded, Unusable> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(Unusable::NotRegular);
    }
    let file = File::open(path)?;
    let mut format = match probe(Box::new(file.try_clone()?)) {
        // The AIFF reader looks for chunks behind the samples and gives up on a truncated file. A
        // stream that can't be sought makes it begin with the samples at once.
        Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let mut again = file;
            again.rewind()?;
            probe(Box::new(ReadOnlySource::new(again)))
        }
        outcome => outcome,
    }
    .map_err(not_audio)?;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| Unusable::UnknownCodec("no sound track".to_owned()))?;
    let track_id = track.id;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| Unusable::UnknownCodec("no codec parameters".to_owned()))?;
    if let Some(channels) = &parameters.channels {
        check_channels(channels.count(), limits)?;
    }
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| Unusable::UnknownCodec(error.to_string()))?;
    read_packets(&mut *format, &mut *decoder, track_id, limits)
}

fn probe(source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>, Error> {
    symphonia::default::get_probe().probe(
        &Hint::new(),
        MediaSourceStream::new(source, Default::default()),
        FormatOptions::default(),
        MetadataOptions::default(),
    )
}

fn read_packets(
    format: &mut dyn FormatReader,
    decoder: &mut dyn AudioDecoder,
    track_id: u32,
    limits: &DecodeLimits,
) -> Result<Decoded, Unusable> {
    let mut mono = Mono::default();
    let mut damaged_packets = 0;
    let mut planes: Vec<Vec<f32>> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // The file ends inside a packet: what came before is the sound.
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(Error::IoError(error)) => return Err(Unusable::Io(error)),
            // The container itself is broken here (or begins another stream, which would need
            // another decoder): there is no telling where the next packet starts.
            Err(_) => {
                damaged_packets += 1;
                break;
            }
        };
        if packet.track_id != track_id {
            continue;
        }
        match decoder.decode(&packet) {
            Ok(buffer) => {
                let rate_hz = buffer.spec().rate();
                check_channels(buffer.num_planes(), limits)?;
                buffer.copy_to_vecs_planar(&mut planes);
                if !mono.push(&planes, rate_hz, limits)? {
                    damaged_packets += 1;
                }
            }
            Err(Error::DecodeError(_)) => damaged_packets += 1,
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                damaged_packets += 1;
            }
            Err(error) => return Err(Unusable::UnknownCodec(error.to_string())),
        }
    }
    if mono.samples.is_empty() {
        return Err(Unusable::NoFrames { damaged_packets });
    }
    Ok(Decoded {
        audio: Audio {
            samples: mono.samples,
            sample_rate_hz: mono.rate_hz,
        },
        channels: mono.channels,
        damaged_packets,
    })
}

/// The mean of the channels, as it grows packet by packet.
#[derive(Default)]
struct Mono {
    samples: Vec<f32>,
    rate_hz: u32,
    channels: usize,
}

impl Mono {
    /// Appends a packet; false if it can't belong to the sound because its rate differs, as when
    /// chance bytes look like the header of an MP3 frame.
    fn push(
        &mut self,
        planes: &[Vec<f32>],
        rate_hz: u32,
        limits: &DecodeLimits,
    ) -> Result<bool, Unusable> {
        let frames = planes.first().map_or(0, Vec::len);
        if frames == 0 {
            return Ok(true);
        }
        if self.samples.is_empty() {
            if rate_hz == 0 || rate_hz > MAX_RATE_HZ {
                return Err(Unusable::SampleRate {
                    got: rate_hz,
                    max: MAX_RATE_HZ,
                });
            }
            self.rate_hz = rate_hz;
            self.channels = planes.len();
        } else if rate_hz != self.rate_hz {
            return Ok(false);
        }
        let max_samples = f64::from(limits.max_seconds) * f64::from(self.rate_hz);
        if (self.samples.len() + frames) as f64 > max_samples {
            return Err(Unusable::TooLong {
                max_seconds: limits.max_seconds,
            });
        }
        let count = planes.len() as f32;
        for frame in 0..frames {
            let mut sum = 0.0;
            for plane in planes {
                // Before the sum, in which two absurd channels could cancel.
                check_sample(plane[frame], self.samples.len())?;
                sum += plane[frame];
            }
            self.samples.push(sum / count);
        }
        Ok(true)
    }
}

fn check_sample(value: f32, at_sample: usize) -> Result<(), Unusable> {
    if value.abs() <= MAX_SAMPLE {
        Ok(())
    } else if value.is_finite() {
        Err(Unusable::TooLarge {
            at_sample,
            value,
            max: MAX_SAMPLE,
        })
    } else {
        Err(Unusable::NotFinite { at_sample })
    }
}

fn check_channels(got: usize, limits: &DecodeLimits) -> Result<(), Unusable> {
    if got > usize::from(limits.max_channels) {
        return Err(Unusable::TooManyChannels {
            got,
            max_channels: limits.max_channels,
        });
    }
    Ok(())
}

fn not_audio(error: Error) -> Unusable {
    match error {
        // Running into the end while probing is what every short non-sound does.
        Error::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            Unusable::Io(error)
        }
        error => Unusable::NotAudio(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_decoder_is_a_reason_like_any_other() {
        let reason = guarded(|| -> Result<(), Unusable> { panic!("index {} out of bounds", 7) })
            .unwrap_err();
        assert_eq!(
            reason.to_string(),
            "the decoder failed on it: index 7 out of bounds"
        );
    }

    #[test]
    fn channels_are_averaged_and_packets_of_another_rate_passed_over() {
        let mut mono = Mono::default();
        let limits = DecodeLimits {
            max_seconds: 0.5,
            max_channels: 8,
        };
        assert!(
            mono.push(
                &[vec![1.0, 0.5], vec![0.0, -0.5], vec![0.5, 3.0]],
                10,
                &limits
            )
            .unwrap()
        );
        assert!(!mono.push(&[vec![9.0]], 11, &limits).unwrap());
        assert!(mono.push(&[vec![0.25]], 10, &limits).unwrap());
        assert_eq!(mono.samples, [0.5, 1.0, 0.25]);
        let too_long = mono.push(&[vec![0.0; 3]], 10, &limits).unwrap_err();
        assert!(matches!(too_long, Unusable::TooLong { .. }));
    }

    #[test]
    fn rates_beyond_belief_are_refused() {
        for rate_hz in [0, MAX_RATE_HZ + 1, u32::MAX] {
            let refused = Mono::default()
                .push(&[vec![0.1]], rate_hz, &DecodeLimits::default())
                .unwrap_err();
            assert!(matches!(refused, Unusable::SampleRate { got, .. } if got == rate_hz));
        }
    }
}
