//! Long slices in blocks, on all threads if there is enough work.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;
use std::mem::MaybeUninit;
use std::ops::Range;

/// With fewer values than this, waking a thread takes longer than the work.
pub(crate) const LEAST_SHARE: usize = 32_768;

/// The values of a block, so that it fits into the nearest cache together with its inputs.
pub(crate) const BLOCK_VALUES: usize = 2048;

/// The values of a block of whole rows, each of `length` values.
pub(crate) fn block_of_rows(length: usize) -> usize {
    let length = length.max(1);
    length * BLOCK_VALUES.div_ceil(length)
}

/// The range in pieces of `size`, of which the last may be shorter.
pub(crate) fn tiles(
    range: Range<usize>,
    size: usize,
) -> impl ExactSizeIterator<Item = Range<usize>> {
    let end = range.end;
    range
        .step_by(size)
        .map(move |start| start..(start + size).min(end))
}

/// New values. `write` receives each of the ranges `0..block`, `block..2 * block`, ... and the memory for it,
/// which holds zeros. `state` makes the state that a thread keeps from block to block.
///
/// The thread that fills a block clears it right before, so that it is still in the cache. A vector of zeros
/// that is then overwritten would go through memory twice, which took 5 % of a Transformer's step.
pub(crate) fn filled<S>(
    length: usize,
    block: usize,
    state: impl Fn() -> S + Send + Sync,
    write: impl Fn(&mut S, Range<usize>, &mut [f32]) + Send + Sync,
) -> Vec<f32> {
    filled_in_shares(length, block, LEAST_SHARE, state, write)
}

/// As [`filled`], with another number of values that are worth a thread.
pub(crate) fn filled_in_shares<S>(
    length: usize,
    block: usize,
    least_share: usize,
    state: impl Fn() -> S + Send + Sync,
    write: impl Fn(&mut S, Range<usize>, &mut [f32]) + Send + Sync,
) -> Vec<f32> {
    assert!(block > 0, "blocks of at least one value, got 0");
    let mut values = Vec::with_capacity(length);
    let memory = &mut values.spare_capacity_mut()[..length];
    let write = |state: &mut S, (i, memory): (usize, &mut [MaybeUninit<f32>])| {
        let range = i * block..i * block + memory.len();
        write(state, range, cleared(memory));
    };
    if length < 2 * least_share {
        let mut state = state();
        let blocks = memory.chunks_mut(block).enumerate();
        blocks.for_each(|block| write(&mut state, block));
    } else {
        let blocks = memory.par_chunks_mut(block).enumerate();
        blocks
            .with_min_len(least_share.div_ceil(block))
            .for_each_init(state, write);
    }
    // SAFETY: the blocks are all of the first `length` places, and each was cleared.
    #[allow(unsafe_code)]
    unsafe {
        values.set_len(length);
    }
    values
}

/// The places, all of which hold 0 now.
fn cleared(memory: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    memory.fill(MaybeUninit::new(0.0));
    // SAFETY: every place was written in the line above.
    #[allow(unsafe_code)]
    unsafe {
        memory.assume_init_mut()
    }
}

/// Zeros for tasks that each own a part of them, cleared by all threads.
pub(crate) fn zeros(length: usize) -> Vec<f32> {
    filled(length, BLOCK_VALUES, || (), |(), _, _| {})
}

/// Calls `update` for every block of `block` values, with the block's range, its values, and its `sums_each`
/// places in `sums`.
pub(crate) fn update(
    values: &mut [f32],
    block: usize,
    sums: &mut [f32],
    sums_each: usize,
    update: &(impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync),
) {
    from(0, values, block, sums, sums_each, update);
}

/// As [`update`], for values whose first one is number `start`.
fn from(
    start: usize,
    values: &mut [f32],
    block: usize,
    sums: &mut [f32],
    sums_each: usize,
    update: &(impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync),
) {
    let half = values.len() / block / 2;
    if half * block < LEAST_SHARE {
        for (i, values) in values.chunks_mut(block).enumerate() {
            let start = start + i * block;
            let sums = &mut sums[i * sums_each..(i + 1) * sums_each];
            update(start..start + values.len(), values, sums);
        }
        return;
    }
    let (left, right) = values.split_at_mut(half * block);
    let (left_sums, right_sums) = sums.split_at_mut(half * sums_each);
    rayon::join(
        || from(start, left, block, left_sums, sums_each, update),
        || {
            from(
                start + half * block,
                right,
                block,
                right_sums,
                sums_each,
                update,
            )
        },
    );
}

/// The sum of all parts of `length` values, in the order of the parts.
pub(crate) fn total(parts: &[f32], length: usize) -> Vec<f32> {
    let mut total = vec![0.0; length];
    for part in parts.chunks_exact(length) {
        for (total, part) in total.iter_mut().zip(part) {
            *total += part;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_as_many_as_asked_for() {
        for length in [
            0,
            1,
            2 * LEAST_SHARE - 1,
            2 * LEAST_SHARE,
            3 * LEAST_SHARE + 77,
        ] {
            let zeros = zeros(length);
            assert_eq!(zeros.len(), length);
            assert!(zeros.iter().all(|&value| value == 0.0));
        }
    }

    #[test]
    #[should_panic(expected = "blocks of at least one value")]
    fn blocks_without_values_are_refused() {
        filled(7, 0, || (), |(), _, _| {});
    }

    #[test]
    fn what_is_not_written_is_zero() {
        // Memory that was used before.
        drop(vec![1.0_f32; 3 * LEAST_SHARE]);
        let values = filled(
            3 * LEAST_SHARE,
            1000,
            || (),
            |(), _, values| values[0] = 1.0,
        );
        assert!(
            values
                .iter()
                .enumerate()
                .all(|(i, &x)| x == f32::from(i % 1000 == 0))
        );
    }

    #[test]
    fn every_value_is_filled_in_whatever_the_sizes() {
        let mut checked = 0;
        for length in [0, 1, 15, 16, 17, 1000, 2 * LEAST_SHARE, 3 * LEAST_SHARE + 7] {
            for block in [1, 5, 16, 100, 345, 2048, 100_000] {
                let values = filled(
                    length,
                    block,
                    || (),
                    |(), range, memory| {
                        for (value, i) in memory.iter_mut().zip(range) {
                            *value = i as f32;
                        }
                    },
                );
                assert!(values.iter().enumerate().all(|(i, &x)| x == i as f32));
                assert_eq!(values.len(), length);
                checked += 1;
            }
        }
        assert_eq!(checked, 56);
    }

    #[test]
    fn every_block_is_updated_once_with_its_own_sums() {
        for length in [0, 1, 100, 5 * LEAST_SHARE + 3] {
            for block in [1, 7, 2048, 3 * LEAST_SHARE] {
                let mut values = vec![1.0; length];
                let mut sums = vec![0.0; length.div_ceil(block) * 2];
                update(&mut values, block, &mut sums, 2, &|range, values, sums| {
                    sums[0] += range.start as f32;
                    sums[1] += values.len() as f32;
                    values.iter_mut().for_each(|value| *value += 1.0);
                });
                assert!(values.iter().all(|&x| x == 2.0));
                for (i, sums) in sums.chunks(2).enumerate() {
                    let start = i * block;
                    let expected = [start, block.min(length - start)].map(|x| x as f32);
                    assert_eq!(sums, expected);
                }
            }
        }
    }
}
