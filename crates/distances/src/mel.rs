//! Mel filters.

use crate::transform::Grid;

/// Slope of the linear part of the scale.
const MELS_PER_HZ: f64 = 0.015;
/// The scale is logarithmic above this frequency.
const LOG_FROM_HZ: f64 = 1000.0;
const LOG_FROM_MEL: f64 = LOG_FROM_HZ * MELS_PER_HZ;

/// Triangular filters, evenly spaced in mel from 0 Hz to half the sample rate, each with the same
/// area: `librosa.filters.mel(htk=False, norm="slaney")`.
///
/// ```text
/// W[m, k] = 2 / (f[m+2] - f[m]) · max(0, min((h - f[m]) / (f[m+1] - f[m]),  (f[m+2] - h) / (f[m+2] - f[m+1])))
/// h = k · rate / n_fft,     f[0..n_mels+2] evenly spaced in mel
/// mel(hz) = 3 hz / 200                        below 1 kHz
///         = 15 + 27 ln(hz / 1000) / ln 6.4    above
/// ```
///
/// Slaney 1998, "Auditory Toolbox, version 2", `mfcc` (40 filters from 133 Hz on; here any number from 0 Hz, as in
/// librosa).
#[derive(Clone, Debug)]
pub struct MelFilterbank {
    filters: Vec<Filter>,
    bins: usize,
}

/// The bins where a filter isn't zero, which are contiguous.
#[derive(Clone, Debug)]
struct Filter {
    first_bin: usize,
    weights: Vec<f64>,
}

impl MelFilterbank {
    /// Filters for spectra of `n_fft / 2 + 1` bins.
    ///
    /// With many filters and a short transform, low filters may lie between two bins and contain none.
    /// They are zero, and [`empty`](MelFilterbank::empty) counts them.
    ///
    /// # Panics
    /// If the rate or the number of filters is 0, or `n_fft` is below 2.
    pub fn new(sample_rate_hz: u32, n_fft: usize, n_mels: usize) -> MelFilterbank {
        assert!(
            sample_rate_hz > 0 && n_fft > 1 && n_mels > 0,
            "mel filters: expected a positive rate and number and two samples or more, got \
             {sample_rate_hz} Hz, {n_mels} filters, {n_fft} samples"
        );
        let rate_hz = f64::from(sample_rate_hz);
        let top_mel = mel_from_hz(rate_hz / 2.0);
        let corners: Vec<f64> = (0..n_mels + 2)
            .map(|m| hz_from_mel(top_mel * m as f64 / (n_mels + 1) as f64))
            .collect();
        let bins = n_fft / 2 + 1;
        let filters = corners
            .windows(3)
            .map(|corners| Filter::new(corners, bins, rate_hz / n_fft as f64))
            .collect();
        MelFilterbank { filters, bins }
    }

    /// The matrix `W`, row-major `[n_mels, bins]`; applying the filters needs no such copy.
    pub fn to_dense(&self) -> Vec<f64> {
        let mut dense = vec![0.0; self.filters.len() * self.bins];
        for (filter, row) in self.filters.iter().zip(dense.chunks_exact_mut(self.bins)) {
            row[filter.first_bin..][..filter.weights.len()].copy_from_slice(&filter.weights);
        }
        dense
    }

    /// Number of filters without a bin.
    pub fn empty(&self) -> usize {
        self.filters
            .iter()
            .filter(|filter| filter.weights.is_empty())
            .count()
    }

    /// Power in each filter: `[n_mels, frames]` from `[bins, frames]`.
    pub(crate) fn apply(&self, power: &Grid) -> Grid {
        let frames = power.frames;
        assert_eq!(
            power.values.len(),
            self.bins * frames,
            "power spectrum: expected {} bins of {frames} frames, got {} values",
            self.bins,
            power.values.len()
        );
        let mut values = vec![0.0; self.filters.len() * frames];
        for (filter, sums) in self.filters.iter().zip(values.chunks_exact_mut(frames)) {
            let rows = power.values[filter.first_bin * frames..].chunks_exact(frames);
            for (weight, row) in filter.weights.iter().zip(rows) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    *sum += weight * value;
                }
            }
        }
        Grid { values, frames }
    }
}

impl Filter {
    fn new(corners_hz: &[f64], bins: usize, hz_per_bin: f64) -> Filter {
        let [low, centre, high] = [corners_hz[0], corners_hz[1], corners_hz[2]];
        let weight = |bin: usize| {
            let hz = bin as f64 * hz_per_bin;
            let triangle = ((hz - low) / (centre - low)).min((high - hz) / (high - centre));
            2.0 / (high - low) * triangle
        };
        let inside: Vec<usize> = (0..bins).filter(|&bin| weight(bin) > 0.0).collect();
        Filter {
            first_bin: inside.first().copied().unwrap_or(0),
            weights: inside.into_iter().map(weight).collect(),
        }
    }
}

fn mel_from_hz(hz: f64) -> f64 {
    if hz < LOG_FROM_HZ {
        hz * MELS_PER_HZ
    } else {
        LOG_FROM_MEL + (hz / LOG_FROM_HZ).ln() / log_step()
    }
}

fn hz_from_mel(mel: f64) -> f64 {
    if mel < LOG_FROM_MEL {
        mel / MELS_PER_HZ
    } else {
        LOG_FROM_HZ * ((mel - LOG_FROM_MEL) * log_step()).exp()
    }
}

/// 27 mels above 1 kHz lies 6.4 kHz.
fn log_step() -> f64 {
    6.4_f64.ln() / 27.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// (rate, n_fft, n_mels): odd and even transforms, few and many filters.
    const SIZES: [(u32, usize, usize); 4] = [
        (44_100, 441, 32),
        (44_100, 2_205, 128),
        (16_384, 163, 32),
        (8_000, 800, 128),
    ];

    #[test]
    fn weights_are_not_negative_and_rise_to_one_peak() {
        for (rate_hz, n_fft, n_mels) in SIZES {
            let bank = MelFilterbank::new(rate_hz, n_fft, n_mels);
            assert_eq!(bank.filters.len(), n_mels);
            assert_eq!(bank.empty(), 0, "{rate_hz} Hz, {n_fft}, {n_mels}");
            for row in bank.to_dense().chunks_exact(n_fft / 2 + 1) {
                assert!(row.iter().all(|&weight| weight >= 0.0));
                let turns = row
                    .windows(3)
                    .filter(|w| w[1] > 0.0 && w[1] < w[0] && w[1] < w[2])
                    .count();
                assert_eq!(turns, 0, "a valley inside a filter");
            }
        }
    }

    #[test]
    fn every_bin_between_the_ends_is_in_one_or_two_filters() {
        for (rate_hz, n_fft, n_mels) in SIZES {
            let bank = MelFilterbank::new(rate_hz, n_fft, n_mels);
            let bins = n_fft / 2 + 1;
            let dense = bank.to_dense();
            // 0 Hz and half the rate are the feet of the outermost triangles.
            for bin in 1..bins {
                let at_half_the_rate = 2 * bin == n_fft;
                let count = dense
                    .chunks_exact(bins)
                    .filter(|row| row[bin] > 0.0)
                    .count();
                if at_half_the_rate {
                    assert!(count <= 1);
                } else {
                    assert!((1..=2).contains(&count), "bin {bin}: {count} filters");
                }
            }
        }
    }

    #[test]
    fn without_their_norm_neighbours_sum_to_one() {
        // Between the first and the last centre the triangles are a partition of unity.
        let (rate_hz, n_fft, n_mels) = (44_100, 4_410, 64);
        let bank = MelFilterbank::new(rate_hz, n_fft, n_mels);
        let top = mel_from_hz(22_050.0);
        let corner = |m: usize| hz_from_mel(top * m as f64 / (n_mels + 1) as f64);
        let mut checked = 0;
        for bin in 0..=n_fft / 2 {
            let hz = bin as f64 * 10.0;
            if hz < corner(1) || hz > corner(n_mels) {
                continue;
            }
            let sum: f64 = (0..n_mels)
                .map(|m| {
                    let row = &bank.filters[m];
                    let weight = bin
                        .checked_sub(row.first_bin)
                        .and_then(|at| row.weights.get(at))
                        .unwrap_or(&0.0);
                    weight * (corner(m + 2) - corner(m)) / 2.0
                })
                .sum();
            assert!((sum - 1.0).abs() < 1e-9, "{hz} Hz: {sum}");
            checked += 1;
        }
        assert!(checked > 2_000, "{checked}");
    }

    #[test]
    fn applying_is_the_product_with_the_matrix() {
        let (n_mels, bins, frames) = (5, 33, 4);
        let bank = MelFilterbank::new(8_000, 64, n_mels);
        let power = Grid {
            values: (0..bins * frames).map(|n| (n % 7) as f64).collect(),
            frames,
        };
        let got = bank.apply(&power);
        let dense = bank.to_dense();
        for m in 0..n_mels {
            for t in 0..frames {
                let expected: f64 = (0..bins)
                    .map(|k| dense[m * bins + k] * power.values[k * frames + t])
                    .sum();
                assert!((got.values[m * frames + t] - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn one_kilohertz_is_fifteen_mels() {
        assert_eq!(mel_from_hz(1000.0), 15.0);
        assert!((mel_from_hz(6400.0) - 42.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn mels_and_hertz_are_inverse(hz in 0.0..400_000.0_f64) {
            prop_assert!((hz_from_mel(mel_from_hz(hz)) - hz).abs() <= 1e-9 * hz.max(1.0));
        }
    }
}
