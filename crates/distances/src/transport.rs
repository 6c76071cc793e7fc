//! Spectral optimal transport.

use crate::transform::Grid;

/// Least divisor of a frame's magnitudes. A quieter frame has a mass below 1.
const MIN_MASS: f64 = 1e-6;

/// Mean over frames of the 1-Wasserstein distance between two magnitude spectra, each scaled to sum
/// to 1. Frequencies count from 0 to 1 (half the sample rate), so the unit is a share of that range.
///
/// ```text
/// p[k, t] = |X[k, t]| / max(Σ_k |X[k, t]|, 1e-6)          q likewise
/// SOT = mean_t  1/K Σ_k | Σ_{j <= k} (p[j, t] - q[j, t]) |
/// ```
///
/// Cazelles, Robert and Tobar 2021, "The Wasserstein-Fourier distance for stationary time series"
/// (power spectra of whole signals there); Torres, Peeters and Richard 2024, "Unsupervised harmonic
/// parameter estimation using differentiable DSP and spectral optimal transport", which gives the
/// name; frames and magnitudes as in Hayes et al. 2025.
///
/// Two silent frames have a distance of 0. A silent frame has no mass to transport, and the formula compares
/// with 0: the frame counts as if all its mass were one bin above the highest, far from low sounds and near
/// high ones. The published figures include this, so it is kept. As an L1 distance of cumulative sums, the
/// result is symmetric and satisfies the triangle inequality for all frames, including silent ones.
///
/// # Shapes
/// - a, b: magnitudes, `[bins, frames]`
pub(crate) fn spectral_transport(a: &Grid, b: &Grid) -> f64 {
    assert_eq!(
        (a.values.len(), a.frames),
        (b.values.len(), b.frames),
        "grids must have one shape: (values, frames) on the left and on the right"
    );
    let frames = a.frames;
    let bins = a.values.len() / frames;
    let (mass_a, mass_b) = (masses(a), masses(b));
    let mut surplus = vec![0.0; frames];
    let mut moved = 0.0;
    for (row_a, row_b) in a.rows().zip(b.rows()) {
        for (t, (x, y)) in row_a.iter().zip(row_b).enumerate() {
            surplus[t] += x / mass_a[t] - y / mass_b[t];
            moved += surplus[t].abs();
        }
    }
    moved / (bins * frames) as f64
}

fn masses(magnitude: &Grid) -> Vec<f64> {
    let mut masses = vec![0.0; magnitude.frames];
    for row in magnitude.rows() {
        for (mass, value) in masses.iter_mut().zip(row) {
            *mass += value;
        }
    }
    masses
        .iter_mut()
        .for_each(|mass| *mass = mass.max(MIN_MASS));
    masses
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BINS: usize = 9;

    fn one_bin(bin: usize) -> Grid {
        let mut values = vec![0.0; BINS];
        values[bin] = 3.0;
        Grid { values, frames: 1 }
    }

    fn spectra() -> impl Strategy<Value = Grid> {
        prop::collection::vec(0.0..2.0_f64, BINS * 2).prop_map(|values| Grid { values, frames: 2 })
    }

    #[test]
    fn spectra_of_one_bin_are_as_far_apart_as_their_bins() {
        for from in 0..BINS {
            for to in 0..BINS {
                let expected = from.abs_diff(to) as f64 / BINS as f64;
                let got = spectral_transport(&one_bin(from), &one_bin(to));
                assert!((got - expected).abs() < 1e-12, "{from} to {to}: {got}");
            }
        }
    }

    #[test]
    fn silence_counts_as_mass_just_above_the_highest_bin() {
        let silence = Grid {
            values: vec![0.0; BINS],
            frames: 1,
        };
        assert_eq!(spectral_transport(&silence, &silence), 0.0);
        for bin in 0..BINS {
            let expected = (BINS - bin) as f64 / BINS as f64;
            let got = spectral_transport(&silence, &one_bin(bin));
            assert!((got - expected).abs() < 1e-12, "bin {bin}: {got}");
        }
    }

    #[test]
    fn half_the_mass_moved_is_half_the_distance() {
        let mut halves = one_bin(2);
        halves.values[8] = 3.0;
        let got = spectral_transport(&one_bin(2), &halves);
        assert!((got - 0.5 * 6.0 / BINS as f64).abs() < 1e-12, "{got}");
    }

    proptest! {
        #[test]
        fn it_is_a_metric(a in spectra(), b in spectra(), c in spectra()) {
            prop_assert_eq!(spectral_transport(&a, &a), 0.0);
            let (ab, ba) = (spectral_transport(&a, &b), spectral_transport(&b, &a));
            prop_assert_eq!(ab, ba);
            prop_assert!(ab <= spectral_transport(&a, &c) + spectral_transport(&c, &b) + 1e-12);
            prop_assert!((0.0..=1.0).contains(&ab));
        }

        #[test]
        fn each_frames_gain_cancels(a in spectra(), b in spectra(), gain in 0.01..100.0_f64) {
            let mut louder = a.clone();
            louder.values.iter_mut().for_each(|value| *value *= gain);
            prop_assert!((spectral_transport(&a, &b) - spectral_transport(&louder, &b)).abs() < 1e-12);
        }
    }
}
