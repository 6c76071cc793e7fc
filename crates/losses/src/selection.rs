//! Weights of 0 and 1 that select the elements of a spectrogram batch that a loss compares.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// Weights that select every bin of every valid frame: 1 in the clip, 0 in the padding after it.
///
/// `valid_frames[b]` is the number of frames that clip `b` fills, counted from the left.
///
/// # Shapes
/// - output: `[batch, bins, frames]`
///
/// # Panics
/// If `valid_frames` doesn't have one entry per item, or an entry exceeds the number of frames.
pub fn valid_weights(
    [batch, bins, frames]: [usize; 3],
    valid_frames: &[usize],
    device: &Device,
) -> Tensor<3> {
    valid_in_frames([batch, bins, frames], valid_frames, device).float()
}

/// Weights that select the hidden bins of the valid frames, which a masked autoencoder has to predict.
///
/// He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, section 3
/// ("Reconstruction target"): the loss is computed on masked patches only.
///
/// # Shapes
/// - hidden: `[batch, bins, frames]`, true = hidden
/// - output: `[batch, bins, frames]`
///
/// # Panics
/// As [`valid_weights`].
pub fn hidden_weights(hidden: Tensor<3, Bool>, valid_frames: &[usize]) -> Tensor<3> {
    let valid = valid_in_frames(hidden.dims(), valid_frames, &hidden.device());
    hidden.bool_and(valid).float()
}

/// True before each item's end, false in the padding after it: `[batch, positions]`.
///
/// `ends` has one entry for each item, none above `positions`.
pub(crate) fn before_end(
    [batch, positions]: [usize; 2],
    ends: &[usize],
    device: &Device,
) -> Tensor<2, Bool> {
    let ends: Vec<i64> = ends.iter().map(|&end| end as i64).collect();
    let ends = Tensor::<2, Int>::from_data(TensorData::new(ends, [batch, 1]), device);
    let position = Tensor::<1, Int>::arange(0..positions as i64, device).reshape([1, positions]);
    position
        .expand([batch, positions])
        .lower(ends.expand([batch, positions]))
}

fn valid_in_frames(
    [batch, bins, frames]: [usize; 3],
    valid_frames: &[usize],
    device: &Device,
) -> Tensor<3, Bool> {
    assert_eq!(
        valid_frames.len(),
        batch,
        "valid_frames needs one entry for each of the {batch} items of the batch, got {}",
        valid_frames.len()
    );
    if let Some(longest) = valid_frames.iter().max() {
        assert!(
            *longest <= frames,
            "a clip can have at most the {frames} frames of its batch, got {longest} valid frames"
        );
    }
    before_end([batch, frames], valid_frames, device)
        .reshape([batch, 1, frames])
        .expand([batch, bins, frames])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(weights: Tensor<3>) -> Vec<f32> {
        weights.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn valid_weights_end_where_the_clip_ends() {
        let weights = valid_weights([3, 2, 4], &[4, 0, 3], &Device::flex());
        assert_eq!(
            values(weights),
            [
                1., 1., 1., 1., 1., 1., 1., 1., //
                0., 0., 0., 0., 0., 0., 0., 0., //
                1., 1., 1., 0., 1., 1., 1., 0.,
            ]
        );
    }

    #[test]
    fn hidden_weights_are_the_hidden_bins_of_the_clip() {
        let device = Device::flex();
        let hidden =
            Tensor::<3, Bool>::from_data([[[true, false, true], [false, true, true]]], &device);
        let weights = hidden_weights(hidden.clone(), &[2]);
        assert_eq!(values(weights), [1., 0., 0., 0., 1., 0.]);
        let everything_hidden = hidden_weights(hidden.clone().bool_or(hidden.bool_not()), &[2]);
        assert_eq!(
            values(everything_hidden),
            values(valid_weights([1, 2, 3], &[2], &device))
        );
    }

    #[test]
    #[should_panic(expected = "at most the 4 frames of its batch, got 5")]
    fn more_valid_frames_than_frames_are_refused() {
        valid_weights([2, 3, 4], &[1, 5], &Device::flex());
    }

    #[test]
    #[should_panic(expected = "one entry for each of the 2 items of the batch, got 1")]
    fn a_length_for_every_item_is_needed() {
        valid_weights([2, 3, 4], &[1], &Device::flex());
    }
}
