use crate::flac::{crc8, fit_frame};
use crate::ogg::fit_pages;

/// A chunk of RIFF.
pub(crate) fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = name.to_vec();
    chunk.extend((content.len() as u32).to_le_bytes());
    chunk.extend(content);
    chunk
}

/// A WAV whose header says what it is told, about `data` that may be something else.
pub(crate) fn wav_with(
    codec: u16,
    channels: u16,
    rate_hz: u32,
    block_align: u16,
    bits: u16,
    claimed: u32,
    data: &[u8],
) -> Vec<u8> {
    let mut format = Vec::new();
    format.extend(codec.to_le_bytes());
    format.extend(channels.to_le_bytes());
    format.extend(rate_hz.to_le_bytes());
    format.extend(rate_hz.wrapping_mul(u32::from(block_align)).to_le_bytes());
    format.extend(block_align.to_le_bytes());
    format.extend(bits.to_le_bytes());
    let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
    file[4..8].copy_from_slice(&claimed.saturating_add(36).to_le_bytes());
    file.extend(chunk(b"fmt ", &format));
    file.extend(b"data");
    file.extend(claimed.to_le_bytes());
    file.extend(data);
    file
}

/// A WAV of these samples.
pub(crate) fn float_wav(samples: &[f32]) -> Vec<u8> {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    wav_with(3, 1, 8_000, 4, 32, data.len() as u32, &data)
}

/// Lists, each the whole content of the one around it.
pub(crate) fn lists_in_lists(depth: u32) -> Vec<u8> {
    (0..depth)
        .flat_map(|outer| {
            let content = 12 * (depth - 1 - outer) + 4;
            let mut list = b"LIST".to_vec();
            list.extend(content.to_le_bytes());
            list.extend(b"INFO");
            list
        })
        .collect()
}

/// An AIFF whose header says what it is told.
pub(crate) fn aiff_with(
    channels: u16,
    frames: u32,
    bits: u16,
    rate: [u8; 10],
    data: &[u8],
) -> Vec<u8> {
    let mut file = b"FORM\0\0\0\0AIFFCOMM\0\0\0\x12".to_vec();
    file.extend(channels.to_be_bytes());
    file.extend(frames.to_be_bytes());
    file.extend(bits.to_be_bytes());
    file.extend(rate);
    file.extend(b"SSND");
    file.extend((data.len() as u32 + 8).to_be_bytes());
    file.extend([0; 8]);
    file.extend(data);
    let size = file.len() as u32 - 8;
    file[4..8].copy_from_slice(&size.to_be_bytes());
    file
}

/// A FLAC of silent frames: each has 65,535 samples in some 13 bytes, a few more for each channel.
pub(crate) fn bomb_of_frames(frames: u32, rate_hz: u32, channels: u8) -> Vec<u8> {
    let mut file = b"fLaC\x80\0\0\x22\xff\xff\xff\xff\0\0\0\0\0\0".to_vec();
    let packed = u64::from(rate_hz) << 44 | u64::from(channels - 1) << 41 | 15 << 36;
    file.extend(packed.to_be_bytes());
    file.extend([0; 16]);
    for number in 0..frames {
        // Block size and rate: as 16 bits behind the frame's number, and as in the stream information.
        let mut frame = vec![0xff, 0xf8, 0x70, (channels - 1) << 4 | 0x08];
        let character = char::from_u32(number).expect("fewer frames than characters");
        frame.extend(character.encode_utf8(&mut [0; 4]).bytes());
        frame.extend(65_534_u16.to_be_bytes());
        frame.push(crc8(&frame));
        for _ in 0..channels {
            // A constant subframe of the value zero.
            frame.extend([0, 0, 0]);
        }
        frame.extend([0, 0]);
        fit_frame(&mut frame);
        file.extend(frame);
    }
    file
}

/// A page of the same stream as the pages of `ogg`; its checksum is for [`fit_pages`] to fill in.
pub(crate) fn ogg_page(ogg: &[u8], kind: u8, sequence: u32, lacing: &[u8], body: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(kind);
    page.extend([0; 8]);
    page.extend(&ogg[14..18]);
    page.extend(sequence.to_le_bytes());
    page.extend([0; 4]);
    page.push(lacing.len() as u8);
    page.extend(lacing);
    page.extend(body);
    page
}

/// An OGG Vorbis with `count` more codebooks, each of which takes 15 bytes in the file and unpacks to
/// 131,072 vectors of some numbers.
pub(crate) fn bomb_of_codebooks(ogg: &[u8], count: u8, dimensions: u16) -> Vec<u8> {
    let at = |wanted: &[u8]| {
        ogg.windows(wanted.len())
            .position(|window| window == wanted)
            .expect("a Vorbis file")
    };
    let (comments, setup) = (at(b"\x03vorbis"), at(b"\x05vorbis"));
    // The page of both headers ends where the next one begins.
    let next = setup
        + ogg[setup..]
            .windows(4)
            .position(|four| four == b"OggS")
            .expect("a page");
    let mut bits = Bits::default();
    for byte in *b"\x05vorbis" {
        bits.push(u64::from(byte), 8);
    }
    let own = ogg[setup + 7];
    bits.push(
        u64::from(own.checked_add(count).expect("at most 256 codebooks")),
        8,
    );
    for _ in 0..count {
        bits.push(0x56_4342, 24);
        bits.push(u64::from(dimensions), 16);
        bits.push(131_072, 24);
        // Ordered by length: all of 17 bits, which is a complete tree.
        bits.push(1, 1);
        bits.push(16, 5);
        bits.push(131_072, 18);
        // Look-up by lattice: least value, step, bits of a value less one, no sequence, the values.
        bits.push(1, 4);
        bits.push(0, 32);
        bits.push(0, 32);
        bits.push(0, 4);
        bits.push(0, 1);
        // Their number is the root of the number of vectors, so that 16 dimensions need only two.
        bits.push(
            0,
            f64::from(131_072).powf(1.0 / f64::from(dimensions)) as usize,
        );
    }
    for &byte in &ogg[setup + 8..next] {
        bits.push(u64::from(byte), 8);
    }
    let mut body = ogg[comments..setup].to_vec();
    let mut lacing = vec![255; body.len() / 255];
    lacing.push((body.len() % 255) as u8);
    lacing.extend(vec![255; bits.bytes.len() / 255]);
    lacing.push((bits.bytes.len() % 255) as u8);
    body.extend(&bits.bytes);
    let mut file = ogg[..58].to_vec();
    file.extend(ogg_page(ogg, 0, 1, &lacing, &body));
    file.extend(&ogg[next..]);
    fit_pages(&mut file);
    file
}

/// Bits from the least significant of each byte on, as Vorbis packs them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn push(&mut self, value: u64, bits: usize) {
        for bit in 0..bits {
            if self.count.is_multiple_of(8) {
                self.bytes.push(0);
            }
            // Bits beyond the value's own are zeros.
            let set = value.checked_shr(bit as u32).unwrap_or(0) & 1;
            self.bytes[self.count / 8] |= (set as u8) << (self.count % 8);
            self.count += 1;
        }
    }
}

/// A tag of ID3 version 2.3 that claims a size, in front of `content`.
pub(crate) fn id3_tag(claimed: usize, content: &[u8]) -> Vec<u8> {
    let mut tag = b"ID3\x03\0\0".to_vec();
    tag.extend([21, 14, 7, 0].map(|shift| (claimed >> shift & 0x7f) as u8));
    tag.extend(content);
    tag
}

/// A zip with one file, stored as it is; its checksum is wrong, which nobody here looks at.
pub(crate) fn zip_of_one(name: &str, content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u32).to_le_bytes();
    let mut file = b"PK\x03\x04\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(size);
    file.extend(size);
    file.extend((name.len() as u16).to_le_bytes());
    file.extend([0, 0]);
    file.extend(name.bytes());
    file.extend(content);
    file.extend(b"PK\x05\x06");
    file.extend([0; 18]);
    file
}
