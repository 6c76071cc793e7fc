use crate::draw::Draw;
use crate::field::{Field, Order};
use crate::mutator::Mutator;

/// Damage to a WAV file.
pub(crate) const WAV: &[Mutator] = &[
    Mutator::in_place("chunk size", |bytes, draw| {
        chunk_size(bytes, Order::Little, draw)
    }),
    Mutator::moving("repeated chunk", |bytes, draw| {
        repeat_chunk(bytes, Order::Little, draw)
    }),
    Mutator::moving("missing chunk", |bytes, draw| {
        remove_chunk(bytes, Order::Little, draw)
    }),
    Mutator::in_place("chunks in another order", |bytes, draw| {
        swap_chunks(bytes, Order::Little, draw)
    }),
    Mutator::moving("nested chunk", |bytes, draw| {
        nest_chunk(bytes, Order::Little, draw)
    }),
    Mutator::moving("foreign chunk", |bytes, draw| {
        insert_chunk(bytes, Order::Little, draw)
    }),
    Mutator::in_place("chunk name", |bytes, draw| {
        rename_chunk(bytes, Order::Little, draw)
    }),
    // Twice, because most of what a reader computes comes from these fields.
    Mutator::in_place("field of the format", wav_format),
    Mutator::in_place("fields of the format", |bytes, draw| {
        (0..3).for_each(|_| wav_format(bytes, draw));
    }),
];

/// Damage to an AIFF file.
pub(crate) const AIFF: &[Mutator] = &[
    Mutator::in_place("chunk size", |bytes, draw| {
        chunk_size(bytes, Order::Big, draw)
    }),
    Mutator::moving("repeated chunk", |bytes, draw| {
        repeat_chunk(bytes, Order::Big, draw)
    }),
    Mutator::moving("missing chunk", |bytes, draw| {
        remove_chunk(bytes, Order::Big, draw)
    }),
    Mutator::in_place("chunks in another order", |bytes, draw| {
        swap_chunks(bytes, Order::Big, draw)
    }),
    Mutator::moving("nested chunk", |bytes, draw| {
        nest_chunk(bytes, Order::Big, draw)
    }),
    Mutator::moving("foreign chunk", |bytes, draw| {
        insert_chunk(bytes, Order::Big, draw)
    }),
    Mutator::in_place("chunk name", |bytes, draw| {
        rename_chunk(bytes, Order::Big, draw)
    }),
    Mutator::in_place("field of the format", aiff_format),
    Mutator::moving("compressed form", aiff_compressed),
    Mutator::in_place("place of the samples", |bytes, draw| {
        if let Some(sound) = chunk_named(bytes, b"SSND", Order::Big) {
            let at = sound.at + 8 + draw.pick(&[0, 4]);
            number(at, 4, Order::Big).damage(bytes, &[9, 0x1000], draw);
        }
    }),
];

/// Bytes of the file's own header: its name, size and form.
const FORM: usize = 12;

/// Names that a reader knows, and some that it doesn't.
const NAMES: [&[u8; 4]; 18] = [
    b"fmt ",
    b"data",
    b"LIST",
    b"fact",
    b"cue ",
    b"smpl",
    b"bext",
    b"id3 ",
    b"JUNK",
    b"COMM",
    b"SSND",
    b"MARK",
    b"COMT",
    b"NAME",
    b"APPL",
    b"FVER",
    b"INST",
    b"\0\0\0\0",
];

/// A chunk as it lies in the file: a name of four bytes, a size, the content, a byte of padding after
/// an odd size.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Chunk {
    at: usize,
    /// Where the next one begins, but never beyond the end of the file.
    end: usize,
}

fn number(at: usize, width: usize, order: Order) -> Field {
    Field { at, width, order }
}

fn chunks(bytes: &[u8], order: Order) -> Vec<Chunk> {
    let mut found = Vec::new();
    let mut at = FORM;
    while let Some(size) = number(at + 4, 4, order).read(bytes) {
        let padded = (size + size % 2) as usize;
        let end = (at + 8 + padded).min(bytes.len());
        found.push(Chunk { at, end });
        at = end;
    }
    found
}

fn chunk_named(bytes: &[u8], name: &[u8; 4], order: Order) -> Option<Chunk> {
    chunks(bytes, order)
        .into_iter()
        .find(|chunk| bytes[chunk.at..].starts_with(name))
}

/// Makes the size in the header of a WAV fit the file.
pub(crate) fn fit_wav(bytes: &mut [u8]) {
    fit(bytes, Order::Little);
}

/// Makes the size in the header of an AIFF fit the file.
pub(crate) fn fit_aiff(bytes: &mut [u8]) {
    fit(bytes, Order::Big);
}

fn fit(bytes: &mut [u8], order: Order) {
    let size = (bytes.len() as u64).saturating_sub(8);
    number(4, 4, order).write(bytes, size);
}

fn any_chunk(bytes: &[u8], order: Order, draw: &mut Draw) -> Option<Chunk> {
    let found = chunks(bytes, order);
    (!found.is_empty()).then(|| draw.pick(&found))
}

fn chunk_size(bytes: &mut [u8], order: Order, draw: &mut Draw) {
    let at = match any_chunk(bytes, order, draw) {
        Some(chunk) if !draw.one_in(5) => chunk.at,
        // The size in the header of the whole file.
        _ => 0,
    };
    let beyond = bytes.len() as u64 + 1;
    number(at + 4, 4, order).damage(bytes, &[0, 1, 0x7fff_ffff, 0xffff_ffff, beyond], draw);
}

fn repeat_chunk(bytes: &mut Vec<u8>, order: Order, draw: &mut Draw) {
    if let Some(chunk) = any_chunk(bytes, order, draw) {
        let copy = bytes[chunk.at..chunk.end].repeat(draw.pick(&[1, 2, 9]));
        bytes.splice(chunk.end..chunk.end, copy);
    }
}

fn remove_chunk(bytes: &mut Vec<u8>, order: Order, draw: &mut Draw) {
    if let Some(chunk) = any_chunk(bytes, order, draw) {
        bytes.drain(chunk.at..chunk.end);
    }
}

fn swap_chunks(bytes: &mut [u8], order: Order, draw: &mut Draw) {
    let found = chunks(bytes, order);
    if found.len() >= 2 {
        let first = draw.below(found.len() - 1);
        let (left, right) = (found[first], found[first + 1]);
        bytes[left.at..right.end].rotate_left(left.end - left.at);
    }
}

/// Puts a chunk into a list, or into a whole file of its own.
fn nest_chunk(bytes: &mut Vec<u8>, order: Order, draw: &mut Draw) {
    if let Some(chunk) = any_chunk(bytes, order, draw) {
        let mut header = draw.pick(&[b"LIST", b"RIFF", b"FORM"]).to_vec();
        header.extend([0; 4]);
        header.extend(draw.pick(&[b"INFO", b"WAVE", b"AIFF", b"adtl"]));
        number(4, 4, order).write(&mut header, (chunk.end - chunk.at + 4) as u64);
        bytes.splice(chunk.at..chunk.at, header);
    }
}

fn insert_chunk(bytes: &mut Vec<u8>, order: Order, draw: &mut Draw) {
    let at = any_chunk(bytes, order, draw)
        .map_or(bytes.len(), |chunk| draw.pick(&[chunk.at, chunk.end]));
    let content: Vec<u8> = (0..draw.below(40)).map(|_| draw.byte()).collect();
    let mut chunk = draw.pick(&NAMES).to_vec();
    chunk.extend([0; 4]);
    number(4, 4, order).write(&mut chunk, content.len() as u64);
    if draw.one_in(3) {
        number(4, 4, order).damage(&mut chunk, &[], draw);
    }
    chunk.extend(&content);
    if content.len() % 2 == 1 {
        chunk.push(0);
    }
    bytes.splice(at..at, chunk);
}

fn rename_chunk(bytes: &mut [u8], order: Order, draw: &mut Draw) {
    if let Some(chunk) = any_chunk(bytes, order, draw) {
        let name: &[u8; 4] = draw.pick(&NAMES);
        bytes[chunk.at..chunk.at + 4].copy_from_slice(name);
    }
}

/// The `fmt ` chunk: Microsoft, "Multiple channel audio data and WAVE files" (2007).
fn wav_format(bytes: &mut [u8], draw: &mut Draw) {
    let Some(format) = chunk_named(bytes, b"fmt ", Order::Little) else {
        return;
    };
    let codecs = [0, 1, 2, 3, 6, 7, 0x11, 0x31, 0x50, 0x55, 0xfffe, 0xffff];
    let fields: [(usize, usize, &[u64]); 10] = [
        (0, 2, &codecs),
        (2, 2, &[0, 1, 8, 9, 32, 33, 255, 65_535]),
        (4, 4, &[0, 1, 1009, 191_999, 192_001, 767_957, 0xffff_ffff]),
        (8, 4, &[]),
        (12, 2, &[0, 1, 3, 4, 65_535]),
        (14, 2, &[0, 1, 4, 7, 8, 12, 16, 24, 32, 33, 64, 65_535]),
        (16, 2, &[0, 2, 22, 65_535]),
        (18, 2, &[0, 1, 12, 33]),
        (20, 4, &[0, 0x3f, 0xffff_ffff]),
        (24, 2, &codecs),
    ];
    let (offset, width, special) = draw.pick(&fields);
    number(format.at + 8 + offset, width, Order::Little).damage(bytes, special, draw);
}

/// The `COMM` chunk: Apple, "Audio Interchange File Format AIFF-C" (1991).
fn aiff_format(bytes: &mut [u8], draw: &mut Draw) {
    let Some(format) = chunk_named(bytes, b"COMM", Order::Big) else {
        return;
    };
    let fields: [(usize, usize, &[u64]); 6] = [
        (0, 2, &[0, 1, 8, 9, 255, 65_535]),
        (2, 4, &[0, 1, 0x7fff_ffff]),
        (6, 2, &[0, 1, 7, 8, 24, 33, 64, 65_535]),
        // The rate is a float of 80 bits: sign and exponent, then the mantissa.
        (
            8,
            2,
            &[0, 0x3fff, 0x4008, 0x4013, 0x4020, 0x7fff, 0xbfff, 0xc00e],
        ),
        (10, 8, &[0, 1, 1 << 63, u64::MAX]),
        (18, 4, &[]),
    ];
    let (offset, width, special) = draw.pick(&fields);
    number(format.at + 8 + offset, width, Order::Big).damage(bytes, special, draw);
}

/// Turns the file into AIFF-C, with one of its compressions named or unnamed.
fn aiff_compressed(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let Some(format) = chunk_named(bytes, b"COMM", Order::Big) else {
        return;
    };
    bytes[8..12].copy_from_slice(b"AIFC");
    let end = format.at + 26;
    if end > bytes.len() {
        return;
    }
    let compressions = [
        b"NONE",
        b"sowt",
        b"fl32",
        b"FL32",
        b"fl64",
        b"ulaw",
        b"alaw",
        b"ima4",
        b"MAC6",
        b"in24",
        b"raw ",
        b"\xff\0\xff\0",
    ];
    let mut addition = draw.pick(&compressions).to_vec();
    addition.extend([draw.pick(&[0, 1, 5, 255]), 0]);
    let size = Field {
        at: format.at + 4,
        width: 4,
        order: Order::Big,
    };
    size.write(bytes, 18 + addition.len() as u64);
    bytes.splice(end..end, addition);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::seeds;

    #[test]
    fn chunks_tile_the_file_and_are_found_by_name() {
        let mut checked = 0;
        for seed in &seeds()[..5] {
            let order = if seed.name.starts_with("AIFF") {
                Order::Big
            } else {
                Order::Little
            };
            let found = chunks(&seed.bytes, order);
            assert!(found.len() >= 2, "{}", seed.name);
            assert_eq!(found[0].at, FORM);
            assert!(found.windows(2).all(|pair| pair[0].end == pair[1].at));
            assert_eq!(found.last().unwrap().end, seed.bytes.len());
            let names: [&[u8; 4]; 2] = if order == Order::Big {
                [b"COMM", b"SSND"]
            } else {
                [b"fmt ", b"data"]
            };
            for name in names {
                assert!(
                    chunk_named(&seed.bytes, name, order).is_some(),
                    "{}",
                    seed.name
                );
                checked += 1;
            }
        }
        assert_eq!(checked, 10);
    }

    #[test]
    fn a_size_beyond_the_file_ends_the_walk() {
        let mut bytes = seeds()[0].bytes.clone();
        number(FORM + 4, 4, Order::Little).write(&mut bytes, 0xffff_ffff);
        let whole = Chunk {
            at: FORM,
            end: bytes.len(),
        };
        assert_eq!(chunks(&bytes, Order::Little), [whole]);
        assert_eq!(chunks(b"RIFF", Order::Little), []);
    }
}
