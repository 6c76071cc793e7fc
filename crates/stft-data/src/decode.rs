use std::fs::File;
use std::io::{self, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use serde::{Deserialize, Serialize};
use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;

use crate::audio::{Audio, MAX_SAMPLE};
use crate::error::{DataError, Unusable, panic_message};
use crate::level::ChannelLevel;
use crate::vorbis::Codebooks;

/// Lowest sample rate that is believed: nothing above 50 Hz is in such a sound, and a resampler would
/// have to plan enormous transforms.
pub(crate) const MIN_RATE_HZ: u32 = 100;

/// Highest sample rate that is believed: twice that of the fastest converters on sale. A header
/// that claims more would only make the resampler plan enormous transforms.
pub(crate) const MAX_RATE_HZ: u32 = 768_000;

/// What a sound file may hold before it is refused: a hostile file of some kilobytes may decode to hours.
///
/// A file takes 4 bytes for each sample of one channel while it is decoded, 110 MiB at most by default.
/// Whatever brings it to the clips' rate holds the result beside it: `max_seconds` at that rate, 101 MiB
/// more at 44,100 Hz. As many files are decoded at once as there are threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DecodeLimits {
    /// Longest sound, in seconds, at any rate. Ten minutes: far beyond any note.
    pub max_seconds: f32,
    /// Longest sound, in samples of one channel, so that a high rate can't make a short sound large.
    /// 28,800,000: ten minutes at 48 kHz.
    pub max_samples: usize,
    /// Most channels. Eight, the widest layout in common use (7.1).
    pub max_channels: u16,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        DecodeLimits {
            max_seconds: 600.0,
            max_samples: 28_800_000,
            max_channels: 8,
        }
    }
}

impl DecodeLimits {
    /// The most samples at a rate, by both limits, and what is said of a sound that has more.
    fn at(&self, rate_hz: u32) -> (usize, Unusable) {
        let DecodeLimits {
            max_seconds,
            max_samples,
            ..
        } = *self;
        let seconds_samples = (f64::from(max_seconds) * f64::from(rate_hz)) as usize;
        if seconds_samples <= max_samples {
            (seconds_samples, Unusable::TooLong { max_seconds })
        } else {
            (max_samples, Unusable::TooManySamples { max_samples })
        }
    }

    pub(crate) fn validate(&self) -> Result<(), DataError> {
        if !(self.max_seconds.is_finite() && self.max_seconds > 0.0) {
            return Err(DataError::config(
                "decode.max_seconds",
                "a positive number of seconds",
                self.max_seconds,
            ));
        }
        if self.max_samples == 0 {
            return Err(DataError::config(
                "decode.max_samples",
                "at least 1",
                self.max_samples,
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
/// A decoder that panics on a file costs that file alone; but where a program is built with
/// `panic = "abort"`, nothing can be caught and it ends the program.
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
    /// One for each channel.
    pub(crate) levels: Vec<ChannelLevel>,
    pub(crate) damaged_packets: usize,
    pub(crate) packets_at_another_rate: usize,
    pub(crate) truncated: bool,
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
    read_streams(&mut *format, limits)
}

fn probe(source: Box<dyn MediaSource>) -> Result<Box<dyn FormatReader>, Error> {
    symphonia::default::get_probe().probe(
        &Hint::new(),
        MediaSourceStream::new(source, Default::default()),
        FormatOptions::default(),
        MetadataOptions::default(),
    )
}

/// Reads the sound track, and those that follow it end to end: an OGG file may be a chain of several
/// streams, each with headers of its own, as internet radio leaves them.
fn read_streams(format: &mut dyn FormatReader, limits: &DecodeLimits) -> Result<Decoded, Unusable> {
    let mut mono = Mono::default();
    let mut codebooks = Codebooks::default();
    let (mut track_id, mut decoder) = sound_track(format, limits, &mut codebooks)?;
    let claim = Claim::of(format);
    loop {
        match read_packets(format, &mut *decoder, track_id, limits, &mut mono)? {
            End::OfFile => break,
            End::OfStream => match sound_track(format, limits, &mut codebooks) {
                Ok(next) => (track_id, decoder) = next,
                // What came before is the sound.
                Err(_) => {
                    mono.damaged_packets += 1;
                    break;
                }
            },
        }
    }
    if mono.samples.is_empty() {
        return Err(Unusable::NoFrames {
            damaged_packets: mono.damaged_packets,
        });
    }
    Ok(Decoded {
        audio: Audio {
            samples: mono.samples,
            sample_rate_hz: mono.rate_hz,
        },
        levels: mono.levels,
        damaged_packets: mono.damaged_packets,
        packets_at_another_rate: mono.packets_at_another_rate,
        truncated: claim.is_broken(mono.frames_read, mono.ends_inside_a_packet),
    })
}

/// What the header says of the length.
enum Claim {
    Nothing,
    Frames(u64),
    /// That it wasn't known yet: a WAV file that is written to a pipe claims 4 GiB.
    Unknown,
}

impl Claim {
    fn of(format: &dyn FormatReader) -> Claim {
        let Some(track) = format.default_track(TrackType::Audio) else {
            return Claim::Nothing;
        };
        let Some(audio) = track.codec_params.as_ref().and_then(|all| all.audio()) else {
            return Claim::Nothing;
        };
        // MP3 and Vorbis have no width of a sample, and no header that tells the length.
        let bits = audio.bits_per_coded_sample.or(audio.bits_per_sample);
        let channels = audio
            .channels
            .as_ref()
            .map(|channels| channels.count() as u64);
        match (track.num_frames, bits, channels) {
            (None, Some(_), _) => Claim::Unknown,
            (Some(frames), bits, Some(channels)) => {
                let frame_bytes = channels * u64::from(bits.unwrap_or(8).div_ceil(8));
                match frames.saturating_add(1).saturating_mul(frame_bytes) < u64::from(u32::MAX) {
                    true => Claim::Frames(frames),
                    false => Claim::Unknown,
                }
            }
            _ => Claim::Nothing,
        }
    }

    /// Whether there should have been more than `frames_read`, of a file that may have ended `inside_a_packet`.
    fn is_broken(&self, frames_read: u64, inside_a_packet: bool) -> bool {
        match self {
            Claim::Nothing => inside_a_packet,
            Claim::Frames(claimed) => inside_a_packet || *claimed > frames_read,
            Claim::Unknown => false,
        }
    }
}

fn sound_track(
    format: &dyn FormatReader,
    limits: &DecodeLimits,
    codebooks: &mut Codebooks,
) -> Result<(u32, Box<dyn AudioDecoder>), Unusable> {
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| Unusable::UnknownCodec("no sound track".to_owned()))?;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .ok_or_else(|| Unusable::UnknownCodec("no codec parameters".to_owned()))?;
    if let Some(channels) = &parameters.channels {
        check_channels(channels.count(), limits)?;
    }
    if let (CODEC_ID_VORBIS, Some(headers)) = (parameters.codec, &parameters.extra_data) {
        codebooks.add(headers)?;
    }
    let decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| Unusable::UnknownCodec(error.to_string()))?;
    Ok((track.id, decoder))
}

/// Where packets stop.
enum End {
    OfFile,
    /// Another stream follows, and needs another decoder.
    OfStream,
}

fn read_packets(
    format: &mut dyn FormatReader,
    decoder: &mut dyn AudioDecoder,
    track_id: u32,
    limits: &DecodeLimits,
    mono: &mut Mono,
) -> Result<End, Unusable> {
    let mut planes: Vec<Vec<f32>> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => return Ok(End::OfFile),
            // The file ends inside a packet: what came before is the sound.
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                mono.ends_inside_a_packet = true;
                return Ok(End::OfFile);
            }
            Err(Error::IoError(error)) => return Err(Unusable::Io(error)),
            Err(Error::ResetRequired) => return Ok(End::OfStream),
            // The container itself is broken here: there is no telling where the next packet starts.
            Err(_) => {
                mono.damaged_packets += 1;
                return Ok(End::OfFile);
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
                mono.push(&planes, rate_hz, limits)?;
            }
            Err(Error::DecodeError(_)) => mono.damaged_packets += 1,
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                mono.damaged_packets += 1;
            }
            Err(error) => return Err(Unusable::UnknownCodec(error.to_string())),
        }
    }
}

/// The mean of the channels, as it grows packet by packet.
#[derive(Default)]
struct Mono {
    samples: Vec<f32>,
    rate_hz: u32,
    levels: Vec<ChannelLevel>,
    damaged_packets: usize,
    packets_at_another_rate: usize,
    ends_inside_a_packet: bool,
    /// Of all packets that could be decoded.
    frames_read: u64,
}

impl Mono {
    /// Appends a packet, or counts it if its rate differs: a sound has one rate.
    fn push(
        &mut self,
        planes: &[Vec<f32>],
        rate_hz: u32,
        limits: &DecodeLimits,
    ) -> Result<(), Unusable> {
        let frames = planes.first().map_or(0, Vec::len);
        if frames == 0 {
            return Ok(());
        }
        self.frames_read += frames as u64;
        if self.samples.is_empty() {
            if !(MIN_RATE_HZ..=MAX_RATE_HZ).contains(&rate_hz) {
                return Err(Unusable::SampleRate {
                    got: rate_hz,
                    min: MIN_RATE_HZ,
                    max: MAX_RATE_HZ,
                });
            }
            self.rate_hz = rate_hz;
        } else if rate_hz != self.rate_hz {
            self.packets_at_another_rate += 1;
            return Ok(());
        }
        let (max_samples, refusal) = limits.at(self.rate_hz);
        if self.samples.len() + frames > max_samples {
            return Err(refusal);
        }
        self.make_room(frames, max_samples);
        // Streams of a chain may differ in their channels.
        if self.levels.len() < planes.len() {
            self.levels.resize_with(planes.len(), ChannelLevel::default);
        }
        // Before the sum, in which two absurd channels could cancel.
        check_samples(planes, self.samples.len())?;
        let start = self.samples.len();
        self.samples.resize(start + frames, 0.0);
        for (plane, level) in planes.iter().zip(&mut self.levels) {
            level.extend(plane);
            for (sum, sample) in self.samples[start..].iter_mut().zip(plane) {
                *sum += sample;
            }
        }
        let count = planes.len() as f32;
        for sum in &mut self.samples[start..] {
            *sum /= count;
        }
        Ok(())
    }

    /// Doubles what is reserved, as vectors do, but never beyond what can be filled.
    fn make_room(&mut self, frames: usize, max_samples: usize) {
        let length = self.samples.len();
        if length + frames > self.samples.capacity() {
            let room = (2 * length).clamp(length + frames, max_samples);
            self.samples.reserve_exact(room - length);
        }
    }
}

/// Of the planes of a packet, whose first frame is number `start` of the sound.
fn check_samples(planes: &[Vec<f32>], start: usize) -> Result<(), Unusable> {
    // Counting the rare is faster than looking for it.
    let beyond = |plane: &Vec<f32>| {
        let believed = |sample: &f32| sample.abs() <= MAX_SAMPLE;
        plane
            .iter()
            .fold(0_u32, |count, sample| count + u32::from(!believed(sample)))
    };
    if planes.iter().map(beyond).sum::<u32>() == 0 {
        return Ok(());
    }
    let frames = planes.first().map_or(0, Vec::len);
    for frame in 0..frames {
        for plane in planes {
            check_sample(plane[frame], start + frame)?;
        }
    }
    Ok(())
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
            max_seconds: 0.005,
            ..DecodeLimits::default()
        };
        let three = [vec![1.0, 0.5], vec![0.0, -0.5], vec![0.5, 3.0]];
        mono.push(&three, 1_000, &limits).unwrap();
        mono.push(&[vec![9.0]], 1_100, &limits).unwrap();
        assert_eq!((mono.packets_at_another_rate, mono.damaged_packets), (1, 0));
        mono.push(&[vec![0.25]], 1_000, &limits).unwrap();
        assert_eq!(mono.samples, [0.5, 1.0, 0.25]);
        let too_long = mono.push(&[vec![0.0; 3]], 1_000, &limits).unwrap_err();
        assert!(matches!(too_long, Unusable::TooLong { .. }));
    }

    #[test]
    fn seconds_are_seconds_at_every_rate_and_samples_bound_memory_at_high_ones() {
        let limits = DecodeLimits {
            max_seconds: 0.5,
            max_samples: 30_000,
            max_channels: 1,
        };
        for (rate_hz, most) in [(8_000, 4_000), (48_000, 24_000), (96_000, 30_000)] {
            let mut mono = Mono::default();
            let refused = loop {
                if let Err(refused) = mono.push(&[vec![0.0; 700]], rate_hz, &limits) {
                    break refused;
                }
            };
            assert_eq!(mono.samples.len(), most / 700 * 700);
            assert!(mono.samples.capacity() <= most);
            let text = refused.to_string();
            match rate_hz {
                96_000 => assert!(
                    matches!(
                        refused,
                        Unusable::TooManySamples {
                            max_samples: 30_000
                        }
                    ) && text.contains("`max_samples`"),
                    "{text}"
                ),
                _ => assert!(
                    matches!(refused, Unusable::TooLong { max_seconds: 0.5 })
                        && text.contains("`max_seconds`"),
                    "{text}"
                ),
            }
        }
    }

    #[test]
    fn impossible_limits_are_refused_by_name() {
        let usual = DecodeLimits::default();
        for (limits, name) in [
            (
                DecodeLimits {
                    max_seconds: 0.0,
                    ..usual
                },
                "decode.max_seconds",
            ),
            (
                DecodeLimits {
                    max_seconds: f32::NAN,
                    ..usual
                },
                "decode.max_seconds",
            ),
            (
                DecodeLimits {
                    max_samples: 0,
                    ..usual
                },
                "decode.max_samples",
            ),
            (
                DecodeLimits {
                    max_channels: 0,
                    ..usual
                },
                "decode.max_channels",
            ),
        ] {
            let error = limits.validate().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(usual.validate().is_ok());
    }

    #[test]
    fn rates_beyond_belief_are_refused() {
        for rate_hz in [0, 1, MIN_RATE_HZ - 1, MAX_RATE_HZ + 1, u32::MAX] {
            let refused = Mono::default()
                .push(&[vec![0.1]], rate_hz, &DecodeLimits::default())
                .unwrap_err();
            assert!(matches!(refused, Unusable::SampleRate { got, .. } if got == rate_hz));
        }
    }
}
