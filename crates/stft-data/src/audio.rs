/// Largest magnitude of a sample that is believed. Float files on the scale of 32-bit integers, with
/// full scale at 2.1e9, still pass; what lies beyond is damage, and soon overflows the squares in a
/// spectrum to infinity and the statistics to NaN.
pub const MAX_SAMPLE: f32 = 1e10;

/// One channel of sound in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// Samples, full scale at ±1. Float files may go beyond, up to [`MAX_SAMPLE`]; nothing here clips
    /// them.
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
