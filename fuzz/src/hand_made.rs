use crate::bytes::{
    aiff_with, bomb_of_codebooks, bomb_of_frames, chunk, float_wav, id3_tag, lists_in_lists,
    ogg_page, wav_with, zip_of_one,
};
use crate::flac;
use crate::ogg::fit_pages;
use crate::seeds::{eighty_bits, seeds};

/// How a hand-made file must fare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expected {
    /// There is a sound in it.
    Usable,
    /// It is refused, for this variant of [`stft_data::Unusable`].
    Refused(&'static str),
    /// Either will do: the format leaves it open.
    Harmless,
}

/// A file that somebody thought of.
pub struct HandMade {
    /// What is hostile about it.
    pub what: &'static str,
    /// How it must fare.
    pub expected: Expected,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The files that somebody thought of, in a fixed order.
pub fn hand_made() -> Vec<HandMade> {
    use Expected::{Harmless, Refused, Usable};
    let mut files = Vec::new();
    let mut add = |what, expected, bytes| {
        files.push(HandMade {
            what,
            expected,
            bytes,
        });
    };
    let [wav, wide, _, mu_law, _, flac, ogg, mp3] = seeds().each_ref().map(|seed| &seed.bytes);

    // No sound at all.
    add("an empty file", Refused("NotAudio"), vec![]);
    add("a single byte", Refused("NotAudio"), vec![b'R']);
    add("a megabyte of zeros", Refused("NotAudio"), vec![0; 1 << 20]);
    add("a megabyte of ones", Harmless, vec![0xff; 1 << 20]);
    add(
        "a text",
        Refused("NotAudio"),
        b"To be, or not to be, that is the question:\n".repeat(40),
    );
    add("a PNG picture", Refused("NotAudio"), PNG.to_vec());
    // Probing looks for the start of a sound beyond the start of the file.
    add(
        "a zip with a WAV inside, not compressed",
        Harmless,
        zip_of_one("sound.wav", wav),
    );

    // Headers with nothing behind them.
    add(
        "a WAV that ends after its header",
        Refused("NoFrames"),
        wav_with(1, 1, 8_000, 2, 16, 0, &[]),
    );
    add(
        "a WAV that ends inside its format",
        Refused("NotAudio"),
        wav[..30].to_vec(),
    );
    add(
        "an AIFF that ends before its samples",
        Refused("NoFrames"),
        aiff_with(1, 0, 16, eighty_bits(8_000), &[]),
    );
    add(
        "a FLAC that ends after its stream information",
        Refused("NotAudio"),
        flac_without_frames(flac),
    );
    add(
        "an OGG that ends after its first page",
        Harmless,
        ogg[..58].to_vec(),
    );
    add("an MP3 of one header", Harmless, mp3[..4].to_vec());

    // WAV.
    add(
        "a WAV that claims 4 GiB and has no samples",
        Refused("NoFrames"),
        wav_with(1, 1, 8_000, 2, 16, u32::MAX - 1, &[]),
    );
    add(
        "a WAV that claims 4 GiB and has 100 samples",
        Usable,
        wav_with(1, 1, 8_000, 2, 16, u32::MAX - 1, &[7; 200]),
    );
    add(
        "a WAV of nine channels",
        Refused("TooManyChannels"),
        wav_with(1, 9, 8_000, 18, 16, 180, &[7; 180]),
    );
    add(
        "a WAV of 65,535 channels",
        Refused("NotAudio"),
        wav_with(1, 65_535, 8_000, 65_534, 16, 200, &[7; 200]),
    );
    add(
        "a WAV of no channels",
        Refused("NotAudio"),
        wav_with(1, 0, 8_000, 2, 16, 200, &[7; 200]),
    );
    add(
        "a WAV at 0 Hz",
        Refused("SampleRate"),
        wav_with(1, 1, 0, 2, 16, 200, &[7; 200]),
    );
    add(
        "a WAV at 1 Hz, that resampling would make 16,384 times as long",
        Refused("SampleRate"),
        wav_with(1, 1, 1, 2, 16, 1_000, &[7; 1_000]),
    );
    add(
        "a WAV at 4,294,967,295 Hz",
        Refused("SampleRate"),
        wav_with(1, 1, u32::MAX, 2, 16, 200, &[7; 200]),
    );
    add(
        "a WAV at 767,957 Hz, a prime that resamplers dread",
        Harmless,
        wav_with(1, 1, 767_957, 2, 16, 20_000, &[7; 20_000]),
    );
    add(
        "a WAV of 0 bits a sample",
        Refused("NotAudio"),
        wav_with(1, 1, 8_000, 2, 0, 200, &[7; 200]),
    );
    add(
        "a WAV of 65,535 bits a sample",
        Refused("NotAudio"),
        wav_with(1, 1, 8_000, 2, 65_535, 200, &[7; 200]),
    );
    add(
        "a WAV with a block of no bytes",
        Harmless,
        wav_with(1, 1, 8_000, 0, 16, 200, &[7; 200]),
    );
    add("a WAV with its samples before its format", Harmless, {
        let mut file = b"RIFF\xff\0\0\0WAVE".to_vec();
        file.extend(chunk(b"data", &[7; 200]));
        file.extend(&mu_law[12..]);
        file
    });
    add("a WAV behind 100,000 empty lists", Harmless, {
        let mut file = mu_law[..12].to_vec();
        file.extend(chunk(b"LIST", b"INFO").repeat(100_000));
        file.extend(&mu_law[12..]);
        file
    });
    add("a WAV behind lists nested 10,000 deep", Harmless, {
        let mut file = mu_law[..12].to_vec();
        file.extend(lists_in_lists(10_000));
        file.extend(&mu_law[12..]);
        file
    });
    add(
        "a WAV whose extension claims no valid bits and no codec",
        Harmless,
        {
            let mut file = wide.clone();
            // Behind a header of 12 bytes, a chunk of 36, and the first 24 of the format.
            file[72..96].fill(0);
            file
        },
    );
    add(
        "a WAV of ADPCM blocks that hold no sample",
        Harmless,
        wav_with(0x11, 1, 8_000, 4, 4, 4_000, &[0xff; 4_000]),
    );
    add(
        "a WAV with NaN",
        Refused("NotFinite"),
        float_wav(&[0.1, f32::NAN, 0.1]),
    );
    add(
        "a WAV with infinity",
        Refused("NotFinite"),
        float_wav(&[0.1, f32::INFINITY, 0.1]),
    );
    add(
        "a WAV with samples of 1e38",
        Refused("TooLarge"),
        float_wav(&[0.1, 1e38, -1e38]),
    );

    // AIFF.
    add(
        "an AIFF at a rate that is NaN",
        Harmless,
        aiff_with(
            1,
            100,
            16,
            [0x7f, 0xff, 0xc0, 0, 0, 0, 0, 0, 0, 0],
            &[7; 200],
        ),
    );
    add(
        "an AIFF at an infinite rate",
        Harmless,
        aiff_with(
            1,
            100,
            16,
            [0x7f, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],
            &[7; 200],
        ),
    );
    add("an AIFF at a negative rate", Harmless, {
        let mut rate = eighty_bits(8_000);
        rate[0] |= 0x80;
        aiff_with(1, 100, 16, rate, &[7; 200])
    });
    add(
        "an AIFF of 65,535 channels of 255 bits",
        Harmless,
        aiff_with(65_535, u32::MAX, 255, eighty_bits(8_000), &[7; 200]),
    );

    // FLAC.
    add("a FLAC that claims 2^36 - 1 samples", Usable, {
        let mut file = flac.clone();
        file[21] |= 0x0f;
        file[22..26].fill(0xff);
        file
    });
    add(
        "a FLAC of ten minutes at 48 kHz in 7 kB",
        Usable,
        bomb_of_frames(439, 48_000, 1),
    );
    add(
        "a FLAC of eight channels, ten minutes at 48 kHz",
        Usable,
        bomb_of_frames(439, 48_000, 8),
    );
    add(
        "a FLAC of ten minutes at 8 kHz, that resampling makes five times as large",
        Usable,
        bomb_of_frames(73, 8_000, 1),
    );
    add(
        "a FLAC of an hour in 40 kB",
        Refused("TooLong"),
        bomb_of_frames(2_640, 48_000, 1),
    );
    add(
        "a FLAC of ten minutes at 655,350 Hz",
        Refused("TooManySamples"),
        bomb_of_frames(5_990, 655_350, 2),
    );
    add("a FLAC with a picture that claims 16 MiB", Harmless, {
        let mut file = flac.clone();
        file.splice(42..42, [6, 0xff, 0xff, 0xff]);
        file
    });

    // OGG Vorbis.
    add(
        "an OGG page of 255 laces of nothing, a thousand times",
        Harmless,
        {
            let mut file = ogg.clone();
            let page = ogg_page(ogg, 0, 1, &[0; 255], &[]);
            file.splice(58..58, page.repeat(1_000));
            fit_pages(&mut file);
            file
        },
    );
    add("an OGG packet that never ends", Harmless, {
        let mut file = ogg[..58].to_vec();
        let page = ogg_page(ogg, 1, 1, &[255; 255], &[0x55; 255 * 255]);
        file.extend(page.repeat(300));
        fit_pages(&mut file);
        file
    });
    add("an OGG of 10,000 streams that all begin", Harmless, {
        let mut file = Vec::new();
        for serial in 0..10_000_u32 {
            let mut page = ogg[..58].to_vec();
            page[14..18].copy_from_slice(&serial.to_le_bytes());
            file.extend(page);
        }
        fit_pages(&mut file);
        file
    });
    add(
        "an OGG chained to itself a hundred times",
        Usable,
        ogg.repeat(100),
    );
    add(
        "an OGG Vorbis of codebooks that unpack to 1.6 GiB",
        Refused("UnknownCodec"),
        bomb_of_codebooks(ogg, 200, 16),
    );
    // The power that a reader computes to take the root is 2^32.
    add(
        "an OGG Vorbis codebook of 32 dimensions",
        Harmless,
        bomb_of_codebooks(ogg, 1, 32),
    );

    // MP3.
    add("an MP3 of free bitrate", Harmless, {
        let mut file = mp3.clone();
        file[2] &= 0x0f;
        file
    });
    add(
        "an MP3 behind a tag that claims 256 MiB",
        Harmless,
        [&id3_tag(0x0fff_ffff, &[])[..], mp3].concat(),
    );
    add(
        "an MP3 behind a tag with a picture that claims 2 GiB",
        Harmless,
        {
            let picture = b"APIC\x7f\xff\xff\xff\0\0\0image/png\0\x03\0";
            [&id3_tag(picture.len(), picture)[..], mp3].concat()
        },
    );
    add(
        "an MP3 of nothing but headers",
        Harmless,
        mp3[..4].repeat(50_000),
    );
    add(
        "nothing but tags",
        Harmless,
        id3_tag(10, b"TIT2\0\0\0\0\0\0").repeat(50_000),
    );
    files
}

/// The smallest picture: one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0\x3a\x7e\x9b\x55\0\0\0\nIDATx\x9cc\xf8\x0f\0\x01\x01\x01\0\x1b\xb6\xeeV\0\0\0\0IEND\xaeB`\x82";

fn flac_without_frames(flac: &[u8]) -> Vec<u8> {
    let mut file = flac[..8 + flac::STREAM_INFORMATION].to_vec();
    // It is the last block now.
    file[4] |= 0x80;
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn there_are_at_least_forty_and_each_is_another() {
        let files = hand_made();
        assert!(files.len() >= 40, "{}", files.len());
        let names: HashSet<_> = files.iter().map(|file| file.what).collect();
        let contents: HashSet<_> = files.iter().map(|file| &file.bytes).collect();
        assert_eq!((names.len(), contents.len()), (files.len(), files.len()));
        let definite = files
            .iter()
            .filter(|file| file.expected != Expected::Harmless)
            .count();
        assert!(definite >= 20, "{definite}");
    }
}
