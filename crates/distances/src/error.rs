//! Errors of a comparison.

use stft_data::MAX_SAMPLE;

/// An error that prevents a comparison of two sounds.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum DistanceError {
    /// The panel can't be planned for this sample rate.
    #[error(
        "the distances are defined for sample rates from {min_hz} to {max_hz} Hz, got {got_hz} Hz; \
         resample both sounds (stft_data::resample)"
    )]
    UnsupportedRate {
        /// The given sample rate.
        got_hz: u32,
        /// Lowest rate at which every mel filter of the panel contains a frequency bin.
        min_hz: u32,
        /// Highest rate whose transforms can be planned.
        max_hz: u32,
    },
    /// The sample rate of a sound differs from that of the comparison.
    #[error(
        "the {sound} has {got_hz} Hz, but it is compared at {expected_hz} Hz; resample it \
         (stft_data::resample)"
    )]
    SampleRate {
        /// `target` or `estimate`.
        sound: &'static str,
        /// Rate of the panel; without a panel, the target's.
        expected_hz: u32,
        /// Rate of this sound.
        got_hz: u32,
    },
    /// A sound has no samples.
    #[error("the {sound} has no samples; a silent sound is one of zeros")]
    Empty {
        /// `target` or `estimate`.
        sound: &'static str,
    },
    /// A sample is not finite, or beyond [`MAX_SAMPLE`].
    #[error(
        "sample {at_sample} of the {sound} is {value:e}; every sample must be from -{MAX_SAMPLE:e} \
         to {MAX_SAMPLE:e}"
    )]
    ImpossibleSample {
        /// `target` or `estimate`.
        sound: &'static str,
        /// Index of the first such sample.
        at_sample: usize,
        /// Its value.
        value: f32,
    },
}
