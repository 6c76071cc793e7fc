//! Queries and candidate keys of a contrastive batch.

use kernels::ContrastGroup;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

/// Negatives of a query; `{ from = "batch" }`, `{ from = "clip" }` or either with `sampled = N` in a configuration
/// file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negatives {
    /// The tokens that they are taken from.
    pub from: NegativeSource,
    /// How many, drawn for each query without replacement; all of them if `None`, or if there are fewer. Tokens with
    /// the query's content are drawn like others and then excluded, so a query may have fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<usize>,
}

/// The tokens that negatives are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NegativeSource {
    /// All valid tokens of the batch, hidden and visible.
    Batch,
    /// Hidden tokens of the query's own clip.
    Clip,
}

/// Masks over the tokens of a batch, item by item.
pub(crate) struct Masks<'a> {
    pub tokens: usize,
    pub hidden: &'a [bool],
    pub valid: &'a [bool],
    pub scored: &'a [bool],
}

/// Queries that share their keys. Tokens are numbered through the batch: `item * tokens + token`.
#[derive(Debug, PartialEq)]
pub(crate) struct Group {
    /// Tokens whose keys are candidates.
    pub keys: Vec<i64>,
    /// Tokens whose context vectors are queries.
    pub queries: Vec<i64>,
    /// Index in `keys` of each query's own key.
    pub own: Vec<i64>,
    /// How many negatives each query draws; all keys if `None`.
    pub sampled: Option<usize>,
}

impl Negatives {
    /// All valid tokens of the batch.
    pub const BATCH: Self = Self {
        from: NegativeSource::Batch,
        sampled: None,
    };

    /// The hidden tokens of the query's own clip.
    pub const CLIP: Self = Self {
        from: NegativeSource::Clip,
        sampled: None,
    };

    /// `count` of them, drawn for each query.
    pub const fn sampled(self, count: usize) -> Self {
        Self {
            sampled: Some(count),
            ..self
        }
    }

    /// Divides a batch into groups. Each hidden, valid and scored token is a query of one group.
    pub(crate) fn groups(&self, masks: &Masks) -> Vec<Group> {
        let all = masks.hidden.len();
        let sampled = self.sampled;
        let groups = match self.from {
            NegativeSource::Batch => {
                vec![group(masks, 0..all, sampled, |token| masks.valid[token])]
            }
            NegativeSource::Clip => {
                let is_key = |token: usize| masks.hidden[token] && masks.valid[token];
                let clips = (0..all).step_by(masks.tokens);
                clips
                    .map(|start| group(masks, start..start + masks.tokens, sampled, is_key))
                    .collect()
            }
        };
        let has_queries = |group: &Group| !group.queries.is_empty();
        groups.into_iter().filter(has_queries).collect()
    }
}

impl Group {
    /// Its numbers of queries and keys.
    pub(crate) fn sizes(&self) -> ContrastGroup {
        ContrastGroup {
            queries: self.queries.len(),
            keys: self.keys.len(),
        }
    }
}

fn group(
    masks: &Masks,
    tokens: std::ops::Range<usize>,
    sampled: Option<usize>,
    is_key: impl Fn(usize) -> bool,
) -> Group {
    let mut group = Group {
        keys: Vec::new(),
        queries: Vec::new(),
        own: Vec::new(),
        sampled,
    };
    for token in tokens.filter(|&token| is_key(token)) {
        if masks.hidden[token] && masks.scored[token] {
            group.queries.push(token as i64);
            group.own.push(group.keys.len() as i64);
        }
        group.keys.push(token as i64);
    }
    group
}

/// Draws `n` different positions of `0..keys` without `own`, or takes all if there are no more.
///
/// The draw depends on `key` alone. Floyd's algorithm (Bentley and Floyd, "A Sample of Brilliance",
/// Communications of the ACM 30(9), 1987).
pub(crate) fn draw(n: usize, keys: usize, own: usize, key: [u64; 2]) -> Vec<usize> {
    let others = keys - 1;
    // Positions after `own` move up by one, so that `own` itself is never drawn.
    let place = |other: usize| other + usize::from(other >= own);
    if n >= others {
        return (0..others).map(place).collect();
    }
    let mut rng = generator(key);
    let mut drawn = std::collections::BTreeSet::new();
    for bound in others - n..others {
        let choice = below(bound as u64 + 1, &mut rng) as usize;
        if !drawn.insert(choice) {
            drawn.insert(bound);
        }
    }
    drawn.into_iter().map(place).collect()
}

fn generator(key: [u64; 2]) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&key[0].to_le_bytes());
    bytes[8..16].copy_from_slice(&key[1].to_le_bytes());
    ChaCha8Rng::from_seed(bytes)
}

/// A number below `bound`. Its bias, `bound / 2^64`, is negligible.
fn below(bound: u64, rng: &mut ChaCha8Rng) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_of_negatives_are_refused() {
        for negatives in [
            Negatives::BATCH,
            Negatives::BATCH.sampled(3),
            Negatives::CLIP,
            Negatives::CLIP.sampled(3),
        ] {
            let text = serde_json::to_string(&negatives).unwrap();
            assert_eq!(serde_json::from_str::<Negatives>(&text).unwrap(), negatives);
        }
        for text in [
            r#"{"from":"batch","sampeld":3}"#,
            r#"{"sampled":3}"#,
            r#"{"from":"clip","sampeld":3}"#,
            r#"{"from":"set"}"#,
        ] {
            assert!(serde_json::from_str::<Negatives>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_draw_has_the_requested_number_of_different_others() {
        for (n, keys, own) in [
            (3, 10, 0),
            (3, 10, 9),
            (9, 10, 4),
            (20, 10, 4),
            (1, 2, 1),
            (5, 1, 0),
        ] {
            let drawn = draw(n, keys, own, [7, 1]);
            assert_eq!(drawn.len(), n.min(keys - 1));
            assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(drawn.iter().all(|&place| place < keys && place != own));
            assert_eq!(drawn, draw(n, keys, own, [7, 1]));
        }
    }

    #[test]
    fn every_other_key_is_drawn_equally_often() {
        let mut counts = [0; 12];
        for query in 0..6000 {
            for place in draw(4, 12, 5, [3, query]) {
                counts[place] += 1;
            }
        }
        assert_eq!(counts[5], 0);
        let expected = 6000.0 * 4.0 / 11.0;
        for (place, &count) in counts.iter().enumerate() {
            let deviation = (count as f64 - expected).abs() / expected;
            assert!(
                place == 5 || deviation < 0.06,
                "{place} was drawn {count} times"
            );
        }
    }

    #[test]
    fn a_batch_is_one_group_and_a_clip_each_is_its_own() {
        let masks = Masks {
            tokens: 3,
            hidden: &[true, false, true, true, false, true],
            valid: &[true, true, true, true, true, false],
            scored: &[true, true, false, true, true, true],
        };
        let batch = Negatives::BATCH.groups(&masks);
        let group = |keys: &[i64], queries: &[i64], own: &[i64], sampled| Group {
            keys: keys.to_vec(),
            queries: queries.to_vec(),
            own: own.to_vec(),
            sampled,
        };
        assert_eq!(batch, [group(&[0, 1, 2, 3, 4], &[0, 3], &[0, 3], None)]);
        let sampled = Negatives::BATCH.sampled(2).groups(&masks);
        assert_eq!(
            sampled,
            [group(&[0, 1, 2, 3, 4], &[0, 3], &[0, 3], Some(2))]
        );
        let clip = Negatives::CLIP.sampled(9).groups(&masks);
        let first = group(&[0, 2], &[0], &[0], Some(9));
        assert_eq!(clip, [first, group(&[3], &[3], &[0], Some(9))]);
    }

    #[test]
    fn negatives_are_written_as_a_table() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Holder {
            negatives: Negatives,
        }
        let read = |text: &str| toml::from_str::<Holder>(&format!("negatives = {text}"));
        for (text, negatives) in [
            ("{ from = 'batch' }", Negatives::BATCH),
            (
                "{ from = 'batch', sampled = 100 }",
                Negatives::BATCH.sampled(100),
            ),
            ("{ from = 'clip' }", Negatives::CLIP),
            (
                "{ from = 'clip', sampled = 100 }",
                Negatives::CLIP.sampled(100),
            ),
        ] {
            assert_eq!(read(text).unwrap().negatives, negatives);
        }
        assert!(read("{ from = 'clip', sample = 100 }").is_err());
    }
}
