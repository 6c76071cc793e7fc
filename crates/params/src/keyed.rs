//! Random generators by key.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// The random generator of a key, by convention `(seed, stream label, a, b)`.
///
/// The four words, in little-endian order, are the 32-byte key of ChaCha with 8 rounds (Bernstein 2008).
/// Streams of different keys are unrelated, and no stream depends on earlier draws. A stream is the same on
/// every platform.
///
/// ```
/// use rand_chacha::rand_core::Rng;
///
/// let first = params::keyed_rng([7, 1, 0, 0]).next_u64();
/// assert_eq!(first, params::keyed_rng([7, 1, 0, 0]).next_u64());
/// assert_ne!(first, params::keyed_rng([7, 2, 0, 0]).next_u64());
/// ```
pub fn keyed_rng(key: [u64; 4]) -> ChaCha8Rng {
    let mut bytes = [0_u8; 32];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(key) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::rand_core::Rng;
    use std::collections::HashSet;

    #[test]
    fn the_stream_of_a_key_is_pinned() {
        let mut rng = keyed_rng([0; 4]);
        // The first words of ChaCha8 under the zero key and zero nonce, as published in
        // draft-strombergson-chacha-test-vectors-01, TC1 (bytes 3e 00 ef 2f 89 5f 40 d6).
        assert_eq!(rng.next_u64(), 0xd640_5f89_2fef_003e);
        let mut rng = keyed_rng([1, 2, 3, 4]);
        // Made by reference/keyed_rng.py.
        let words = [rng.next_u64(), rng.next_u64()];
        assert_eq!(words, [0x10fb_f7e8_ae24_33fc, 0x5862_c07f_a87d_368e]);
    }

    #[test]
    fn every_word_of_the_key_counts_in_its_own_place() {
        let mut seen = HashSet::new();
        for place in 0..4 {
            for value in [1, 2, 1 << 32, u64::MAX] {
                let mut key = [0; 4];
                key[place] = value;
                seen.insert(keyed_rng(key).next_u64());
            }
        }
        assert_eq!(seen.len(), 16);
    }
}
