use std::io::Cursor;
use std::sync::LazyLock;

use hound::{SampleFormat, WavSpec, WavWriter};

use crate::bytes::chunk;
use crate::chunks::{AIFF, WAV, fit_aiff, fit_wav};
use crate::flac::FLAC;
use crate::mpeg::MP3;
use crate::mutator::Mutator;
use crate::ogg::{OGG, fit_pages};

/// A file that `reference/sound_files.py` wrote for the tests of stft-data.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../crates/stft-data/tests/fixtures/",
            $name
        ))
    };
}
/// An undamaged sound file of one format, and what can be done to it.
pub struct Seed {
    /// The format.
    pub name: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    pub(crate) mutators: &'static [Mutator],
    /// Makes sizes and checksums that cover the whole fit again.
    pub(crate) fit: fn(&mut [u8]),
}

/// The eight formats, each as a sound of a tenth of a second or so.
pub fn seeds() -> &'static [Seed; 8] {
    static SEEDS: LazyLock<[Seed; 8]> = LazyLock::new(|| {
        let seed = |name, bytes, mutators, fit| Seed {
            name,
            bytes,
            mutators,
            fit,
        };
        [
            seed(
                "WAV 16 bit",
                wav(2, 16, SampleFormat::Int),
                WAV,
                fit_wav as fn(&mut [u8]),
            ),
            seed(
                "WAV 24 bit extensible",
                wav(6, 24, SampleFormat::Int),
                WAV,
                fit_wav,
            ),
            seed("WAV float", wav(1, 32, SampleFormat::Float), WAV, fit_wav),
            seed("WAV mu-law", mu_law(), WAV, fit_wav),
            seed("AIFF", aiff(), AIFF, fit_aiff),
            // Frames of FLAC are made to fit by the damage itself, which knows where they end.
            seed("FLAC", fixture!("stereo_16bit.flac").to_vec(), FLAC, |_| ()),
            seed(
                "OGG Vorbis",
                fixture!("stereo.ogg").to_vec(),
                OGG,
                fit_pages,
            ),
            seed("MP3", fixture!("stereo.mp3").to_vec(), MP3, |_| ()),
        ]
    });
    &SEEDS
}

/// Samples per second of the sounds that are written here.
const RATE_HZ: u32 = 11_025;

/// A chirp on the scale of full scale = 1. Sums and products only: no library decides on its bits.
fn chirp(samples: usize) -> impl Iterator<Item = f32> {
    (0..samples).map(|n| {
        let phase = (n * n % 4_096) as f32 / 4_096.0;
        4.0 * (phase - 0.5).abs() - 1.0
    })
}

fn wav(channels: u16, bits_per_sample: u16, sample_format: SampleFormat) -> Vec<u8> {
    let spec = WavSpec {
        channels,
        sample_rate: RATE_HZ,
        bits_per_sample,
        sample_format,
    };
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).expect("writing to memory");
    for sample in chirp(1_200) {
        let written = match sample_format {
            SampleFormat::Float => writer.write_sample(0.5 * sample),
            SampleFormat::Int => {
                writer.write_sample((0.5 * sample * (1 << (bits_per_sample - 1)) as f32) as i32)
            }
        };
        written.expect("writing to memory");
    }
    writer.finalize().expect("writing to memory");
    let mut file = file.into_inner();
    // Two chunks that a reader may pass over, in front of the others and behind them.
    file.splice(12..12, chunk(b"JUNK", &[0; 28]));
    file.extend(chunk(b"LIST", TITLE));
    fit_wav(&mut file);
    file
}

/// The content of a list with a title.
const TITLE: &[u8] = b"INFOINAM\x06\0\0\0chirp\0";

/// Any byte is a sample in mu-law, so the bytes are a ramp. Unlike the
/// others it has chunks between its format and its samples.
fn mu_law() -> Vec<u8> {
    let samples: Vec<u8> = (0..1_200_u32).map(|n| (n % 251) as u8).collect();
    let mut format = vec![7, 0, 1, 0];
    format.extend(RATE_HZ.to_le_bytes());
    format.extend(RATE_HZ.to_le_bytes());
    format.extend([1, 0, 8, 0, 0, 0]);
    let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
    file.extend(chunk(b"fmt ", &format));
    file.extend(chunk(b"fact", &(samples.len() as u32).to_le_bytes()));
    file.extend(chunk(b"LIST", TITLE));
    file.extend(chunk(b"data", &samples));
    fit_wav(&mut file);
    file
}

fn aiff() -> Vec<u8> {
    let samples: Vec<u8> = chirp(600)
        .flat_map(|sample| ((0.5 * sample * 32_768.0) as i16).to_be_bytes())
        .collect();
    let mut format = vec![0, 1];
    format.extend(600_u32.to_be_bytes());
    format.extend([0, 16]);
    format.extend(eighty_bits(RATE_HZ));
    let mut sound = vec![0; 8];
    sound.extend(samples);
    let mut file = b"FORM\0\0\0\0AIFF".to_vec();
    for (name, content) in [
        (b"NAME", &b"chirp "[..]),
        (b"COMM", &format),
        (b"MARK", b"\0\x01\0\x01\0\0\0\x05\x03mid"),
        (b"SSND", &sound),
    ] {
        file.extend(name);
        file.extend((content.len() as u32).to_be_bytes());
        file.extend(content);
    }
    fit_aiff(&mut file);
    file
}

/// A positive whole number as a float of 80 bits, as AIFF has its rate.
pub(crate) fn eighty_bits(value: u32) -> [u8; 10] {
    let exponent = value.ilog2();
    let mantissa = u64::from(value) << (63 - exponent);
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&(16_383 + exponent as u16).to_be_bytes());
    bytes[2..].copy_from_slice(&mantissa.to_be_bytes());
    bytes
}
