//! Time-shift augmentation.

use burn::tensor::{Int, Tensor, TensorData};
use params::keyed_rng;
use rand::RngExt;

/// Labels the stream of [`keyed_rng`] that shifts are drawn from.
const SHIFT_STREAM: u64 = u64::from_le_bytes(*b"trnshift");

/// Moves every item in time, by up to `most` of its frames either way, drawn again in each epoch: a sound's settings don't
/// depend on when it starts. The first or the last frame fills the gap, and padding stays in place.
///
/// # Shapes
/// - spectrogram, output: `[batch, bins, frames]`
/// - valid_frames, keys: one for each item; a key is `(epoch, id)`, which with `seed` decides on the shift
pub(crate) fn time_shifted(
    spectrogram: Tensor<3>,
    valid_frames: &[usize],
    keys: &[(u64, u64)],
    seed: u64,
    most: usize,
) -> Tensor<3> {
    if most == 0 {
        return spectrogram;
    }
    let [_, _, frames] = spectrogram.dims();
    let device = spectrogram.device();
    let items = std::iter::zip(valid_frames, keys).enumerate();
    let moved = items.map(|(item, (&valid, &(epoch, id)))| {
        let most = most.min(valid - 1) as i64;
        let by = keyed_rng([seed, SHIFT_STREAM, epoch, id]).random_range(-most..=most);
        let source: Vec<i64> = (0..frames as i64)
            .map(|frame| match frame < valid as i64 {
                true => (frame - by).clamp(0, valid as i64 - 1),
                false => frame,
            })
            .collect();
        let source = Tensor::<1, Int>::from_data(TensorData::new(source, [frames]), &device);
        spectrogram.clone().narrow(0, item, 1).select(2, source)
    });
    Tensor::cat(moved.collect(), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Two bins, of which the second is the negative of the first: frame `t` of the first holds `t + 1`, padding 0.
    fn ramp(valid_frames: &[usize], frames: usize) -> Tensor<3> {
        let item = |&valid: &usize| {
            let bin = |sign: f32| {
                (0..frames).map(move |t| {
                    if t < valid {
                        sign * (t + 1) as f32
                    } else {
                        0.0
                    }
                })
            };
            bin(1.0).chain(bin(-1.0))
        };
        let values: Vec<f32> = valid_frames.iter().flat_map(item).collect();
        let shape = [valid_frames.len(), 2, frames];
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    /// By how much each item was moved; panics if it isn't a shift.
    fn shifts(moved: Tensor<3>, valid_frames: &[usize]) -> Vec<i64> {
        let [_, _, frames] = moved.dims();
        let values: Vec<f32> = moved.into_data().try_to_vec().unwrap();
        let items = values.chunks_exact(2 * frames).zip(valid_frames);
        items
            .map(|(item, &valid)| {
                let (up, down) = item.split_at(frames);
                assert!(up.iter().zip(down).all(|(up, down)| up + down == 0.0));
                assert!(up[valid..].iter().all(|&value| value == 0.0), "{up:?}");
                let expected = |by: i64| {
                    (0..valid as i64).map(move |t| (t - by).clamp(0, valid as i64 - 1) as f32 + 1.0)
                };
                let fits = |&by: &i64| expected(by).eq(up[..valid].iter().copied());
                let most = valid as i64 - 1;
                (-most..=most)
                    .find(fits)
                    .unwrap_or_else(|| panic!("{up:?} is no shift"))
            })
            .collect()
    }

    #[test]
    fn items_move_by_no_more_than_that_and_padding_stays() {
        let valid = [20, 20, 9, 1];
        let mut seen = std::collections::BTreeSet::new();
        for epoch in 0..60 {
            let keys = [(epoch, 7), (epoch, 8), (epoch, 9), (epoch, 10)];
            let moved = time_shifted(ramp(&valid, 20), &valid, &keys, 5, 3);
            let shifts = shifts(moved, &valid);
            assert!(shifts.iter().all(|by| (-3..=3).contains(by)), "{shifts:?}");
            assert_eq!(shifts[3], 0, "a single frame can't move");
            seen.extend(shifts);
        }
        assert_eq!(seen.len(), 7);
    }

    #[test]
    fn the_seed_and_the_key_decide_alone() {
        let of = |seed, keys: &[(u64, u64)]| {
            let valid = vec![20; keys.len()];
            shifts(
                time_shifted(ramp(&valid, 20), &valid, keys, seed, 9),
                &valid,
            )
        };
        let [one, two, three] = of(0, &[(0, 1), (0, 2), (1, 1)])[..] else {
            panic!("three items")
        };
        assert_eq!(of(0, &[(1, 1), (0, 1), (0, 2)]), [three, one, two]);
        let many: Vec<_> = (0..20).map(|id| (0, id)).collect();
        assert_ne!(of(0, &many), of(1, &many));
    }

    #[test]
    fn by_nothing_moves_nothing() {
        let x = ramp(&[5], 5);
        let moved = time_shifted(x.clone(), &[5], &[(0, 0)], 3, 0);
        assert_eq!(moved.into_data(), x.into_data());
    }
}
