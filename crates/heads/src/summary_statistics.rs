//! Summary statistics of a spectrogram over time, without learned weights.

use burn::tensor::Tensor;

use crate::pooling::{FeatureMap, Pooling};

/// Segments of the clip with a mean each.
const SEGMENTS: usize = 8;

/// Statistics over time of every bin: its mean in each of eight segments of the clip, its deviation, and mean
/// and deviation of its rises and of its falls from frame to frame.
///
/// ```text
/// rise_t = max(x_t - x_{t-1}, 0)      fall_t = max(x_{t-1} - x_t, 0)      0 at the first frame
/// output = [means and deviation of x, mean and deviation of rise, of fall]         by Pooling
/// ```
///
/// Means and deviation describe the partials and their decay; rises and falls distinguish a saw from its
/// mirror image. Padded frames are ignored.
///
/// # Shapes
/// - loudness: `[batch, bins, frames]`
/// - valid_frames: number of frames of each item without padding; at least one
/// - output: `[batch, features]`, with the sum of [`summary_statistics_parts`] as features
///
/// # Panics
/// If `valid_frames` doesn't fit the items.
pub fn summary_statistics(loudness: Tensor<3>, valid_frames: &[usize]) -> Tensor<2> {
    let [_, _, frames] = loudness.dims();
    let change = match frames {
        1 => loudness.zeros_like(),
        _ => {
            let first = loudness.clone().narrow(2, 0, 1);
            let earlier = loudness.clone().narrow(2, 0, frames - 1);
            loudness.clone() - Tensor::cat(vec![first, earlier], 2)
        }
    };
    let map = |values| FeatureMap {
        values,
        valid_frames: valid_frames.to_vec(),
    };
    let levels = Pooling { segments: SEGMENTS }.forward(&[map(loudness)]);
    let rises = map(change.clone().clamp_min(0.0));
    let falls = map(change.neg().clamp_min(0.0));
    let changes = Pooling { segments: 1 }.forward(&[rises, falls]);
    Tensor::cat(vec![levels, changes], 1)
}

/// Numbers of features of [`summary_statistics`] for spectrograms of `bins` bins: means of segments, deviations,
/// and statistics of rises and falls, in this order.
pub fn summary_statistics_parts(bins: usize) -> [usize; 3] {
    [SEGMENTS * bins, bins, 4 * bins]
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    fn statistics(values: &[f32], shape: [usize; 3], valid: &[usize]) -> Vec<f32> {
        let data = TensorData::new(values.to_vec(), shape);
        let x = Tensor::from_data(data, &Device::flex());
        let statistics = summary_statistics(x, valid);
        let parts = summary_statistics_parts(shape[1]);
        assert_eq!(statistics.dims(), [shape[0], parts.iter().sum()]);
        statistics.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_saw_and_its_mirror_image_differ_in_their_changes_alone() {
        let up: Vec<f32> = (0..32).map(|t| (t % 4) as f32).collect();
        let down: Vec<f32> = up.iter().map(|x| 3.0 - x).collect();
        let [up, down] = [up, down].map(|saw| statistics(&saw, [1, 1, 32], &[32]));
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        // Eight periods: the segments' means and the deviation are the same.
        assert!(close(&up[..9], &down[..9]), "{up:?} {down:?}");
        // The rises of one are the falls of the other: of 32 frames, 24 steps of 1 and 7 of 3.
        assert!(close(&up[9..11], &down[11..13]) && close(&up[11..13], &down[9..11]));
        assert!((up[9] - 24.0 / 32.0).abs() < 1e-5 && (up[11] - 21.0 / 32.0).abs() < 1e-5);
    }

    #[test]
    fn padding_is_ignored() {
        let frames = 20;
        let sound: Vec<f32> = (0..2 * frames).map(|i| (i * i % 17) as f32).collect();
        let padded = |filling: f32| {
            let mut sound = sound.clone();
            for row in sound.chunks_exact_mut(frames) {
                row[12..].fill(filling);
            }
            statistics(&sound, [1, 2, frames], &[12])
        };
        assert_eq!(padded(0.0), padded(99.0));
        assert_ne!(padded(0.0), statistics(&sound, [1, 2, frames], &[frames]));
    }

    #[test]
    fn a_single_frame_has_a_level_and_no_changes() {
        let statistics = statistics(&[3.0, 5.0], [1, 2, 1], &[1]);
        let sums: f32 = statistics[..16].iter().sum();
        assert_eq!(sums, 8.0);
        // Deviations are those of a constant.
        assert!(statistics[16..].iter().all(|&x| x < 0.004));
    }
}
