use std::ops::Range;

use crate::draw::Draw;
use crate::field::{Field, Order};
use crate::mutator::Mutator;

/// Damage to an MP3 file (ISO/IEC 11172-3), and to the tags that are put before and behind it.
pub(crate) const MP3: &[Mutator] = &[
    Mutator::in_place("frame header", frame_header),
    Mutator::in_place("bitrate or rate of a frame", rate_of_frame),
    Mutator::in_place("side information", side_information),
    Mutator::moving("repeated frame", repeat_frame),
    Mutator::moving("missing frame", remove_frame),
    Mutator::in_place("frames in another order", swap_frames),
    Mutator::in_place("Xing header", xing),
    Mutator::moving("ID3v2 tag", id3v2),
    Mutator::moving("tag at the end", tag_at_the_end),
];

/// Kilobits per second of layer III, by version (1, then 2) and index.
const KBIT_S: [[usize; 16]; 2] = [
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0,
    ],
    [
        0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0,
    ],
];

/// Samples per second of MPEG 1, by index.
const RATE_HZ: [usize; 4] = [44_100, 48_000, 32_000, 0];

/// Frames of layer III, found one behind the other.
fn frames(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + 4 <= bytes.len() {
        match frame_length(&bytes[at..]) {
            Some(length) => {
                let end = (at + length).min(bytes.len());
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

fn frame_length(bytes: &[u8]) -> Option<usize> {
    let [0xff, second, third, ..] = *bytes else {
        return None;
    };
    // Bits of the second byte: three of sync, two of version, two of layer (01 is III), protection.
    if second & 0xe6 != 0xe2 || second & 0x18 == 0x08 {
        return None;
    }
    let first_version = second & 0x08 != 0 && second & 0x10 != 0;
    let halvings = match second & 0x18 {
        0x18 => 0,
        0x10 => 1,
        _ => 2,
    };
    let kbit_s = KBIT_S[usize::from(!first_version)][usize::from(third >> 4)];
    let rate_hz = RATE_HZ[usize::from(third >> 2 & 3)] >> halvings;
    if kbit_s == 0 || rate_hz == 0 {
        return None;
    }
    let bits = if first_version { 144 } else { 72 };
    Some(bits * 1000 * kbit_s / rate_hz + usize::from(third >> 1 & 1))
}

fn any_frame(bytes: &[u8], draw: &mut Draw) -> Option<Range<usize>> {
    let found = frames(bytes);
    (!found.is_empty()).then(|| found[draw.below(found.len())].clone())
}

fn frame_header(bytes: &mut [u8], draw: &mut Draw) {
    if let Some(frame) = any_frame(bytes, draw) {
        bytes[frame.start + draw.between(1, 3)] ^= 1 << draw.below(8);
    }
}

fn rate_of_frame(bytes: &mut [u8], draw: &mut Draw) {
    let every = draw.one_in(4);
    let Some(chosen) = any_frame(bytes, draw) else {
        return;
    };
    let third = draw.byte();
    let frames = if every { frames(bytes) } else { vec![chosen] };
    for frame in frames {
        if let Some(byte) = bytes.get_mut(frame.start + 2) {
            *byte = third;
        }
    }
}

/// The nine bits of the bit reservoir, part lengths, Huffman tables and block types.
fn side_information(bytes: &mut [u8], draw: &mut Draw) {
    let Some(frame) = any_frame(bytes, draw) else {
        return;
    };
    for _ in 0..draw.between(1, 8) {
        let at = frame.start + 4 + draw.below(36);
        if at < frame.end {
            let any = draw.byte();
            bytes[at] = draw.pick(&[0x00, 0xff, any, any]);
        }
    }
}

fn repeat_frame(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if let Some(frame) = any_frame(bytes, draw) {
        let copies = bytes[frame.clone()].repeat(draw.pick(&[1, 2, 8]));
        bytes.splice(frame.end..frame.end, copies);
    }
}

fn remove_frame(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if let Some(frame) = any_frame(bytes, draw) {
        bytes.drain(frame);
    }
}

fn swap_frames(bytes: &mut [u8], draw: &mut Draw) {
    let found = frames(bytes);
    if found.len() >= 2 {
        let first = draw.below(found.len() - 1);
        let (left, right) = (&found[first], &found[first + 1]);
        bytes[left.start..right.end].rotate_left(left.len());
    }
}

fn xing(bytes: &mut [u8], draw: &mut Draw) {
    let found = bytes
        .windows(4)
        .position(|four| four == b"Xing" || four == b"Info");
    if let Some(at) = found {
        // Flags, frames, bytes, then the encoder's delay and padding.
        let (offset, width) = draw.pick(&[(4, 4), (8, 4), (12, 4), (16, 1), (116, 4), (141, 3)]);
        Field {
            at: at + offset,
            width,
            order: Order::Big,
        }
        .damage(bytes, &[0xf, 0xfff], draw);
    }
}

/// Puts a tag before everything, with sizes that may lie at each level.
fn id3v2(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let version = draw.pick(&[2, 3, 4, 5, 255]);
    // Unsynchronisation, extended header, experimental, footer.
    let flags = draw.pick(&[0x00, 0x80, 0x40, 0xc0, 0x10, 0xff]);
    let mut body = Vec::new();
    for _ in 0..draw.between(0, 4) {
        let content: Vec<u8> = (0..draw.below(60))
            .map(|_| {
                let any = draw.byte();
                draw.pick(&[0x00, 0x01, 0xff, 0xe0, any])
            })
            .collect();
        let mut header = draw
            .pick(&[
                b"TIT2", b"APIC", b"COMM", b"CHAP", b"CTOC", b"PRIV", b"TXXX",
            ])
            .to_vec();
        header.extend((content.len() as u32).to_be_bytes());
        header.extend([0, draw.pick(&[0, 0, 0x02, 0x0f, 0xff])]);
        if draw.one_in(3) {
            Field {
                at: 4,
                width: 4,
                order: Order::Big,
            }
            .damage(&mut header, &[0x7f7f_7f7f], draw);
        }
        body.extend(header);
        body.extend(content);
    }
    let claimed = match draw.below(4) {
        0 => draw.pick(&[0, 1, body.len() + 1, 0x0fff_ffff]),
        _ => body.len(),
    };
    let mut tag = b"ID3".to_vec();
    tag.extend([version, 0, flags]);
    // Seven bits in each byte.
    tag.extend([21, 14, 7, 0].map(|shift| (claimed >> shift & 0x7f) as u8));
    if draw.one_in(8) {
        tag[6 + draw.below(4)] = 0xff;
    }
    tag.extend(body);
    bytes.splice(0..0, tag);
}

fn tag_at_the_end(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if draw.one_in(2) {
        bytes.extend(b"TAG");
        bytes.extend((0..125).map(|_| draw.byte()));
    } else {
        bytes.extend(b"APETAGEX");
        for value in [
            2_000_u32,
            draw.pick(&[0, 32, u32::MAX]),
            draw.pick(&[0, 1, u32::MAX]),
            0xa000_0000,
            0,
            0,
        ] {
            bytes.extend(value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::seeds;

    #[test]
    fn the_seed_is_frames_and_nothing_else() {
        let seed = &seeds()[7];
        assert!(seed.name.starts_with("MP3"));
        let frames = frames(&seed.bytes);
        assert!(frames.len() >= 8, "{}", frames.len());
        assert!(frames.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(
            (frames[0].start, frames.last().unwrap().end),
            (0, seed.bytes.len())
        );
        // 128 kbit/s at 44.1 kHz, the first frame of the file.
        assert_eq!(frames[0].len(), 417);
    }
}
