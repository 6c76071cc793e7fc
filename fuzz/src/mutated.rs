use crate::draw::Draw;
use crate::generic::GENERIC;
use crate::seeds::{Seed, seeds};

/// Kinds of damage that one file gets, as often as they stand here: much damage mostly ends in an early
/// refusal, behind which little is tried out.
const STEPS: [usize; 8] = [1, 1, 1, 1, 2, 2, 3, 4];

/// A seed with one to four kinds of damage.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutated {
    /// The file.
    pub bytes: Vec<u8>,
    /// The format it was before.
    pub format: &'static str,
    /// What was done to it, in order.
    pub damage: Vec<&'static str>,
}

/// File `index` of the run with this seed: a function of the two and of nothing else. The formats take
/// turns, so any run of eight indices has each once.
pub fn mutated(seed: u64, index: u64) -> Mutated {
    let draw = &mut Draw::new(seed, index);
    let origin = &seeds()[(index % seeds().len() as u64) as usize];
    let mut file = Mutated {
        bytes: origin.bytes.clone(),
        format: origin.name,
        damage: Vec::new(),
    };
    for _ in 0..draw.pick(&STEPS) {
        damage(&mut file, origin, draw);
    }
    // A stroke of damage may find nothing to damage, or undo another.
    while file.bytes == origin.bytes {
        damage(&mut file, origin, draw);
    }
    file
}

fn damage(file: &mut Mutated, origin: &Seed, draw: &mut Draw) {
    // Damage that knows the structure reaches further in, so it is the rule.
    let knowing = !draw.one_in(5);
    let table = if knowing { origin.mutators } else { GENERIC };
    let mutator = &table[draw.below(table.len())];
    mutator.apply(&mut file.bytes, draw);
    // Wrong sizes and checksums of the whole end most readers' work before it begins.
    let fits = if knowing {
        !draw.one_in(5)
    } else {
        draw.one_in(2)
    };
    if fits {
        (origin.fit)(&mut file.bytes);
    }
    file.damage.push(mutator.name);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    #[test]
    fn the_first_files_are_what_they_have_always_been() {
        let mut hash = Sha256::new();
        for index in 0..400 {
            let file = mutated(1, index);
            hash.update((file.bytes.len() as u64).to_le_bytes());
            hash.update(&file.bytes);
        }
        let hex: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "c2212e237c081a5d5a684f5ec6007f8c8bd384a5e0850c216928b77ce65a1b35"
        );
    }

    #[test]
    fn a_file_is_a_function_of_seed_and_index() {
        for index in [0, 7, 49_999] {
            assert_eq!(mutated(1, index), mutated(1, index));
            assert_ne!(mutated(1, index).bytes, mutated(2, index).bytes);
            assert_ne!(mutated(1, index).bytes, mutated(1, index + 8).bytes);
        }
    }

    #[test]
    fn every_file_differs_from_its_seed_and_stays_small() {
        let longest = (0..2_000)
            .map(|index| {
                let file = mutated(1, index);
                let origin = &seeds()[index as usize % 8];
                assert_eq!(file.format, origin.name);
                assert_ne!(file.bytes, origin.bytes, "file {index}: {:?}", file.damage);
                assert!(!file.damage.is_empty());
                file.bytes.len()
            })
            .max();
        assert!(longest.unwrap() < 1 << 20, "{longest:?} bytes");
    }

    #[test]
    fn every_mutator_changes_something() {
        const TRIES: u64 = 100;
        let mut checked = 0;
        for origin in seeds() {
            for mutator in origin.mutators.iter().chain(GENERIC) {
                let changed = (0..TRIES)
                    .filter(|&at| {
                        let mut bytes = origin.bytes.clone();
                        mutator.apply(&mut bytes, &mut Draw::new(3, at));
                        bytes != origin.bytes
                    })
                    .count();
                assert!(
                    changed > 50,
                    "{}, {}: {changed} of {TRIES}",
                    origin.name,
                    mutator.name
                );
                checked += 1;
            }
        }
        assert!(checked > 100, "{checked}");
    }
}
