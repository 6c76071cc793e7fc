//! Builders of sound files whose headers may be wrong.

use std::ops::Range;

/// Fields in the header of [`wav`].
pub const CODEC: Range<usize> = 20..22;
pub const CHANNELS: Range<usize> = 22..24;
pub const RATE_HZ: Range<usize> = 24..28;
pub const BLOCK_BYTES: Range<usize> = 32..34;
pub const BITS: Range<usize> = 34..36;
pub const DATA_BYTES: Range<usize> = 40..44;

/// A WAV file: 16 bits, mono, 8 kHz, unless the header's fields are set to something else.
pub fn wav(fields: &[(Range<usize>, u32)], data: &[u8]) -> Vec<u8> {
    let format = b"\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0";
    let chunks = [chunk(b"fmt ", format), chunk(b"data", data)].concat();
    let mut file = [b"RIFF\0\0\0\0WAVE", &chunks[..]].concat();
    fit(&mut file);
    for (field, value) in fields {
        file[field.clone()].copy_from_slice(&value.to_le_bytes()[..field.len()]);
    }
    file
}

/// A chunk of RIFF.
pub fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let size = (content.len() as u32).to_le_bytes();
    [name, &size[..], content].concat()
}

/// Lists of RIFF, each the whole content of the one around it.
pub fn lists_in_lists(depth: u32) -> Vec<u8> {
    let size = |outer| (12 * (depth - 1 - outer) + 4).to_le_bytes();
    (0..depth)
        .flat_map(|outer| [*b"LIST", size(outer), *b"INFO"].concat())
        .collect()
}

/// An AIFF file with this header.
pub fn aiff(channels: u16, frames: u32, bits: u16, rate: [u8; 10], data: &[u8]) -> Vec<u8> {
    let mut file = b"FORM\0\0\0\0AIFFCOMM\0\0\0\x12".to_vec();
    file.extend(channels.to_be_bytes());
    file.extend(frames.to_be_bytes());
    file.extend(bits.to_be_bytes());
    file.extend(rate);
    file.extend(b"SSND");
    file.extend((data.len() as u32 + 8).to_be_bytes());
    file.extend([0; 8]);
    file.extend(data);
    fit(&mut file);
    file
}

/// A FLAC file of silent frames. Each has 65,535 samples in about 13 bytes, a few more for each channel.
pub fn silent_flac(frames: u32, rate_hz: u32, channels: u8) -> Vec<u8> {
    let mut file = b"fLaC\x80\0\0\x22\xff\xff\xff\xff\0\0\0\0\0\0".to_vec();
    let packed = u64::from(rate_hz) << 44 | u64::from(channels - 1) << 41 | 15 << 36;
    file.extend(packed.to_be_bytes());
    file.extend([0; 16]);
    for number in 0..frames {
        // Block size: 16 bits behind the frame's number. Rate: as in the stream information.
        file.extend([0xff, 0xf8, 0x70, (channels - 1) << 4 | 0x08]);
        let number = char::from_u32(number).expect("fewer frames than characters");
        file.extend(number.encode_utf8(&mut [0; 4]).bytes());
        file.extend(65_534_u16.to_be_bytes());
        // Between two checksums, constant subframes of the value zero.
        file.extend(vec![0; 1 + 3 * usize::from(channels) + 2]);
    }
    fit(&mut file);
    file
}

/// A page of the same stream as the pages of `ogg`, without its checksum.
pub fn ogg_page(ogg: &[u8], kind: u8, lacing: &[u8], body: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(kind);
    page.extend([0; 8]);
    page.extend(&ogg[14..18]);
    page.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    page.push(lacing.len() as u8);
    page.extend(lacing);
    page.extend(body);
    page
}

/// A Vorbis file with `count` more codebooks. A codebook is a list of values with their numbers of bits.
pub fn with_codebooks(ogg: &[u8], count: u8, codebook: &[(u32, u32)]) -> Vec<u8> {
    let at = |wanted: &[u8], from: usize| {
        let mut windows = ogg[from..].windows(wanted.len());
        from + windows.position(|it| it == wanted).expect("a Vorbis file")
    };
    let (first, comments, setup) = (at(b"OggS", 1), at(b"\x03vorbis", 0), at(b"\x05vorbis", 0));
    // The page of both headers ends where the next one begins.
    let next = at(b"OggS", setup);
    let whole = |bytes: &[u8]| bytes.iter().map(|&byte| (byte.into(), 8)).collect();
    let before: Vec<(u32, u32)> = whole(&ogg[setup..setup + 7]);
    let number = [(u32::from(ogg[setup + 7] + count), 8)];
    let codebooks = codebook.repeat(count.into());
    let behind: Vec<(u32, u32)> = whole(&ogg[setup + 8..next]);
    let packed = pack(&[&before, &number[..], &codebooks, &behind].concat());
    let lacing = [setup - comments, packed.len()].map(|length| {
        let mut lacing = vec![255; length / 255];
        lacing.push((length % 255) as u8);
        lacing
    });
    let body = [&ogg[comments..setup], &packed].concat();
    let page = ogg_page(ogg, 0, &lacing.concat(), &body);
    let mut file = [&ogg[..first], &page, &ogg[next..]].concat();
    fit(&mut file);
    file
}

/// Packs bits as Vorbis does, from the least significant bit of each byte on.
fn pack(values: &[(u32, u32)]) -> Vec<u8> {
    let bits: Vec<u8> = values
        .iter()
        .flat_map(|&(value, bits)| (0..bits).map(move |bit| (value >> bit & 1) as u8))
        .collect();
    bits.chunks(8)
        .map(|byte| byte.iter().rev().fold(0, |byte, bit| byte << 1 | bit))
        .collect()
}

/// A tag of ID3 version 2.3 that claims a size.
pub fn id3_tag(claimed: usize, content: &[u8]) -> Vec<u8> {
    let size = [21, 14, 7, 0].map(|shift| (claimed >> shift & 0x7f) as u8);
    [b"ID3\x03\0\0", &size[..], content].concat()
}

/// Makes the size in the header of a WAV or AIFF file fit, and the checksums of the pages of an OGG file
/// or of the frames of a FLAC file.
pub fn fit(bytes: &mut [u8]) {
    let size = (bytes.len() as u32).wrapping_sub(8);
    match bytes.first_chunk() {
        Some(b"OggS") => fit_pages(bytes),
        Some(b"fLaC") => fit_frames(bytes),
        Some(b"RIFF") if bytes.len() >= 8 => bytes[4..8].copy_from_slice(&size.to_le_bytes()),
        Some(b"FORM") if bytes.len() >= 8 => bytes[4..8].copy_from_slice(&size.to_be_bytes()),
        _ => (),
    }
}

/// RFC 3533, section 6.
fn fit_pages(bytes: &mut [u8]) {
    const HEADER: usize = 27;
    let mut at = 0;
    while at + HEADER <= bytes.len() {
        if !bytes[at..].starts_with(b"OggS") {
            at += 1;
            continue;
        }
        let body = at + HEADER + usize::from(bytes[at + 26]);
        let lacing = &bytes[at + HEADER..body.min(bytes.len())];
        let length: usize = lacing.iter().map(|&lace| usize::from(lace)).sum();
        let end = (body + length).min(bytes.len());
        let page = &mut bytes[at..end];
        page[22..26].fill(0);
        let checksum = crc(32, 0x04c1_1db7, page);
        page[22..26].copy_from_slice(&checksum.to_le_bytes());
        at = end;
    }
}

/// RFC 9639, section 9. Whatever looks like the start of a frame is taken for one.
fn fit_frames(bytes: &mut [u8]) {
    let starts_here = |at: &usize| bytes[*at] == 0xff && bytes[at + 1] & 0xfe == 0xf8;
    let last = bytes.len().saturating_sub(1);
    let mut starts: Vec<usize> = (0..last).filter(starts_here).collect();
    starts.push(bytes.len());
    for frame in starts.windows(2) {
        let frame = &mut bytes[frame[0]..frame[1]];
        let [_, _, sizes, _, number, ..] = *frame else {
            continue;
        };
        // The frame's number is coded like a character of UTF-8. A block size and a rate may follow.
        let number = number.leading_ones().max(1) as usize;
        let block_size = [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0][usize::from(sizes >> 4)];
        let rate = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 2, 0][usize::from(sizes & 15)];
        let header = 4 + number + block_size + rate;
        if header + 2 < frame.len() {
            frame[header] = crc(8, 0x07, &frame[..header]) as u8;
            let end = frame.len() - 2;
            let checksum = crc(16, 0x8005, &frame[..end]) as u16;
            frame[end..].copy_from_slice(&checksum.to_be_bytes());
        }
    }
}

/// A cyclic redundancy check, most significant bit first. Bits above its width mean nothing.
fn crc(width: u32, polynomial: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << (width - 8), |crc, _| {
            crc << 1 ^ (crc >> (width - 1) & 1) * polynomial
        })
    })
}
