/// Computes the periodic Hann window `w[n] = 1/2 - 1/2 cos(2πn / length)` in f64.
///
/// Periodic means that the sample after the last one would equal the first, so that shifted copies
/// sum to a constant (Harris 1978, "On the use of windows for harmonic analysis with the DFT", section
/// V).
pub(crate) fn periodic_hann(length: usize) -> Vec<f32> {
    (0..length)
        .map(|n| {
            let phase = std::f64::consts::TAU * n as f64 / length as f64;
            (0.5 - 0.5 * phase.cos()) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shifted_by_half_its_length_it_sums_to_one() {
        for length in [2, 8, 120, 600] {
            let window = periodic_hann(length);
            for n in 0..length / 2 {
                assert!(
                    (window[n] + window[n + length / 2] - 1.0).abs() < 1e-6,
                    "length {length}, n {n}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn shifted_copies_and_their_squares_sum_to_constants(copies in 3_usize..12, hop in 1_usize..200) {
            let window = periodic_hann(copies * hop);
            for n in 0..hop {
                let shifted = || window[n..].iter().step_by(hop).map(|&w| f64::from(w));
                let (sum, squares) = (shifted().sum::<f64>(), shifted().map(|w| w * w).sum::<f64>());
                prop_assert!((sum - copies as f64 / 2.0).abs() < 1e-5, "{sum}");
                prop_assert!((squares - copies as f64 * 3.0 / 8.0).abs() < 1e-5, "{squares}");
            }
        }

        #[test]
        fn it_begins_at_zero_and_is_symmetric_about_its_middle(length in 1_usize..2_000) {
            let window = periodic_hann(length);
            prop_assert_eq!(window[0], 0.0);
            for n in 1..length {
                prop_assert!((window[n] - window[length - n]).abs() < 1e-6);
                prop_assert!(window[n] > 0.0 && window[n] <= 1.0);
            }
        }
    }
}
