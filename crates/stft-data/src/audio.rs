/// One channel of sound in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// Samples, full scale at ±1. Float files may go beyond; nothing here clips them.
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
