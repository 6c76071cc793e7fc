//! Random patches: patch i of a seed.

use params::{ParamKind, ParamSpec, ParamVector, Patch, keyed_rng};
use rand_chacha::rand_core::Rng;

/// Stream label of patches in [`keyed_rng`].
const DRAW: u64 = u64::from_le_bytes(*b"patch\0\0\0");

/// Patch `index` of `seed` for the voice with the parameters of `spec`. Voices with different `key` have different patches.
pub(crate) fn draw(spec: &ParamSpec, key: u64, seed: u64, index: u64) -> Patch {
    let mut rng = keyed_rng([seed, DRAW, index, key]);
    let mut vector = ParamVector::default();
    for param in spec.params() {
        let word = rng.next_u32();
        match &param.kind {
            // The 2^24 steps are exact in f32.
            ParamKind::Continuous { .. } => vector.cont.push((word >> 8) as f32 / (1 << 24) as f32),
            ParamKind::Categorical { classes } => {
                let class = (u64::from(word) * classes.len() as u64) >> 32;
                vector.cat.push(class as usize);
            }
        }
    }
    spec.decode(&vector)
        .expect("the vector follows the specification")
}

#[cfg(test)]
mod tests {
    use crate::Voice;
    use params::Patch;

    #[test]
    fn a_patch_is_the_same_whatever_was_drawn_before() {
        for voice in Voice::ALL {
            let backwards: Vec<Patch> = (0..50).rev().map(|i| voice.draw(3, i)).collect();
            for (i, patch) in backwards.iter().rev().enumerate() {
                assert_eq!(*patch, voice.draw(3, i as u64));
            }
            assert_ne!(voice.draw(3, 0), voice.draw(4, 0));
            assert_ne!(voice.draw(3, 0), voice.draw(3, 1));
        }
    }

    #[test]
    fn the_first_patches_are_pinned() {
        let patch = Voice::Subtractive.draw(0, 0);
        let values = [
            patch.cont["cutoff_hz"],
            patch.cont["attack_s"],
            patch.cont["lfo_depth"],
        ];
        assert_eq!(
            (values, patch.cat["osc1_wave"]),
            ([1214.3771, 0.244_523_35, 0.974_317_1], 2)
        );
        let patch = Voice::Fm.draw(0, 0);
        let values = [patch.cont["feedback"], patch.cont["op1_detune"]];
        assert_eq!(
            (values, patch.cat["algorithm"]),
            ([0.687_900_25, 1.259_226_9], 0)
        );
    }

    #[test]
    fn positions_are_uniform_and_classes_equally_frequent() {
        const DRAWS: usize = 4_000;
        for voice in Voice::ALL {
            let spec = voice.spec();
            let vectors: Vec<_> = (0..DRAWS as u64)
                .map(|i| spec.encode(&voice.draw(11, i)).unwrap())
                .collect();
            for (p, param) in spec.continuous().enumerate() {
                let mut quarters = [0; 4];
                for vector in &vectors {
                    quarters[((vector.cont[p] * 4.0) as usize).min(3)] += 1;
                }
                // Five standard deviations of a binomial count.
                assert!(
                    quarters.iter().all(|n: &i32| (n - 1_000).abs() < 137),
                    "{} {quarters:?}",
                    param.name
                );
            }
            for (p, count) in spec.class_counts().into_iter().enumerate() {
                for class in 0..count {
                    let n = vectors.iter().filter(|v| v.cat[p] == class).count() as f64;
                    let expected = DRAWS as f64 / count as f64;
                    assert!(
                        (n - expected).abs() < 5.0 * expected.sqrt(),
                        "{p} {class} {n}"
                    );
                }
            }
        }
    }
}
