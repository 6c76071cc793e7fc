use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::DataError;
use crate::source::Fingerprint;

/// Purpose of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Models are trained on it.
    Train,
    /// Checkpoints and settings are chosen by it.
    Valid,
    /// The final model is tested on it, once.
    Test,
}

impl fmt::Display for Split {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Split::Train => "train",
            Split::Valid => "valid",
            Split::Test => "test",
        })
    }
}

/// Shares of the held-out splits. The rest is the training split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// Share of the validation split, in 0..1; 0 means none. Default: 0.1.
    pub valid: f64,
    /// Share of the test split, in 0..1; 0 means none. Default: 0.1.
    pub test: f64,
}

impl Default for SplitConfig {
    fn default() -> Self {
        SplitConfig {
            valid: 0.1,
            test: 0.1,
        }
    }
}

impl SplitConfig {
    pub(crate) fn validate(&self) -> Result<(), DataError> {
        for (field, value) in [("split.valid", self.valid), ("split.test", self.test)] {
            if !(0.0..1.0).contains(&value) {
                return Err(DataError::config(field, "from 0 to below 1", value));
            }
        }
        if self.valid + self.test >= 1.0 {
            let got = self.valid + self.test;
            return Err(DataError::config(
                "split.valid + split.test",
                "below 1, so that training has a share",
                got,
            ));
        }
        Ok(())
    }

    /// Assigns every sound to a split by its content alone.
    ///
    /// A hash of the fingerprint gives each sound a place in [0, 1): below `valid` is validation, the
    /// next `test` is test, and the rest is training. So a sound keeps its split when others are added
    /// or removed, and equal sounds are in one split. If a split with a positive share would be empty,
    /// the sounds nearest to it move: the lowest place to validation, the next to test (with at least
    /// three different sounds), the highest to training.
    ///
    /// # Errors
    /// [`DataError::TooFewSounds`] with fewer than two different sounds (one, if `valid` is 0).
    pub fn assign(&self, fingerprints: &[Fingerprint]) -> Result<Vec<Split>, DataError> {
        let mut splits: BTreeMap<(u64, Fingerprint), Split> = fingerprints
            .iter()
            .map(|&sound| ((place(sound), sound), Split::Train))
            .collect();
        let [valid_end, test_end] = self.ends(&splits)?;
        for (rank, split) in splits.values_mut().enumerate() {
            *split = match rank {
                _ if rank < valid_end => Split::Valid,
                _ if rank < test_end => Split::Test,
                _ => Split::Train,
            };
        }
        Ok(fingerprints
            .iter()
            .map(|&sound| splits[&(place(sound), sound)])
            .collect())
    }

    /// Ranks at which validation and test end, among the different sounds sorted by place.
    fn ends(&self, sounds: &BTreeMap<(u64, Fingerprint), Split>) -> Result<[usize; 2], DataError> {
        let total = sounds.len();
        let min_valid = usize::from(self.valid > 0.0);
        if total < 1 + min_valid {
            return Err(DataError::TooFewSounds {
                needed: 1 + min_valid,
                got: total,
            });
        }
        let min_test = usize::from(self.test > 0.0 && total > 1 + min_valid);
        let below = |share: f64| {
            sounds
                .keys()
                .filter(|(place, _)| (*place as f64) < share * 2_f64.powi(PLACE_BITS))
                .count()
        };
        let test_end = below(self.valid + self.test).clamp(min_valid + min_test, total - 1);
        let valid_end = below(self.valid).clamp(min_valid, test_end - min_test);
        Ok([valid_end, test_end.max(valid_end)])
    }
}

/// Bits of a place: such an integer is exact in f64.
const PLACE_BITS: i32 = 53;

/// Place of a sound in 0..2⁵³. The fingerprint is hashed again, so that the place is uniform for any
/// fingerprints and independent of the example's id.
fn place(sound: Fingerprint) -> u64 {
    let digest = Sha256::new()
        .chain_update(b"split")
        .chain_update(sound.0)
        .finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first) >> (64 - PLACE_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sounds(numbers: std::ops::Range<u64>) -> Vec<Fingerprint> {
        numbers
            .map(|n| Fingerprint(Sha256::digest(n.to_le_bytes()).into()))
            .collect()
    }

    fn count(splits: &[Split], split: Split) -> usize {
        splits.iter().filter(|&&is| is == split).count()
    }

    #[test]
    fn splits_are_pinned() {
        let config = SplitConfig {
            valid: 0.2,
            test: 0.3,
        };
        let drawn: String = config
            .assign(&sounds(0..40))
            .unwrap()
            .iter()
            .map(|split| match split {
                Split::Train => '.',
                Split::Valid => 'v',
                Split::Test => 't',
            })
            .collect();
        assert_eq!(drawn, ".tv.t...v.v.vvvvtt.t..t.tt.t.....t...t.t");
    }

    #[test]
    fn the_shares_are_met() {
        let splits = SplitConfig {
            valid: 0.1,
            test: 0.25,
        }
        .assign(&sounds(0..4000))
        .unwrap();
        assert!((count(&splits, Split::Valid) as f64 / 4000.0 - 0.1).abs() < 0.02);
        assert!((count(&splits, Split::Test) as f64 / 4000.0 - 0.25).abs() < 0.02);
    }

    proptest! {
        #[test]
        fn the_split_of_a_sound_depends_on_its_place_alone(
            valid in 0.05_f64..0.4,
            test in 0.05_f64..0.4,
            kept in prop::collection::vec(any::<bool>(), 400),
        ) {
            let config = SplitConfig { valid, test };
            let all = sounds(0..400);
            let splits = config.assign(&all).unwrap();
            let pairs = || all.iter().zip(&splits).zip(&kept).filter(|(_, kept)| **kept);
            let some: Vec<Fingerprint> = pairs().map(|((&sound, _), _)| sound).collect();
            let expected: Vec<Split> = pairs().map(|((_, &split), _)| split).collect();
            // So many sounds that no split is empty.
            prop_assume!(some.len() > 100);
            prop_assert_eq!(config.assign(&some).unwrap(), expected);
        }
    }

    #[test]
    fn a_sound_stays_in_its_split_when_others_are_added_or_removed() {
        let config = SplitConfig::default();
        let all = config.assign(&sounds(0..500)).unwrap();
        for (first, last) in [(0, 200), (100, 500), (250, 400)] {
            let some = config.assign(&sounds(first..last)).unwrap();
            assert_eq!(some, all[first as usize..last as usize]);
        }
    }

    #[test]
    fn a_larger_test_split_takes_nothing_from_validation() {
        let small = SplitConfig {
            valid: 0.1,
            test: 0.1,
        }
        .assign(&sounds(0..500))
        .unwrap();
        let large = SplitConfig {
            valid: 0.1,
            test: 0.4,
        }
        .assign(&sounds(0..500))
        .unwrap();
        for (small, large) in small.iter().zip(&large) {
            assert_eq!(*small == Split::Valid, *large == Split::Valid);
            assert!(*small != Split::Test || *large == Split::Test);
        }
    }

    #[test]
    fn equal_sounds_are_never_apart() {
        let mut twice = sounds(0..60);
        twice.extend(sounds(0..60));
        twice.extend(sounds(0..60));
        let splits = SplitConfig {
            valid: 0.3,
            test: 0.3,
        }
        .assign(&twice)
        .unwrap();
        assert_eq!(splits[..60], splits[60..120]);
        assert_eq!(splits[..60], splits[120..]);
    }

    #[test]
    fn no_wanted_split_is_empty_however_few_the_sounds() {
        for config in [
            SplitConfig::default(),
            SplitConfig {
                valid: 0.001,
                test: 0.001,
            },
            SplitConfig {
                valid: 0.5,
                test: 0.499,
            },
        ] {
            for start in 0..50 {
                for different in 2..6 {
                    let mut listed = sounds(start..start + different);
                    listed.extend(sounds(start..start + different));
                    let splits = config.assign(&listed).unwrap();
                    assert!(count(&splits, Split::Train) > 0 && count(&splits, Split::Valid) > 0);
                    assert_eq!(count(&splits, Split::Test) > 0, different > 2);
                    assert_eq!(splits[..different as usize], splits[different as usize..]);
                }
            }
        }
    }

    #[test]
    fn an_unwanted_split_is_empty() {
        let splits = SplitConfig {
            valid: 0.0,
            test: 0.0,
        }
        .assign(&sounds(0..1))
        .unwrap();
        assert_eq!(splits, [Split::Train]);
        let splits = SplitConfig {
            valid: 0.0,
            test: 0.5,
        }
        .assign(&sounds(0..100))
        .unwrap();
        assert_eq!(count(&splits, Split::Valid), 0);
        let splits = SplitConfig {
            valid: 0.5,
            test: 0.0,
        }
        .assign(&sounds(0..100))
        .unwrap();
        assert_eq!(count(&splits, Split::Test), 0);
    }

    #[test]
    fn copies_of_one_sound_cannot_be_split() {
        let same = vec![Fingerprint([7; 32]); 9];
        let error = SplitConfig::default().assign(&same).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a split needs at least 2 different sounds, but there are 1; add sounds"
        );
        assert!(SplitConfig::default().assign(&[]).is_err());
    }

    #[test]
    fn impossible_shares_are_refused() {
        for (valid, test) in [(-0.1, 0.1), (0.1, 1.0), (0.5, 0.5), (f64::NAN, 0.1)] {
            assert!(SplitConfig { valid, test }.validate().is_err());
        }
    }
}
