//! Signals `[batch, channels, frames]`.

use crate::cpu::blocks::{LEAST_SHARE, filled_in_shares};
use crate::cpu::simd::arch;
use crate::cpu::vectors::sums;
use pulp::{Simd, WithSimd};

/// A signal without gaps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signal<'a> {
    data: &'a [f32],
    pub(super) batch: usize,
    pub(super) channels: usize,
    pub(super) frames: usize,
}

impl<'a> Signal<'a> {
    pub(super) fn new(data: &'a [f32], [batch, channels, frames]: [usize; 3]) -> Self {
        assert_eq!(
            data.len(),
            batch * channels * frames,
            "values of [{batch}, {channels}, {frames}]"
        );
        Self {
            data,
            batch,
            channels,
            frames,
        }
    }

    /// All frames of the channels from `channel` on, of one example.
    pub(super) fn rows_from(&self, item: usize, channel: usize) -> &'a [f32] {
        let [start, end] = [
            (item * self.channels + channel) * self.frames,
            (item + 1) * self.channels * self.frames,
        ];
        &self.data[start..end]
    }

    /// The frames of one channel.
    pub(super) fn row(&self, item: usize, channel: usize) -> &'a [f32] {
        &self.rows_from(item, channel)[..self.frames]
    }
}

/// The sum of each channel over the batch and all frames, in the order of the examples.
pub(super) fn channel_sums(signal: Signal) -> Vec<f32> {
    let arch = arch();
    let values_each = signal.batch * signal.frames;
    filled_in_shares(
        signal.channels,
        1,
        LEAST_SHARE.div_ceil(values_each.max(1)),
        || (),
        |(), channels, sums| {
            for (channel, to) in channels.zip(sums) {
                let rows = (0..signal.batch).map(|item| signal.row(item, channel));
                *to = rows.map(|row| arch.dispatch(Sum(row))).sum::<f64>() as f32;
            }
        },
    )
}

struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let add = |[sum]: [S::f32s; 1], [x]: [S::f32s; 1]| [simd.add_f32s(sum, x)];
        let [sum] = sums(simd, [self.0], add);
        sum
    }
}

/// `to[i] = from[i step]`.
pub(super) fn copy_strided(to: &mut [f32], from: &[f32], step: usize) {
    match step {
        1 => to.copy_from_slice(&from[..to.len()]),
        // Constants, with which the compiler shuffles vectors.
        2 => copy_every::<2>(to, from),
        4 => copy_every::<4>(to, from),
        _ => {
            for (to, &from) in to.iter_mut().zip(from.iter().step_by(step)) {
                *to = from;
            }
        }
    }
}

fn copy_every<const STEP: usize>(to: &mut [f32], from: &[f32]) {
    let Some((last, to)) = to.split_last_mut() else {
        return;
    };
    *last = from[STEP * to.len()];
    for (to, group) in to.iter_mut().zip(from.chunks_exact(STEP)) {
        *to = group[0];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpu::simd::for_each_arch;

    #[test]
    fn a_sum_is_that_of_double_precision_on_any_number_of_threads() {
        // Few channels and many, short and long: frames that no vector divides, and shares of several threads.
        for shape in [
            [1, 1, 7],
            [3, 5, 33],
            [2, 3, 50_001],
            [9, 700, 44],
            [2, 4, 0],
        ] {
            let [batch, channels, frames] = shape;
            // A large mean costs a sum in f32 its last digits.
            let value = |i: usize| 3.0 + (i * 2_654_435_761 % 1000) as f32 / 1000.0;
            let data: Vec<f32> = (0..batch * channels * frames).map(value).collect();
            let signal = Signal::new(&data, shape);
            let check = |sums: &[f32]| {
                assert_eq!(sums.len(), channels);
                for (channel, &got) in sums.iter().enumerate() {
                    let rows = (0..batch).flat_map(|item| signal.row(item, channel));
                    let expected: f64 = rows.map(|&x| f64::from(x)).sum();
                    let most = 2e-7 * expected;
                    assert!(
                        (f64::from(got) - expected).abs() <= most,
                        "{got}, expected {expected}"
                    );
                }
            };
            for_each_arch(|_| check(&channel_sums(signal)));
            let [one, three] = [1, 3].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                pool.expect("a pool").install(|| channel_sums(signal))
            });
            assert_eq!(one, three);
            check(&one);
        }
    }
}
