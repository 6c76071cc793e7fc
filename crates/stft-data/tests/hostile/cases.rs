//! Hostile files made by hand, with the way each of them ends.

use std::ops::Range;

use Expected::{Either, Refused, Usable};

use super::bytes::*;

/// How a file ends.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// There is a sound in it.
    Usable,
    /// It is refused for this variant of [`stft_data::Unusable`].
    Refused(&'static str),
    /// Either: the format leaves it open.
    Either,
}

/// What is hostile about a file, how it ends, and its bytes.
type Case = (&'static str, Expected, Vec<u8>);

macro_rules! table {
    ($($name:literal => $expected:expr => $bytes:expr;)*) => {
        vec![$(($name, $expected, $bytes)),*]
    };
}

pub fn cases() -> Vec<Case> {
    [no_sound(), riff(), aiff_rates(), flac(), ogg(), mp3()].concat()
}

const WAV: &[u8] = include_bytes!("../fixtures/stereo_16bit.wav");
const EXTENSIBLE: &[u8] = include_bytes!("../fixtures/six_channels_24bit_extensible.wav");
const MU_LAW: &[u8] = include_bytes!("../fixtures/stereo_ulaw.wav");
const FLAC: &[u8] = include_bytes!("../fixtures/stereo_16bit.flac");
const OGG: &[u8] = include_bytes!("../fixtures/stereo.ogg");
const MP3: &[u8] = include_bytes!("../fixtures/stereo.mp3");

/// The headers of RIFF and WAVE, in front of the first chunk.
const RIFF: Range<usize> = 0..12;

/// The first page of [`OGG`].
const FIRST_PAGE: Range<usize> = 0..58;

/// The mark and the stream information of [`FLAC`].
const STREAM: Range<usize> = 0..42;

/// 8,000 as a float of 80 bits, as AIFF files have their rate.
const RATE_8_KHZ: [u8; 10] = [0x40, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0];

/// The smallest picture: one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\
    \0\0\0\nIDATx\x9cc\xf8\x0f\0\x01\x01\x01\0\x1b\xb6\xeeV\0\0\0\0IEND\xaeB`\x82";

/// A copy with changes.
fn changed(bytes: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    change(&mut copy);
    copy
}

fn no_sound() -> Vec<Case> {
    let text = b"To be, or not to be, that is the question:\n".repeat(40);
    table! {
        "an empty file" => Refused("NotAudio") => vec![];
        "a single byte" => Refused("NotAudio") => vec![b'R'];
        "a megabyte of zeros" => Refused("NotAudio") => vec![0; 1 << 20];
        "a megabyte of ones" => Either => vec![0xff; 1 << 20];
        "a text" => Refused("NotAudio") => text;
        "a PNG picture" => Refused("NotAudio") => PNG.to_vec();
        // Probing looks for the start of a sound beyond the start of the file.
        "a zip with a WAV inside" => Either => [b"PK\x03\x04\x0a", &[0; 34][..], WAV].concat();
    }
}

fn riff() -> Vec<Case> {
    let short = |fields: &[_]| wav(fields, &[7; 200]);
    let float = |samples: [f32; 3]| {
        let data: Vec<u8> = samples.iter().flat_map(|x| x.to_le_bytes()).collect();
        wav(&[(CODEC, 3), (BLOCK_BYTES, 4), (BITS, 32)], &data)
    };
    let behind = |chunks: &[u8]| [&MU_LAW[RIFF], chunks, &MU_LAW[RIFF.end..]].concat();
    let adpcm = [(CODEC, 0x11), (BLOCK_BYTES, 4), (BITS, 4)];
    table! {
        "a WAV that ends after its header" => Refused("NoFrames") => wav(&[], &[]);
        "a WAV that ends inside its format" => Refused("NotAudio") => WAV[..30].to_vec();
        "a WAV that claims 4 GiB and has no samples" => Refused("NoFrames") =>
            wav(&[(DATA_BYTES, u32::MAX - 1)], &[]);
        "a WAV that claims 4 GiB and has 100 samples" => Usable => short(&[(DATA_BYTES, u32::MAX - 1)]);
        "a WAV of nine channels" => Refused("TooManyChannels") =>
            wav(&[(CHANNELS, 9), (BLOCK_BYTES, 18)], &[7; 180]);
        "a WAV of 65,535 channels" => Refused("NotAudio") =>
            short(&[(CHANNELS, 65_535), (BLOCK_BYTES, 65_534)]);
        "a WAV of no channels" => Refused("NotAudio") => short(&[(CHANNELS, 0)]);
        "a WAV at 0 Hz" => Refused("SampleRate") => short(&[(RATE_HZ, 0)]);
        "a WAV at 1 Hz, which resampling would make 16,384 times as long" => Refused("SampleRate") =>
            wav(&[(RATE_HZ, 1)], &[7; 1_000]);
        "a WAV at 4,294,967,295 Hz" => Refused("SampleRate") => short(&[(RATE_HZ, u32::MAX)]);
        "a WAV at 767,957 Hz, a prime that makes resampling slow" => Either =>
            wav(&[(RATE_HZ, 767_957)], &[7; 20_000]);
        "a WAV of 0 bits a sample" => Refused("NotAudio") => short(&[(BITS, 0)]);
        "a WAV of 65,535 bits a sample" => Refused("NotAudio") => short(&[(BITS, 65_535)]);
        "a WAV with a block of no bytes" => Either => short(&[(BLOCK_BYTES, 0)]);
        "a WAV with its samples before its format" => Either => behind(&chunk(b"data", &[7; 200]));
        "a WAV behind 100,000 empty lists" => Either => behind(&chunk(b"LIST", b"INFO").repeat(100_000));
        "a WAV behind lists nested 10,000 deep" => Either => behind(&lists_in_lists(10_000));
        "a WAV whose extension claims no valid bits and no codec" => Either =>
            changed(EXTENSIBLE, |file| file[36..60].fill(0));
        "a WAV of ADPCM blocks that hold no sample" => Either => wav(&adpcm, &[0xff; 4_000]);
        "a WAV with NaN" => Refused("NotFinite") => float([0.1, f32::NAN, 0.1]);
        "a WAV with infinity" => Refused("NotFinite") => float([0.1, f32::INFINITY, 0.1]);
        "a WAV with samples of 1e38" => Refused("TooLarge") => float([0.1, 1e38, -1e38]);
    }
}

fn aiff_rates() -> Vec<Case> {
    let at = |rate| aiff(1, 100, 16, rate, &[7; 200]);
    let negative = [0xc0, 0x0b, 0xfa, 0, 0, 0, 0, 0, 0, 0];
    let infinite = [0x7f, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0];
    let nan = [0x7f, 0xff, 0xc0, 0, 0, 0, 0, 0, 0, 0];
    table! {
        "an AIFF that ends before its samples" => Refused("NoFrames") => aiff(1, 0, 16, RATE_8_KHZ, &[]);
        "an AIFF at a rate that is NaN" => Either => at(nan);
        "an AIFF at an infinite rate" => Either => at(infinite);
        "an AIFF at a negative rate" => Either => at(negative);
        "an AIFF of 65,535 channels of 255 bits" => Either =>
            aiff(65_535, u32::MAX, 255, RATE_8_KHZ, &[7; 200]);
    }
}

fn flac() -> Vec<Case> {
    // The last metadata block has the highest bit set.
    let alone = changed(&FLAC[STREAM], |file| file[4] |= 0x80);
    let endless = changed(FLAC, |file| {
        file[21] |= 0x0f;
        file[22..26].fill(0xff);
    });
    let picture = [&FLAC[STREAM], b"\x06\xff\xff\xff", &FLAC[STREAM.end..]].concat();
    table! {
        "a FLAC that ends after its stream information" => Refused("NotAudio") => alone;
        "a FLAC that claims 2^36 - 1 samples" => Usable => endless;
        "a FLAC of ten minutes at 48 kHz in 7 kB" => Usable => silent_flac(439, 48_000, 1);
        "a FLAC of eight channels, ten minutes at 48 kHz" => Usable => silent_flac(439, 48_000, 8);
        "a FLAC of ten minutes at 8 kHz, which resampling makes five times as large" => Usable =>
            silent_flac(73, 8_000, 1);
        "a FLAC of an hour in 40 kB" => Refused("TooLong") => silent_flac(2_640, 48_000, 1);
        "a FLAC of ten minutes at 655,350 Hz" => Refused("TooManySamples") => silent_flac(5_990, 655_350, 2);
        "a FLAC with a picture that claims 16 MiB" => Either => picture;
    }
}

fn ogg() -> Vec<Case> {
    let (first, others) = OGG.split_at(FIRST_PAGE.end);
    let fitted = |parts: &[&[u8]]| changed(&parts.concat(), |file| fit(file));
    let empty_pages = ogg_page(OGG, 0, &[0; 255], &[]).repeat(1_000);
    let endless_pages = ogg_page(OGG, 1, &[255; 255], &[0x55; 255 * 255]).repeat(300);
    let begin = |serial: u32| [&first[..14], &serial.to_le_bytes(), &first[18..]].concat();
    let begins: Vec<u8> = (0..10_000).flat_map(begin).collect();
    // Its codewords are listed by length, shortest first, and all have 17 bits. Its look-up by lattice has
    // as many values of one bit as the root of the number of vectors.
    let large = |dimensions, values| {
        let codewords = [
            (0x56_4342, 24),
            (dimensions, 16),
            (131_072, 24),
            (1, 1),
            (16, 5),
            (131_072, 18),
        ];
        let lookup = [(1, 4), (0, 32), (0, 32), (0, 4), (0, 1), (0, values)];
        [codewords, lookup].concat()
    };
    // One codeword of 32 bits, and one of 33, which is more than Vorbis allows.
    let too_long = [
        (0x56_4342, 24),
        (1, 16),
        (2, 24),
        (1, 1),
        (31, 5),
        (1, 2),
        (1, 1),
        (0, 4),
    ];
    table! {
        "an OGG that ends after its first page" => Either => first.to_vec();
        "an OGG page of 255 laces of nothing, a thousand times" => Either =>
            fitted(&[first, &empty_pages, others]);
        "an OGG packet that never ends" => Either => fitted(&[first, &endless_pages]);
        "an OGG of 10,000 streams that all begin" => Either => fitted(&[&begins]);
        "an OGG chained to itself a hundred times" => Usable => OGG.repeat(100);
        "an OGG Vorbis of codebooks that unpack to 1.6 GiB" => Refused("UnknownCodec") =>
            with_codebooks(OGG, 200, &large(16, 2));
        // The power that a reader computes to take the root is 2^32.
        "an OGG Vorbis codebook of 32 dimensions" => Either => with_codebooks(OGG, 1, &large(32, 1));
        "an OGG Vorbis codebook with a codeword so long that the decoder panics" => Refused("UnknownCodec") =>
            with_codebooks(OGG, 1, &too_long);
    }
}

fn mp3() -> Vec<Case> {
    let picture = b"APIC\x7f\xff\xff\xff\0\0\0image/png\0\x03\0";
    table! {
        "an MP3 of one header" => Either => MP3[..4].to_vec();
        "an MP3 of free bitrate" => Either => changed(MP3, |file| file[2] &= 0x0f);
        "an MP3 behind a tag that claims 256 MiB" => Either => [&id3_tag(0x0fff_ffff, &[]), MP3].concat();
        "an MP3 behind a tag with a picture that claims 2 GiB" => Either =>
            [&id3_tag(picture.len(), picture), MP3].concat();
        "an MP3 of nothing but headers" => Either => MP3[..4].repeat(50_000);
        "nothing but tags" => Either => id3_tag(10, b"TIT2\0\0\0\0\0\0").repeat(50_000);
    }
}
