use params::keyed_rng;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The stream of random numbers that belongs to damaged files.
const STREAM: u64 = u64::from_be_bytes(*b"fuzzfile");

/// Random choices for one damaged file.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    /// The choices for file `index` of the run with this seed.
    pub(crate) fn new(seed: u64, index: u64) -> Draw {
        Draw(keyed_rng([seed, STREAM, index, 0]))
    }

    /// A number in `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "expected a positive bound, got 0");
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// A number in `low..=high`.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.next_u64() as u8
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}
