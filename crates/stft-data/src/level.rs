//! Levels of a sound's channels, before they are mixed.

/// Smallest magnitude that counts as full scale: the largest positive value of 16-bit audio.
const FULL_SCALE: f32 = 32_767.0 / 32_768.0;

/// Shortest run of samples at full scale that counts as clipping. A peak that was normalised to full
/// scale touches it for a sample or two.
const CLIPPED_RUN: usize = 3;

/// Follows one channel, sample by sample.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChannelLevel {
    peak: f32,
    clipped_samples: usize,
    /// Neighbours of one sign at full scale, up to now.
    run: usize,
    run_is_positive: bool,
}

impl ChannelLevel {
    pub(crate) fn push(&mut self, sample: f32) {
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

    /// Number of samples in runs of three or more neighbours of one sign at full scale.
    pub(crate) fn clipped_samples(&self) -> usize {
        self.clipped_samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(samples: &[f32]) -> ChannelLevel {
        let mut level = ChannelLevel::default();
        samples.iter().for_each(|&sample| level.push(sample));
        level
    }

    #[test]
    fn clipping_is_three_neighbours_of_one_sign_at_full_scale() {
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
