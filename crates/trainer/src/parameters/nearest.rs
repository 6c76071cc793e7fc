//! A baseline for parameter estimates: the labels of the nearest training example.

use burn::tensor::{Device, Tensor, TensorData};
use distances::MelFilterbank;
use params::ParamVector;
use stft_data::{DataError, Dataset, EVALUATION_EPOCH, Normalization, Split};

use crate::data::magnitude::magnitude_before_padding;
use crate::error::TrainerError;
use crate::parameters::average::truths;
use crate::training::evaluation::Evaluation;

/// Mel filters.
const N_MELS: usize = 128;

/// Levels are clamped so far below the loudest of their clip.
const RANGE_DB: f32 = 80.0;

/// No level is below this power, in dB: digital silence.
const LOWEST_DB: f32 = -100.0;

/// Held-out spectrograms that are compared at once, in f32 values: 256 MiB.
const COMPARED_VALUES: usize = 1 << 26;

/// For each held-out example the parameters of the training example whose log-mel spectrogram is nearest, by the squared
/// distance over all filters and frames; the first of equals.
pub(crate) fn nearest_examples(held_out: &Evaluation) -> Result<Vec<ParamVector>, TrainerError> {
    let dataset = &held_out.dataset;
    let dataset = dataset.with_mask(dataset.config().mask.nothing_hidden())?;
    let log_mel = LogMel::new(&dataset, &held_out.device);
    let train = dataset.indices(Split::Train);
    let at_once = (COMPARED_VALUES / (N_MELS * dataset.frames())).max(1);
    let mut nearest = Vec::new();
    for asked in dataset.indices(held_out.split).chunks(at_once) {
        let asked: Result<Vec<_>, _> = asked
            .chunks(held_out.batch_size)
            .map(|indices| log_mel.rows_of(&dataset, indices))
            .collect();
        let asked = Tensor::cat(asked?, 0);
        let [n_asked, _] = asked.dims();
        let mut found = vec![(f32::INFINITY, 0); n_asked];
        for known in train.chunks(held_out.batch_size) {
            let candidates = log_mel.rows_of(&dataset, known)?;
            // |a - b|^2 without |a|^2, which is the same for all b.
            let lengths = candidates.clone().square().sum_dim(1).transpose();
            let distances = lengths - asked.clone().matmul(candidates.transpose()) * 2.0;
            let distances: Vec<f32> = distances.into_data().try_to_vec().expect("levels are f32");
            for (best, row) in found.iter_mut().zip(distances.chunks(known.len())) {
                for (&distance, &index) in row.iter().zip(known) {
                    if distance < best.0 {
                        *best = (distance, index);
                    }
                }
            }
        }
        nearest.extend(found.into_iter().map(|(_, index)| index));
    }
    Ok(truths(&dataset, &nearest))
}

/// From normalised spectrograms to levels in mel filters.
struct LogMel {
    /// `[1, filters, bins]`.
    filters: Tensor<3>,
    normalization: Normalization,
}

impl LogMel {
    fn new(dataset: &Dataset, device: &Device) -> Self {
        let config = dataset.config();
        let filters = MelFilterbank::new(config.clip.sample_rate_hz, config.stft.n_fft, N_MELS);
        let filters: Vec<f32> = filters.to_dense().iter().map(|&w| w as f32).collect();
        let data = TensorData::new(filters, [1, N_MELS, dataset.bins()]);
        Self {
            filters: Tensor::from_data(data, device),
            normalization: dataset.normalization(),
        }
    }

    /// Levels of examples, `[indices, filters * frames]`.
    fn rows_of(&self, dataset: &Dataset, indices: &[usize]) -> Result<Tensor<2>, DataError> {
        let items: Vec<_> = indices
            .iter()
            .map(|&index| (index, EVALUATION_EPOCH))
            .collect();
        let batch = dataset.batch(&items)?;
        let data = TensorData::new(batch.values, [batch.batch, batch.bins, batch.frames]);
        let spectrograms = Tensor::from_data(data, &self.filters.device());
        Ok(self.rows(spectrograms, &batch.valid_frames))
    }

    /// Levels in dB, `[batch, filters * frames]`, of normalised log1p magnitudes `[batch, bins, frames]`, with silence after
    /// the valid frames.
    fn rows(&self, spectrograms: Tensor<3>, valid_frames: &[usize]) -> Tensor<2> {
        /// dB in a natural logarithm of power.
        const DB: f32 = 10.0 / std::f32::consts::LN_10;
        let magnitude = magnitude_before_padding(spectrograms, self.normalization, valid_frames);
        let power = magnitude.square();
        let mel: Tensor<2> = self.filters.clone().matmul(power).flatten(1, 2);
        let level = mel.clamp_min((LOWEST_DB / DB).exp()).log() * DB;
        let floor = level.clone().max_dim(1) - RANGE_DB;
        level.max_pair(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_filters_power_down_to_a_floor() {
        const BINS: usize = 33;
        const FRAMES: usize = 3;
        let device = Device::flex();
        let filters = MelFilterbank::new(16_000, 2 * (BINS - 1), N_MELS).to_dense();
        let values: Vec<f32> = filters.iter().map(|&w| w as f32).collect();
        let log_mel = LogMel {
            filters: Tensor::from_data(TensorData::new(values, [1, N_MELS, BINS]), &device),
            normalization: Normalization {
                mean: 0.4,
                std: 0.7,
            },
        };
        // One clip is loud, with padding in its last frame; the other is silent throughout.
        let magnitudes: Vec<f64> = (0..2 * BINS * FRAMES)
            .map(|i| match i {
                _ if i >= BINS * FRAMES || i % FRAMES == 2 => 0.0,
                _ => (i * 37 % 101) as f64 / 4.0,
            })
            .collect();
        let normalised: Vec<f32> = magnitudes
            .iter()
            .enumerate()
            .map(|(i, magnitude)| match i {
                // What padding holds.
                _ if i < BINS * FRAMES && i % FRAMES == 2 => 0.0,
                _ => ((magnitude.ln_1p() - 0.4) / 0.7) as f32,
            })
            .collect();
        let data = TensorData::new(normalised, [2, BINS, FRAMES]);
        let got: Vec<f32> = log_mel
            .rows(Tensor::from_data(data, &device), &[2, FRAMES])
            .into_data()
            .try_to_vec()
            .unwrap();

        for clip in 0..2 {
            let level = |filter: usize, frame: usize| {
                let power: f64 = (0..BINS)
                    .map(|bin| {
                        let magnitude = magnitudes[(clip * BINS + bin) * FRAMES + frame];
                        filters[filter * BINS + bin] * magnitude * magnitude
                    })
                    .sum();
                10.0 * power.max(1e-10).log10()
            };
            let places = (0..N_MELS).flat_map(|filter| (0..FRAMES).map(move |f| (filter, f)));
            let levels: Vec<f64> = places.map(|(filter, frame)| level(filter, frame)).collect();
            let loudest = levels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let got = &got[clip * levels.len()..][..levels.len()];
            for (&got, level) in got.iter().zip(levels) {
                let expected = level.max(loudest - 80.0);
                assert!(
                    (f64::from(got) - expected).abs() < 1e-3,
                    "{got} dB, expected {expected} dB"
                );
            }
        }
    }
}
