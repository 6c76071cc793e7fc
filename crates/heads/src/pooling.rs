//! Pooling: feature maps of any length to one vector for each item.

use burn::tensor::{Tensor, TensorData};

/// Output of an encoder at one time resolution.
#[derive(Clone, Debug)]
pub struct FeatureMap {
    /// `[batch, channels, frames]`; padded frames may hold anything.
    pub values: Tensor<3>,
    /// Number of frames of each item before the padding; at least one.
    pub valid_frames: Vec<usize>,
}

/// Pools feature maps over time.
///
/// ```text
/// mean_s   mean over the valid frames t of segment s, 0 if it has none           s = 1..S
/// std      sqrt(mean over all valid frames of (x_t - mean)^2 + 1e-5)
/// output   [mean_1, ..., mean_S, std]
///
/// x_t      a channel of the map at frame t
/// segment  one of S equal parts of the map's frames, including padding: segments are aligned to a sound's start
/// ```
///
/// With one segment this is the statistics pooling of Snyder et al., "X-vectors", ICASSP 2018. More segments keep
/// the order in time, which attack and decay need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pooling {
    /// Segments of the clip with a mean each; at least one.
    pub segments: usize,
}

/// Added to the variance, so that its root has a finite gradient for a constant channel.
const EPSILON: f64 = 1e-5;

impl Pooling {
    /// Number of pooled features, for maps with these numbers of channels.
    pub fn features(&self, channels: &[usize]) -> usize {
        channels.iter().sum::<usize>() * (self.segments + 1)
    }

    /// Pools and concatenates feature maps.
    ///
    /// # Shapes
    /// - maps: of one batch, with any numbers of channels and frames
    /// - output: `[batch, features(channels)]`
    ///
    /// # Panics
    /// If there is no map or no segment, or `valid_frames` doesn't fit a map's items.
    pub fn forward(&self, maps: &[FeatureMap]) -> Tensor<2> {
        assert!(self.segments > 0, "pooling needs at least one segment");
        let pooled = maps.iter().flat_map(|map| self.pool(map)).collect();
        Tensor::cat(pooled, 1)
    }

    fn pool(&self, map: &FeatureMap) -> [Tensor<2>; 2] {
        let [batch, channels, frames] = map.values.dims();
        assert_eq!(
            map.valid_frames.len(),
            batch,
            "every item has its valid frames"
        );
        if let Some(valid) = map.valid_frames.iter().find(|&&n| n == 0 || n > frames) {
            panic!("expected 1 to {frames} valid frames, got {valid}");
        }
        // Padding may hold anything, including NaN.
        let values = match map.valid_frames.iter().all(|&valid| valid == frames) {
            true => map.values.clone(),
            false => {
                let padded = self.table(map, 1, |valid, frame, _| f32::from(frame >= valid));
                let padded = padded.greater_elem(0.5).swap_dims(1, 2);
                map.values
                    .clone()
                    .mask_fill(padded.expand([batch, channels, frames]), 0.0)
            }
        };
        let start = |segment: usize| segment * frames / self.segments;
        let weights = self.table(map, self.segments, |valid, frame, segment| {
            let (first, end) = (start(segment), start(segment + 1).min(valid));
            match (first..end).contains(&frame) {
                true => 1.0 / (end - first) as f32,
                false => 0.0,
            }
        });
        let means = values.clone().matmul(weights);
        let share = self.table(map, 1, |valid, frame, _| {
            if frame < valid {
                1.0 / valid as f32
            } else {
                0.0
            }
        });
        let mean = values.clone().matmul(share.clone());
        let variance = (values - mean).square().matmul(share);
        [
            means.reshape([batch, channels * self.segments]),
            (variance + EPSILON).sqrt().reshape([batch, channels]),
        ]
    }

    /// `[batch, frames, columns]` with the values `value(valid frames, frame, column)`.
    fn table(
        &self,
        map: &FeatureMap,
        columns: usize,
        value: impl Fn(usize, usize, usize) -> f32,
    ) -> Tensor<3> {
        let [batch, _, frames] = map.values.dims();
        let mut values = Vec::with_capacity(batch * frames * columns);
        for &valid in &map.valid_frames {
            for frame in 0..frames {
                values.extend((0..columns).map(|column| value(valid, frame, column)));
            }
        }
        let data = TensorData::new(values, [batch, frames, columns]);
        Tensor::from_data(data, &map.values.device())
    }
}
