use std::ops::Range;

use crate::draw::Draw;
use crate::field::{Field, Order};
use crate::mutator::Mutator;

/// Damage to a FLAC file (RFC 9639). Where a checksum covers the damage it is made to fit, so that the
/// damage is what the decoder sees.
pub(crate) const FLAC: &[Mutator] = &[
    Mutator::in_place("stream information", stream_information),
    Mutator::in_place("length of a metadata block", block_length),
    Mutator::in_place("type of a metadata block", block_type),
    Mutator::moving("repeated metadata block", repeat_block),
    Mutator::moving("foreign metadata block", insert_block),
    Mutator::in_place("frame header", frame_header),
    Mutator::in_place("inside of a frame", frame_inside),
    Mutator::moving("repeated frame", repeat_frame),
    Mutator::moving("missing frame", remove_frame),
];

const MAGIC: usize = 4;

/// Bytes of the stream information, without the block's header.
pub(crate) const STREAM_INFORMATION: usize = 34;

/// Metadata blocks, headers included.
fn blocks(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = MAGIC;
    while let Some(header) = bytes.get(at..at + 4) {
        let length =
            usize::from(header[1]) << 16 | usize::from(header[2]) << 8 | usize::from(header[3]);
        let end = (at + 4 + length).min(bytes.len());
        found.push(at..end);
        at = end;
        if header[0] & 0x80 != 0 {
            break;
        }
    }
    found
}

/// Frames: from each header with a right checksum to the next.
fn frames(bytes: &[u8]) -> Vec<Range<usize>> {
    let start = blocks(bytes).last().map_or(MAGIC, |block| block.end);
    let begins: Vec<usize> = (start..bytes.len())
        .filter(|&at| header_length(&bytes[at..]).is_some())
        .collect();
    let ends = begins.iter().copied().skip(1).chain([bytes.len()]);
    begins
        .iter()
        .copied()
        .zip(ends)
        .map(|(a, b)| a..b)
        .collect()
}

/// Length of the frame header at the start of `bytes`, its checksum included; nothing if there is none.
fn header_length(bytes: &[u8]) -> Option<usize> {
    let [0xff, 0xf8 | 0xf9, sizes, _, number, ..] = *bytes else {
        return None;
    };
    // The frame's number is coded like a character of UTF-8.
    let number_length = (number.leading_ones() as usize).max(1);
    let block_size_length = match sizes >> 4 {
        6 => 1,
        7 => 2,
        _ => 0,
    };
    let rate_length = match sizes & 15 {
        12 => 1,
        13 | 14 => 2,
        _ => 0,
    };
    let length = 4 + number_length + block_size_length + rate_length;
    let checksum = *bytes.get(length)?;
    (crc8(&bytes[..length]) == checksum).then_some(length + 1)
}

fn any(ranges: &[Range<usize>], draw: &mut Draw) -> Option<Range<usize>> {
    (!ranges.is_empty()).then(|| ranges[draw.below(ranges.len())].clone())
}

fn stream_information(bytes: &mut [u8], draw: &mut Draw) {
    let field = |offset: usize, width: usize| Field {
        at: MAGIC + 4 + offset,
        width,
        order: Order::Big,
    };
    // Twenty bits of rate, three of channels, five of depth and 36 of length share eight bytes.
    let packed = field(10, 8);
    let Some(old) = packed.read(bytes) else {
        return;
    };
    let mut replace = |shift: u32, bits: u32, value: u64| {
        let mask = ((1 << bits) - 1) << shift;
        packed.write(bytes, (old & !mask) | (value << shift & mask));
    };
    match draw.below(8) {
        0 => replace(
            44,
            20,
            draw.pick(&[0, 1, 8_000, 192_001, 655_350, 0xf_ffff]),
        ),
        1 => replace(41, 3, draw.below(8) as u64),
        2 => replace(36, 5, draw.below(32) as u64),
        3 => replace(0, 36, draw.pick(&[0, 1, 0xf_ffff_ffff])),
        4 => field(0, 2).damage(bytes, &[0, 1, 15, 16, 65_535], draw),
        5 => field(2, 2).damage(bytes, &[0, 1, 15, 16, 65_535], draw),
        6 => field(4, 3).damage(bytes, &[], draw),
        _ => field(7, 3).damage(bytes, &[], draw),
    }
}

fn block_length(bytes: &mut [u8], draw: &mut Draw) {
    if let Some(block) = any(&blocks(bytes), draw) {
        let length = Field {
            at: block.start + 1,
            width: 3,
            order: Order::Big,
        };
        length.damage(bytes, &[0, 33, 0xff_ffff], draw);
    }
}

fn block_type(bytes: &mut [u8], draw: &mut Draw) {
    if let Some(block) = any(&blocks(bytes), draw) {
        bytes[block.start] = draw.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 126, 127]) | (draw.byte() & 0x80);
    }
}

fn repeat_block(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if let Some(block) = any(&blocks(bytes), draw) {
        let mut copy = bytes[block.clone()].to_vec();
        copy[0] &= 0x7f;
        let copies = copy.repeat(draw.pick(&[1, 2, 20]));
        bytes.splice(block.start..block.start, copies);
    }
}

/// Inserts a seek table, comments, a cue sheet or a picture that claims more than it holds.
fn insert_block(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let Some(block) = any(&blocks(bytes), draw) else {
        return;
    };
    let mut content: Vec<u8> = (0..draw.below(80)).map(|_| draw.byte()).collect();
    for _ in 0..2 {
        if content.len() >= 4 {
            let at = draw.below(content.len() / 4) * 4;
            Field {
                at,
                width: 4,
                order: draw.pick(&[Order::Little, Order::Big]),
            }
            .damage(&mut content, &[0x00ff_ffff, 0x7fff_ffff], draw);
        }
    }
    let mut inserted = vec![draw.pick(&[1, 2, 3, 4, 5, 6, 7]), 0, 0, content.len() as u8];
    inserted.extend(content);
    bytes.splice(block.end..block.end, inserted);
}

fn frame_header(bytes: &mut [u8], draw: &mut Draw) {
    let Some(frame) = any(&frames(bytes), draw) else {
        return;
    };
    let Some(length) = header_length(&bytes[frame.clone()]) else {
        return;
    };
    let at = frame.start + draw.between(1, length - 2);
    bytes[at] = match draw.below(3) {
        0 => draw.byte(),
        1 => bytes[at] ^ (1 << draw.below(8)),
        _ => draw.pick(&[0x00, 0x0f, 0x60, 0x70, 0xf0, 0xff, 0xc9, 0xcd]),
    };
    let checksum = frame.start + length - 1;
    bytes[checksum] = crc8(&bytes[frame.start..checksum]);
    fit_frame(&mut bytes[frame]);
}

fn frame_inside(bytes: &mut [u8], draw: &mut Draw) {
    let Some(frame) = any(&frames(bytes), draw) else {
        return;
    };
    let Some(length) = header_length(&bytes[frame.clone()]) else {
        return;
    };
    let inside = frame.start + length..frame.end;
    if inside.is_empty() {
        return;
    }
    for _ in 0..draw.between(1, 6) {
        // Subframes begin with what decides on the rest: type, order, wasted bits.
        let reach = if draw.one_in(2) {
            inside.len().min(24)
        } else {
            inside.len()
        };
        bytes[inside.start + draw.below(reach)] = draw.byte();
    }
    fit_frame(&mut bytes[frame]);
}

fn repeat_frame(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if let Some(frame) = any(&frames(bytes), draw) {
        let copies = bytes[frame.clone()].repeat(draw.pick(&[1, 3]));
        bytes.splice(frame.end..frame.end, copies);
    }
}

fn remove_frame(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if let Some(frame) = any(&frames(bytes), draw) {
        bytes.drain(frame);
    }
}

/// Makes the checksum that ends a frame fit what is before it.
pub(crate) fn fit_frame(frame: &mut [u8]) {
    if let Some(at) = frame.len().checked_sub(2) {
        let checksum = crc16(&frame[..at]);
        frame[at..].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// x⁸ + x² + x + 1 (RFC 9639, section 9.1.8).
pub(crate) fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ byte, |crc, _| {
            if crc & 0x80 != 0 {
                crc << 1 ^ 0x07
            } else {
                crc << 1
            }
        })
    })
}

/// x¹⁶ + x¹⁵ + x² + 1 (RFC 9639, section 9.3).
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 != 0 {
                crc << 1 ^ 0x8005
            } else {
                crc << 1
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::seeds;

    #[test]
    fn the_seed_is_metadata_and_frames_whose_checksums_already_fit() {
        let seed = &seeds()[5];
        assert!(seed.name.starts_with("FLAC"));
        let (blocks, frames) = (blocks(&seed.bytes), frames(&seed.bytes));
        assert_eq!(blocks[0], MAGIC..MAGIC + 4 + STREAM_INFORMATION);
        assert!(
            blocks.len() >= 2 && frames.len() >= 2,
            "{blocks:?} {frames:?}"
        );
        assert_eq!(blocks.last().unwrap().end, frames[0].start);
        assert_eq!(frames.last().unwrap().end, seed.bytes.len());
        for frame in frames {
            let mut again = seed.bytes[frame.clone()].to_vec();
            fit_frame(&mut again);
            assert_eq!(again, seed.bytes[frame]);
        }
    }
}
