use std::fmt;
use std::fs::File;
use std::io::{self, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::codecs::audio::well_known::CODEC_ID_VORBIS;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::meta::MetadataOptions;

use crate::audio::Audio;
use crate::decode::level::ChannelLevel;
use crate::decode::limits::DecodeLimits;
use crate::decode::mono::Mono;
use crate::decode::signature::begins_like_sound;
use crate::decode::unusable::{CUT, Unusable};
use crate::decode::vorbis::Codebooks;
use crate::error::{DataError, panic_message};

/// Decodes a sound file (WAV, FLAC, OGG Vorbis, MP3 or AIFF) to the mean of its channels.
///
/// The format is detected from the content; the name is ignored. Damaged packets are skipped, and a
/// truncated file gives what is present. Memory grows with the decoded sound, not with the length that
/// a header claims. Only regular files are opened: reading a pipe might block, and a device may have
/// no end.
///
/// A panic in a decoder is caught and becomes an error, except in a program that is built with
/// `panic = "abort"`.
///
/// # Errors
/// [`DataError::Unusable`] with the path and the reason.
///
/// # From a file to its spectrogram
///
/// ```
/// use stft_data::{DecodeLimits, Stft, StftConfig, decode_file, log1p, resample};
///
/// # let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stereo.ogg"));
/// let sound = decode_file(path, &DecodeLimits::default())?;
/// let sound = resample(&sound, 16_384)?;
/// let stft = Stft::new(&StftConfig { n_fft: 512, hop_length: 128, win_length: None })?;
/// let mut spectrogram = stft.magnitude(&sound.samples); // [bins, frames]
/// for value in &mut spectrogram.values {
///     *value = log1p(*value);
/// }
/// assert_eq!((spectrogram.bins, spectrogram.frames), (257, 1 + sound.samples.len() / 128));
/// # Ok::<(), stft_data::DataError>(())
/// ```
pub fn decode_file(path: &Path, limits: &DecodeLimits) -> Result<Audio, DataError> {
    decode_with_facts(path, limits)
        .map(|decoded| decoded.audio)
        .map_err(|reason| DataError::Unusable {
            path: path.to_owned(),
            reason,
        })
}

/// A decoded file with facts from its header and its packets.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) audio: Audio,
    /// One per channel.
    pub(crate) levels: Vec<ChannelLevel>,
    pub(crate) damaged_packets: usize,
    pub(crate) packets_at_another_rate: usize,
    pub(crate) truncated: bool,
}

pub(crate) fn decode_with_facts(path: &Path, limits: &DecodeLimits) -> Result<Decoded, Unusable> {
    let _decode = tracing::debug_span!("decode", file = %path.display()).entered();
    guarded(|| decode(path, limits))
}

/// Catches panics: a hostile file may hit a bug in a decoder, and must not end a run over thousands.
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
        // The AIFF reader searches for chunks after the samples and fails on a truncated file. With a
        // stream that can't seek, it starts with the samples.
        Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let mut again = file;
            again.rewind()?;
            probe(Box::new(ReadOnlySource::new(again)))
        }
        outcome => outcome,
    }
    .map_err(|error| not_audio(error, path))?;
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

/// Reads the sound track and those that follow it: an OGG file may be a chain of several streams, each
/// with its own headers, as in recordings of internet radio.
fn read_streams(format: &mut dyn FormatReader, limits: &DecodeLimits) -> Result<Decoded, Unusable> {
    let mut mono = Mono::default();
    let mut codebooks = Codebooks::default();
    let (mut track_id, mut decoder) = sound_track(format, limits, &mut codebooks)?;
    let claimed_frames = claimed_frames(format);
    loop {
        match read_packets(format, &mut *decoder, track_id, limits, &mut mono)? {
            End::OfFile => break,
            End::OfStream => match sound_track(format, limits, &mut codebooks) {
                Ok(next) => (track_id, decoder) = next,
                // The sound ends with the stream before.
                Err(_) => {
                    mono.damaged_packets += 1;
                    break;
                }
            },
        }
    }
    let truncated = claimed_frames.is_some_and(|claimed| claimed > mono.frames_read);
    if mono.samples.is_empty() {
        let damaged_packets = mono.damaged_packets;
        return Err(Unusable::NoFrames {
            damaged_packets,
            truncated: truncated && damaged_packets == 0,
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
        truncated,
    })
}

/// Length according to the header, in samples of one channel, if it is plausible.
fn claimed_frames(format: &dyn FormatReader) -> Option<u64> {
    let track = format.default_track(TrackType::Audio)?;
    let frames = track.num_frames?;
    let audio = track.codec_params.as_ref()?.audio()?;
    let channels = audio.channels.as_ref()?.count() as u64;
    // MP3 and Vorbis have no sample width.
    let bits = audio.bits_per_coded_sample.or(audio.bits_per_sample);
    let frame_bytes = channels * u64::from(bits.unwrap_or(8).div_ceil(8));
    // A WAV file that was written to a pipe claims 2 GiB (SoX: 4 KiB less) or 4 GiB, because its length was unknown.
    let bytes = frames.saturating_add(1).saturating_mul(frame_bytes);
    (bytes < 0x7fff_f000).then_some(frames)
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

/// Why no more packets follow.
enum End {
    OfFile,
    /// Another stream follows, which needs a new decoder.
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
            // The file ends inside a packet; the sound ends before it.
            Err(Error::IoError(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(End::OfFile);
            }
            Err(Error::IoError(error)) => return Err(Unusable::Io(error)),
            Err(Error::ResetRequired) => return Ok(End::OfStream),
            // The container itself is damaged, so the start of the next packet is unknown.
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

fn check_channels(got: usize, limits: &DecodeLimits) -> Result<(), Unusable> {
    if got > usize::from(limits.max_channels) {
        return Err(Unusable::TooManyChannels {
            got,
            max_channels: limits.max_channels,
        });
    }
    Ok(())
}

fn not_audio(error: Error, path: &Path) -> Unusable {
    let foreign = |error: &dyn fmt::Display| {
        let formats = "WAV, FLAC, OGG Vorbis, MP3 or AIFF";
        Unusable::NotAudio(format!("its content is not {formats} ({error})"))
    };
    match error {
        // Probing reaches the end of every short file that is no sound, and of a truncated sound.
        Error::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            match begins_like_sound(path) {
                Ok(true) => Unusable::NotAudio(CUT.to_owned()),
                Ok(false) => foreign(&error),
                Err(error) => Unusable::Io(error),
            }
        }
        Error::IoError(error) => Unusable::Io(error),
        error => foreign(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_decoder_becomes_a_reason() {
        let reason = guarded(|| -> Result<(), Unusable> { panic!("index {} out of bounds", 7) })
            .unwrap_err();
        assert_eq!(
            reason.to_string(),
            "the decoder failed on it: index 7 out of bounds"
        );
    }
}
