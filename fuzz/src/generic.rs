use crate::draw::Draw;
use crate::mutator::Mutator;
use crate::seeds::seeds;

/// Damage that knows nothing of the format.
pub(crate) const GENERIC: &[Mutator] = &[
    Mutator::moving("cut short", cut_short),
    Mutator::in_place("flipped bits", flip_bits),
    Mutator::in_place("overwritten bytes", overwrite),
    Mutator::moving("a piece of another format", splice),
    Mutator::moving("a repeated piece", repeat),
    Mutator::moving("a missing piece", remove),
    Mutator::moving("a run of zeros or ones", insert_run),
];

/// Longest piece that is copied, removed or inserted, in bytes.
const LONGEST_PIECE: usize = 2_000;

fn cut_short(bytes: &mut Vec<u8>, draw: &mut Draw) {
    if !bytes.is_empty() {
        // Half of the cuts fall into the header.
        let limit = if draw.one_in(2) {
            bytes.len().min(200)
        } else {
            bytes.len()
        };
        bytes.truncate(draw.below(limit));
    }
}

fn flip_bits(bytes: &mut [u8], draw: &mut Draw) {
    if bytes.is_empty() {
        return;
    }
    for _ in 0..draw.between(1, 16) {
        let at = draw.below(bytes.len());
        bytes[at] ^= 1 << draw.below(8);
    }
}

fn overwrite(bytes: &mut [u8], draw: &mut Draw) {
    let at = piece(bytes, 64, draw);
    for byte in &mut bytes[at] {
        *byte = draw.byte();
    }
}

fn splice(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let other = &draw
        .pick(&[0, 1, 2, 3, 4, 5, 6, 7].map(|at| &seeds()[at]))
        .bytes;
    let taken = piece(other, LONGEST_PIECE, draw);
    let at = draw.between(0, bytes.len());
    if draw.one_in(2) {
        bytes.splice(at..at, other[taken].iter().copied());
    } else {
        let end = (at + taken.len()).min(bytes.len());
        bytes.splice(at..end, other[taken].iter().copied());
    }
}

fn repeat(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let taken = piece(bytes, LONGEST_PIECE, draw);
    let copy = bytes[taken.clone()].repeat(draw.pick(&[1, 1, 2, 5]));
    bytes.splice(taken.end..taken.end, copy);
}

fn remove(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let taken = piece(bytes, LONGEST_PIECE, draw);
    bytes.drain(taken);
}

fn insert_run(bytes: &mut Vec<u8>, draw: &mut Draw) {
    let at = draw.between(0, bytes.len());
    let length = draw.between(1, LONGEST_PIECE);
    let value = draw.pick(&[0x00, 0xff]);
    if draw.one_in(2) {
        bytes.splice(at..at, std::iter::repeat_n(value, length));
    } else {
        let end = (at + length).min(bytes.len());
        bytes[at..end].fill(value);
    }
}

/// A place in `bytes`; nowhere if they are empty.
fn piece(bytes: &[u8], longest: usize, draw: &mut Draw) -> std::ops::Range<usize> {
    if bytes.is_empty() {
        return 0..0;
    }
    let at = draw.below(bytes.len());
    let length = draw.between(1, longest);
    at..(at + length).min(bytes.len())
}
