use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Draws a number in `0..bound` by the multiply-shift of 64 random bits. The bias is below 2⁻⁴⁰ for
/// any size that fits in memory, and the result is the same on every platform.
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: usize) -> usize {
    ((u128::from(rng.next_u64()) * bound as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use params::keyed_rng;

    #[test]
    fn numbers_below_a_bound_are_pinned() {
        let mut rng = keyed_rng([1, 2, 3, 4]);
        let drawn: Vec<usize> = (0..8).map(|_| below(&mut rng, 1000)).collect();
        assert_eq!(drawn, [66, 345, 251, 272, 237, 192, 474, 715]);
        assert_eq!(below(&mut rng, 1), 0);
    }
}
