//! Peak and clipping of each channel of a sound, before the channels are mixed.

/// Smallest magnitude that counts as full scale: the largest positive value of 16-bit audio.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;

/// Shortest run of samples at full scale that counts as clipping. A peak that was normalised to full
/// scale reaches it for one or two samples.
const CLIPPED_RUN: usize = 3;

/// Peak and clipping of one channel, updated sample by sample.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelLevel {
    peak: f32,
    clipped_samples: usize,
    /// Length of the current run of samples of one sign at full scale.
    run: usize,
    run_is_positive: bool,
}

impl ChannelLevel {
    /// Adds samples, none of which is NaN.
    pub(crate) fn extend(&mut self, samples: &[f32]) {
        let peak = largest_magnitude(samples);
        // Most packets have no sample at full scale, so their runs need not be counted.
        if peak >= FULL_SCALE {
            samples.iter().for_each(|&sample| self.push(sample));
        } else if !samples.is_empty() {
            self.peak = self.peak.max(peak);
            self.run = 0;
        }
    }

    fn push(&mut self, sample: f32) {
        self.peak = self.peak.max(sample.abs());
        if sample.abs() < FULL_SCALE {
            self.run = 0;
            return;
        }
        if self.run > 0 && self.run_is_positive != sample.is_sign_positive() {
            self.run = 0;
        }
        self.run_is_positive = sample.is_sign_positive();
        self.run += 1;
        // A run counts from its first sample, but only once it is long enough.
        if self.run == CLIPPED_RUN {
            self.clipped_samples += CLIPPED_RUN;
        } else if self.run > CLIPPED_RUN {
            self.clipped_samples += 1;
        }
    }

    /// Largest magnitude.
    pub(crate) fn peak(&self) -> f32 {
        self.peak
    }

    /// Number of samples in runs of three or more of one sign at full scale.
    pub(crate) fn clipped_samples(&self) -> usize {
        self.clipped_samples
    }
}

/// Keeps 16 maxima in parallel, so that the loop can be vectorised.
fn largest_magnitude(samples: &[f32]) -> f32 {
    let (blocks, rest) = samples.as_chunks::<16>();
    let mut largest = [0.0_f32; 16];
    for block in blocks {
        for (largest, sample) in largest.iter_mut().zip(block) {
            let magnitude = sample.abs();
            *largest = if magnitude > *largest {
                magnitude
            } else {
                *largest
            };
        }
    }
    let rest = rest.iter().map(|sample| sample.abs());
    largest.into_iter().chain(rest).fold(0.0, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn level(samples: &[f32]) -> ChannelLevel {
        let mut level = ChannelLevel::default();
        samples.iter().for_each(|&sample| level.push(sample));
        level
    }

    proptest! {
        #[test]
        fn packets_of_any_length_give_the_levels_of_single_samples(
            samples in prop::collection::vec(prop_oneof![Just(1.0_f32), Just(-1.0), -0.9_f32..0.9], 0..200),
            length in 1_usize..50,
        ) {
            let mut packets = ChannelLevel::default();
            samples.chunks(length).for_each(|packet| packets.extend(packet));
            let singles = level(&samples);
            prop_assert_eq!(packets.peak(), singles.peak());
            prop_assert_eq!(packets.clipped_samples(), singles.clipped_samples());
        }
    }

    #[test]
    fn clipping_is_three_samples_in_a_row_of_one_sign_at_full_scale() {
        let top = FULL_SCALE;
        let clipped = |samples: &[f32]| level(samples).clipped_samples();
        assert_eq!(clipped(&[0.5, top, 1.0, 0.5, -1.0, -1.0, 0.0]), 0);
        assert_eq!(clipped(&[1.0, -1.0, 1.0, -1.0]), 0);
        assert_eq!(clipped(&[0.999, 0.999, 0.999, 0.999]), 0);
        assert_eq!(clipped(&[0.1, top, 1.0, top, 0.1]), 3);
        assert_eq!(clipped(&[-1.0, -1.0, -1.0, -2.0, 1.0, 1.0, 1.0]), 7);
        assert_eq!(clipped(&[]), 0);
    }

    #[test]
    fn the_peak_is_the_largest_magnitude() {
        assert_eq!(level(&[0.25, -0.75, 0.5]).peak(), 0.75);
        assert_eq!(level(&[]).peak(), 0.0);
    }
}
