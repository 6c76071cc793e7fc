use std::ops::Range;

use crate::draw::Draw;
use crate::field::{Field, Order};
use crate::mutator::Mutator;

/// Damage to an Ogg file (RFC 3533) with Vorbis inside.
pub(crate) const OGG: &[Mutator] = &[
    Mutator::in_place("page header", page_header),
    Mutator::in_place("lacing of a page", lacing),
    Mutator::moving("repeated page", repeat_page),
    Mutator::moving("missing page", remove_page),
    Mutator::in_place("pages in another order", swap_pages),
    Mutator::moving("another stream between the pages", interleave),
    Mutator::moving("another stream after the end", chain),
    Mutator::in_place("Vorbis identification", identification),
    Mutator::in_place("Vorbis comments", comments),
    Mutator::in_place("Vorbis setup", setup),
    Mutator::in_place("Vorbis setup, few bits", setup_bits),
    Mutator::in_place("inside of a page", inside),
];

/// Bytes of a page's header before its lacing values.
const HEADER: usize = 27;

/// Where the identification header of Vorbis begins in the first page.
const IDENTIFICATION: usize = HEADER + 1;

/// Pages, each from its capture pattern to the end of what its lacing claims.
fn pages(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + HEADER <= bytes.len() {
        if !bytes[at..].starts_with(b"OggS") {
            at += 1;
            continue;
        }
        let laces = usize::from(bytes[at + 26]);
        let Some(lacing) = bytes.get(at + HEADER..at + HEADER + laces) else {
            found.push(at..bytes.len());
            break;
        };
        let body: usize = lacing.iter().map(|&lace| usize::from(lace)).sum();
        let end = (at + HEADER + laces + body).min(bytes.len());
        found.push(at..end);
        at = end;
    }
    found
}

/// What a page carries, without header and lacing.
fn body(bytes: &[u8], page: &Range<usize>) -> Range<usize> {
    let laces = usize::from(bytes[page.start + 26]);
    (page.start + HEADER + laces).min(page.end)..page.end
}

fn any_page(bytes: &[u8], draw: &mut Draw) -> Option<Range<usize>> {
    let found = pages(bytes);
    (!found.is_empty()).then(|| found[draw.below(found.len())].clone())
}

/// Makes the checksum of every page fit its content.
pub(crate) fn fit_pages(bytes: &mut [u8]) {
    for page in pages(bytes) {
        let page = &mut bytes[page];
        page[22..26].fill(0);
        let checksum = crc32(page);
        page[22..26].copy_from_slice(&checksum.to_le_bytes());
    }
}

fn page_header(bytes: &mut [u8], draw: &mut Draw) {
    let Some(page) = any_page(bytes, draw) else {
        return;
    };
    let fields: [(usize, usize, &[u64]); 6] = [
        (4, 1, &[0, 1, 255]),
        // Continued, first, last.
        (5, 1, &[0, 1, 2, 4, 6, 7]),
        (
            6,
            8,
            &[0, 1, 1 << 62, i64::MAX as u64, u64::MAX, u64::MAX - 1],
        ),
        (14, 4, &[]),
        (18, 4, &[]),
        (26, 1, &[0, 1, 254, 255]),
    ];
    let (offset, width, special) = draw.pick(&fields);
    Field {
        at: page.start + offset,
        width,
        order: Order::Little,
    }
    .damage(bytes, special, draw);
}

fn lacing(bytes: &mut [u8], draw: &mut Draw) {
    let Some(page) = any_page(bytes, draw) else {
        return;
    };
    let lacing = page.start + HEADER..body(bytes, &page).start;
    if lacing.is_empty() {
        return;
    }
    for _ in 0..draw.between(1, 3) {
        bytes[lacing.start + draw.below(lacing.len())] = draw.pick(&[0, 1, 7, 100, 254, 255]);
    }
}

fn repeat_page(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if let Some(page) = any_page(bytes, draw) {
        let copies = bytes[page.clone()].repeat(draw.pick(&[1, 2, 6]));
        bytes.splice(page.end..page.end, copies);
    }
}

fn remove_page(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if let Some(page) = any_page(bytes, draw) {
        bytes.drain(page);
    }
}

fn swap_pages(bytes: &mut [u8], draw: &mut Draw) {
    let found = pages(bytes);
    if found.len() >= 2 {
        let first = draw.below(found.len() - 1);
        let (left, right) = (&found[first], &found[first + 1]);
        bytes[left.start..right.end].rotate_left(left.len());
    }
}

fn interleave(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let (Some(taken), Some(place)) = (any_page(bytes, draw), any_page(bytes, draw)) else {
        return;
    };
    let mut copy = bytes[taken].to_vec();
    serial(0).write(&mut copy, u64::from(draw.byte()));
    bytes.splice(place.end..place.end, copy);
}

fn chain(bytes: &mut Vec<u8>, draw: &mut Draw) {
    // Stacked chains would grow the file by powers of two.
    if bytes.len() > 20_000 {
        return;
    }
    let mut copy = bytes.clone();
    let new_serial = u64::from(draw.byte());
    for page in pages(&copy) {
        serial(page.start).write(&mut copy, new_serial);
    }
    bytes.extend(copy);
}

fn serial(page: usize) -> Field {
    Field {
        at: page + 14,
        width: 4,
        order: Order::Little,
    }
}

fn identification(bytes: &mut [u8], draw: &mut Draw) {
    let fields: [(usize, usize, &[u64]); 7] = [
        (7, 4, &[1]),
        (11, 1, &[0, 1, 8, 9, 32, 255]),
        (12, 4, &[0, 1, 192_001, 767_957]),
        (16, 4, &[]),
        (20, 4, &[]),
        // Two powers of two, short and long.
        (
            28,
            1,
            &[0x00, 0x0f, 0xf0, 0xff, 0x66, 0x68, 0x8b, 0xdd, 0xd6],
        ),
        (29, 1, &[0]),
    ];
    let (offset, width, special) = draw.pick(&fields);
    Field {
        at: IDENTIFICATION + offset,
        width,
        order: Order::Little,
    }
    .damage(bytes, special, draw);
}

fn comments(bytes: &mut [u8], draw: &mut Draw) {
    if let Some(at) = find(bytes, b"\x03vorbis") {
        let offset = draw.pick(&[7, 7, 11, 20, 40]);
        Field {
            at: at + offset,
            width: 4,
            order: Order::Little,
        }
        .damage(bytes, &[0x00ff_ffff], draw);
    }
}

fn setup(bytes: &mut [u8], draw: &mut Draw) {
    if let Some(at) = find(bytes, b"\x05vorbis") {
        for _ in 0..draw.between(1, 4) {
            // The number of codebooks and the first of them, or any place.
            let reach = if draw.one_in(2) { 40 } else { 4_000 };
            let place = at + 7 + draw.below(reach);
            if let Some(byte) = bytes.get_mut(place) {
                *byte = draw.byte();
            }
        }
    }
}

fn setup_bits(bytes: &mut [u8], draw: &mut Draw) {
    if let Some(at) = find(bytes, b"\x05vorbis") {
        // Floors, residues, mappings and modes are the last of it, before the next page.
        let end = pages(bytes)
            .into_iter()
            .find(|page| page.contains(&at))
            .map_or(bytes.len(), |page| page.end);
        let reach = if draw.one_in(2) {
            (end - at).min(300)
        } else {
            end - at
        };
        bytes[end - 1 - draw.below(reach)] ^= 1 << draw.below(8);
    }
}

fn inside(bytes: &mut [u8], draw: &mut Draw) {
    let Some(page) = any_page(bytes, draw) else {
        return;
    };
    let body = body(bytes, &page);
    if body.is_empty() {
        return;
    }
    for _ in 0..draw.between(1, 12) {
        bytes[body.start + draw.below(body.len())] = draw.byte();
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// The checksum of a page: x³² + … as in Ethernet, but not reflected, from zero, not inverted.
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            if crc & 0x8000_0000 != 0 {
                crc << 1 ^ 0x04c1_1db7
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
    fn the_seed_is_pages_whose_checksums_already_fit() {
        let seed = &seeds()[6];
        assert!(seed.name.starts_with("OGG"));
        let pages = pages(&seed.bytes);
        assert!(pages.len() >= 3);
        assert!(pages.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!(
            (pages[0].start, pages.last().unwrap().end),
            (0, seed.bytes.len())
        );
        assert_eq!(
            &seed.bytes[IDENTIFICATION..IDENTIFICATION + 7],
            b"\x01vorbis"
        );
        let mut again = seed.bytes.clone();
        fit_pages(&mut again);
        assert_eq!(again, seed.bytes);
        again[40] ^= 1;
        fit_pages(&mut again);
        let differing = again
            .iter()
            .zip(&seed.bytes)
            .filter(|(a, b)| a != b)
            .count();
        assert!((2..=5).contains(&differing), "{differing}");
    }
}
