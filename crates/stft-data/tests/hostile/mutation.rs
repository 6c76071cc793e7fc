//! Random changes of a file.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::bytes::fit;

/// One to four changes, after which sizes and checksums may be made to fit, so that the decoder sees the
/// damage and not only a wrong checksum.
#[derive(Clone, Debug)]
pub struct Damage {
    changes: Vec<Change>,
    fits: bool,
}

#[derive(Clone, Debug)]
enum Change {
    /// Replaces, removes or inserts bytes.
    Splice {
        at: Place,
        removed: usize,
        inserted: Vec<u8>,
    },
    /// Repeats a piece, such as a chunk, a page or a frame.
    Repeat {
        at: Place,
        length: usize,
        times: usize,
    },
}

/// A place in a file of any length.
#[derive(Clone, Debug)]
enum Place {
    Anywhere(Index),
    /// Some bytes behind the start of a header.
    InHeader(Index, usize),
}

/// What headers begin with.
const MARKS: [&[u8]; 15] = [
    b"RIFF",
    b"FORM",
    b"fmt ",
    b"data",
    b"fact",
    b"LIST",
    b"COMM",
    b"SSND",
    b"fLaC",
    b"\xff\xf8",
    b"OggS",
    b"vorbis",
    b"BCV",
    b"\xff\xfb",
    b"Xing",
];

/// Numbers at which arithmetic may go wrong.
const NUMBERS: [u64; 10] = [
    0,
    1,
    0x7f,
    0xff,
    0x7fff,
    0xffff,
    0xff_ffff,
    0x7fff_ffff,
    u32::MAX as u64,
    u64::MAX,
];

/// Random damage. Pieces of `fixtures` are among what is inserted.
pub fn damage(fixtures: &[(String, Vec<u8>)]) -> impl Strategy<Value = Damage> + use<> {
    let pieces = |(_, bytes): &(String, Vec<u8>)| bytes.chunks(700).map(<[u8]>::to_vec).collect();
    let pieces: Vec<Vec<u8>> = fixtures.iter().flat_map::<Vec<_>, _>(pieces).collect();
    let inserted = prop_oneof![
        vec(any::<u8>(), 1..80),
        (select(vec![0x00, 0xff]), 1..2_000_usize).prop_map(|(byte, count)| vec![byte; count]),
        select(pieces),
        Just(b"ID3\x03\0\0\x7f\x7f\x7f\x7f".to_vec()),
        Just(b"LIST\xf0\xff\xff\x7fINFO".to_vec()),
    ];
    let length = || prop_oneof![1..64_usize, 1..2_000_usize];
    let splice = |(at, removed, inserted)| Change::Splice {
        at,
        removed,
        inserted,
    };
    let replace = move |(at, new): (_, Vec<u8>)| splice((at, new.len(), new));
    let change = prop_oneof![
        6 => (place(), number()).prop_map(replace),
        3 => (place(), vec(any::<u8>(), 1..4)).prop_map(replace),
        1 => (place(), Just(0), inserted).prop_map(splice),
        1 => (place(), length(), Just(vec![])).prop_map(splice),
        1 => (place(), Just(usize::MAX), Just(vec![])).prop_map(splice),
        1 => (place(), length(), 1..=6_usize)
            .prop_map(|(at, length, times)| Change::Repeat { at, length, times }),
    ];
    (vec(change, 1..=4), prop::bool::weighted(0.8))
        .prop_map(|(changes, fits)| Damage { changes, fits })
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        any::<Index>().prop_map(Place::Anywhere),
        (any::<Index>(), 0..40_usize).prop_map(|(mark, offset)| Place::InHeader(mark, offset)),
    ]
}

/// One to eight bytes, in either order.
fn number() -> impl Strategy<Value = Vec<u8>> {
    let value = prop_oneof![select(&NUMBERS[..]), any::<u64>(), 0..1_000_000_u64];
    let width = select(vec![1, 2, 3, 4, 8_usize]);
    (value, width, any::<bool>()).prop_map(|(value, width, big_endian)| match big_endian {
        true => value.to_be_bytes()[8 - width..].to_vec(),
        false => value.to_le_bytes()[..width].to_vec(),
    })
}

impl Damage {
    pub fn apply(&self, file: &mut Vec<u8>) {
        for change in &self.changes {
            match change {
                Change::Splice {
                    at,
                    removed,
                    inserted,
                } => {
                    let at = at.find(file);
                    let end = at.saturating_add(*removed).min(file.len());
                    file.splice(at..end, inserted.iter().copied());
                }
                Change::Repeat { at, length, times } => {
                    let at = at.find(file);
                    let end = (at + length).min(file.len());
                    let copies = file[at..end].repeat(*times);
                    file.splice(end..end, copies);
                }
            }
        }
        if self.fits {
            fit(file);
        }
    }
}

impl Place {
    fn find(&self, bytes: &[u8]) -> usize {
        match self {
            Place::Anywhere(index) => index.index(bytes.len() + 1),
            Place::InHeader(index, offset) => {
                let is_mark = |at: &usize| MARKS.iter().any(|mark| bytes[*at..].starts_with(mark));
                let marks: Vec<usize> = (0..bytes.len()).filter(is_mark).collect();
                let mark = (!marks.is_empty()).then(|| *index.get(&marks));
                (mark.unwrap_or(0) + offset).min(bytes.len())
            }
        }
    }
}
