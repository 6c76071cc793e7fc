use rayon::prelude::*;

use crate::error::DataError;
use crate::transform::normalize::{Moments, Normalization};
use crate::transform::spectrogram::Spectrogram;

/// Number of spectrograms in memory at the same time.
const EXAMPLES_PER_BLOCK: usize = 32;

/// Statistics of a training split: all that a trained model needs to know about its training data.
///
/// With them, [`Dataset::open_with`](crate::Dataset::open_with) opens the other splits without reading
/// the training sounds.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainStatistics {
    /// Mean and standard deviation of all log1p magnitudes of valid frames.
    pub normalization: Normalization,
    /// Mean log1p magnitude at each bin and frame, not normalised. Frames that no example reaches hold
    /// the mean of their bin.
    pub mean_log1p: Spectrogram,
}

impl TrainStatistics {
    /// The mean spectrogram on the scale of `normalization`.
    pub(crate) fn mean_spectrogram(&self, normalization: Normalization) -> Spectrogram {
        let mut mean = self.mean_log1p.clone();
        for value in &mut mean.values {
            *value = normalization.apply(*value);
        }
        mean
    }
}

/// Sums of log1p magnitudes in valid frames, over the examples of a training split.
#[derive(Clone, Debug)]
pub(crate) struct Statistics {
    moments: Moments,
    /// Sum over the examples, row-major `[bins, frames]`.
    sums: Vec<f64>,
    /// Number of examples whose frame `t` is valid.
    counts: Vec<u64>,
    bins: usize,
}

/// A log1p spectrogram and the number of its valid frames.
pub(crate) struct LogSpectrogram {
    pub(crate) spectrogram: Spectrogram,
    pub(crate) valid_frames: usize,
}

impl Statistics {
    /// Computes the examples in parallel and adds them up in their order, so that the result is the
    /// same to the last bit with any number of threads.
    pub(crate) fn over(
        examples: &[usize],
        [bins, frames]: [usize; 2],
        compute: impl Fn(usize) -> Result<LogSpectrogram, DataError> + Sync,
    ) -> Result<Statistics, DataError> {
        let mut statistics = Statistics {
            moments: Moments::default(),
            sums: vec![0.0; bins * frames],
            counts: vec![0; frames],
            bins,
        };
        for block in examples.chunks(EXAMPLES_PER_BLOCK) {
            let computed: Vec<_> = block
                .par_iter()
                .map(|&index| compute(index).map(|example| (example_moments(&example), example)))
                .collect::<Result<_, _>>()?;
            for (moments, example) in &computed {
                statistics.moments = statistics.moments.merge(*moments);
                statistics.add(example);
            }
        }
        Ok(statistics)
    }

    fn add(
        &mut self,
        LogSpectrogram {
            spectrogram,
            valid_frames,
        }: &LogSpectrogram,
    ) {
        let frames = self.counts.len();
        for (sums, row) in self
            .sums
            .chunks_exact_mut(frames)
            .zip(spectrogram.values.chunks_exact(frames))
        {
            for (sum, &value) in sums.iter_mut().zip(row).take(*valid_frames) {
                *sum += f64::from(value);
            }
        }
        for count in &mut self.counts[..*valid_frames] {
            *count += 1;
        }
    }

    /// The statistics; none if all values are the same.
    pub(crate) fn finish(&self) -> Option<TrainStatistics> {
        let frames = self.counts.len();
        let total = self.counts.iter().sum::<u64>() as f64;
        let mut values = Vec::with_capacity(self.sums.len());
        for sums in self.sums.chunks_exact(frames) {
            let bin_mean = sums.iter().sum::<f64>() / total;
            values.extend(sums.iter().zip(&self.counts).map(|(&sum, &count)| {
                let mean = if count > 0 {
                    sum / count as f64
                } else {
                    bin_mean
                };
                mean as f32
            }));
        }
        Some(TrainStatistics {
            normalization: self.moments.normalization()?,
            mean_log1p: Spectrogram {
                values,
                bins: self.bins,
                frames,
            },
        })
    }
}

fn example_moments(
    LogSpectrogram {
        spectrogram,
        valid_frames,
    }: &LogSpectrogram,
) -> Moments {
    let rows = spectrogram.values.chunks_exact(spectrogram.frames);
    Moments::of(rows.flat_map(|row| row[..*valid_frames].iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of such different sizes that any other order of addition rounds differently.
    fn example(index: usize) -> Result<LogSpectrogram, DataError> {
        let [bins, frames] = [3, 5];
        let values = (0..bins * frames)
            .map(|at| 1.1_f32.powi(((index * 83 + at * 29) % 307) as i32) * 1e-7)
            .collect();
        Ok(LogSpectrogram {
            spectrogram: Spectrogram {
                values,
                bins,
                frames,
            },
            valid_frames: 1 + index % frames,
        })
    }

    #[test]
    fn any_number_of_threads_gives_the_same_sums_to_the_last_bit() {
        let examples: Vec<usize> = (0..3 * EXAMPLES_PER_BLOCK + 7).collect();
        let [one, two, five] = [1, 2, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| Statistics::over(&examples, [3, 5], example).unwrap())
        });
        for other in [two, five] {
            assert_eq!(other.moments, one.moments);
            assert_eq!(other.sums, one.sums);
            assert_eq!(other.counts, one.counts);
        }
        assert_eq!(one.counts, [103, 82, 61, 40, 20]);
    }

    #[test]
    fn the_first_error_ends_the_pass() {
        let fail = |index: usize| match index {
            40 => Err(DataError::NoVariation { examples: index }),
            _ => example(index),
        };
        let examples: Vec<usize> = (0..50).collect();
        let error = Statistics::over(&examples, [3, 5], fail).unwrap_err();
        assert!(matches!(error, DataError::NoVariation { examples: 40 }));
    }
}
