//! How much memory a stage takes: measured, and estimated before it starts.

/// Largest resident set of this process so far, in bytes; `None` where the system doesn't
/// say (it is read from `/proc/self/status`, which only Linux has).
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// What a training step needs, by its parts, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Weights, their gradients, and the optimizer's two moments.
    pub weights: u64,
    /// What the forward pass keeps for the backward pass.
    pub activations: u64,
    /// Decoded sounds that are kept for the next epoch.
    pub sounds: u64,
}

impl MemoryEstimate {
    /// From counts of f32 values; `parameters` are held four times.
    pub fn new(parameters: usize, activation_elements: usize, sounds: u64) -> Self {
        let f32s = |count: usize| count as u64 * 4;
        Self {
            weights: 4 * f32s(parameters),
            activations: f32s(activation_elements),
            sounds,
        }
    }

    /// All parts together.
    pub fn total(&self) -> u64 {
        self.weights + self.activations + self.sounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_grows_with_what_is_held() {
        let before = peak_rss_bytes().unwrap();
        let block = vec![1u8; 300 << 20];
        let after = peak_rss_bytes().unwrap();
        assert!(block.iter().all(|byte| *byte == 1));
        assert!(after >= before.max(300 << 20), "{before} to {after}");
    }
}
