/// The periodic Hann window `w[n] = 1/2 - 1/2 cos(2πn / length)`, computed in f64.
///
/// Periodic: the sample after the last would be the first again, so that shifted copies sum to a
/// constant (Harris 1978, "On the use of windows for harmonic analysis with the DFT", section V).
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
}
