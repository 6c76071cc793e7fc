/// Largest magnitude that a sample may have. Float files on the scale of 32-bit integers, with full
/// scale at 2.1e9, are accepted. Anything larger counts as damage: its squares overflow a spectrum to
/// infinity and the statistics to NaN.
pub const MAX_SAMPLE: f32 = 1e10;

/// Lowest accepted sample rate, in Hz. Such a sound holds nothing above 50 Hz, and a resampler would
/// have to plan enormous transforms for it.
pub(crate) const MIN_RATE_HZ: u32 = 100;

/// Highest accepted sample rate, in Hz: twice that of the fastest converters on sale. A header that
/// claims more would only make the resampler plan enormous transforms.
pub(crate) const MAX_RATE_HZ: u32 = 768_000;

/// One channel of sound in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// Samples, full scale at ±1. Float files may go beyond, up to [`MAX_SAMPLE`]; this crate never
    /// clips them.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub sample_rate_hz: u32,
}

impl Audio {
    /// Length in seconds.
    pub fn seconds(&self) -> f32 {
        (self.samples.len() as f64 / f64::from(self.sample_rate_hz)) as f32
    }
}
