use std::fmt;
use std::str::FromStr;

use crate::drill::Drill;
use crate::hand_made::{Expected, HandMade, hand_made};
use crate::mutated::mutated;

/// One file of a run: a hand-made one, by its place in the list, or a mutated one, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Case {
    /// Written `hand:3`.
    HandMade(usize),
    /// Written `3`.
    Mutated(u64),
}

/// The files of a run: every hand-made one, then as many mutated ones as asked for. A drill has no
/// hand-made ones: it tries out the alarm, and some of them are slow.
pub fn cases(files: u64, drill: Option<Drill>) -> impl Iterator<Item = Case> {
    let thought_of = if drill.is_none() {
        hand_made().len()
    } else {
        0
    };
    (0..thought_of)
        .map(Case::HandMade)
        .chain((0..files).map(Case::Mutated))
}

/// The bytes of a file; nothing if there is no such file.
pub fn file(seed: u64, case: Case) -> Option<Vec<u8>> {
    Some(case.content(seed, &hand_made())?.bytes)
}

/// A file in memory.
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    /// A format, or "hand-made".
    pub(crate) group: &'static str,
    pub(crate) description: String,
    pub(crate) expected: Expected,
}

impl Case {
    /// Makes the file. `thought_of` is the list of hand-made ones, which is dear to make.
    pub(crate) fn content(self, seed: u64, thought_of: &[HandMade]) -> Option<Content> {
        Some(match self {
            Case::HandMade(at) => {
                let file = thought_of.get(at)?;
                Content {
                    bytes: file.bytes.clone(),
                    group: "hand-made",
                    description: file.what.to_owned(),
                    expected: file.expected,
                }
            }
            Case::Mutated(index) => {
                let file = mutated(seed, index);
                Content {
                    description: format!("{} with {}", file.format, file.damage.join(", ")),
                    bytes: file.bytes,
                    group: file.format,
                    expected: Expected::Harmless,
                }
            }
        })
    }
}

impl fmt::Display for Case {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Case::HandMade(at) => write!(out, "hand:{at}"),
            Case::Mutated(index) => write!(out, "{index}"),
        }
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Case, String> {
        let parsed = match text.strip_prefix("hand:") {
            Some(at) => at.parse().map(Case::HandMade),
            None => text.parse().map(Case::Mutated),
        };
        parsed.map_err(|_| format!("expected a number, or `hand:` and a number; got `{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_read_as_it_is_written() {
        for case in [Case::HandMade(3), Case::Mutated(49_999)] {
            assert_eq!(case.to_string().parse(), Ok(case));
        }
        assert!("hand:".parse::<Case>().is_err() && "x".parse::<Case>().is_err());
    }

    #[test]
    fn a_run_has_each_file_once() {
        let all: Vec<Case> = cases(10, None).collect();
        assert_eq!(all.len(), hand_made().len() + 10);
        assert_eq!(cases(10, Some(Drill::Panic)).count(), 10);
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
