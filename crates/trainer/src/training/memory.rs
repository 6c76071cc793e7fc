//! How much memory a stage takes: measured, and estimated before it starts.

/// Largest resident set of this process since the running stage began, or else since its own start, in bytes; `None` where the
/// system doesn't report it (it is read from `/proc/self/status`, which only Linux has).
pub fn peak_rss_bytes() -> Option<u64> {
    status_bytes("VmHWM:")
}

/// Resets the largest resident set, so that a stage isn't charged with the memory of an earlier one; false where the system
/// can't (Linux can, see proc(5), `clear_refs`), so that the peak stays that of the process.
pub(crate) fn reset_peak_rss() -> bool {
    std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Resident set of this process now, in bytes, where the system says.
pub(crate) fn rss_bytes() -> Option<u64> {
    status_bytes("VmRSS:")
}

fn status_bytes(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(key))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// What training will hold in memory at its peak, by its parts, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// The program with its data open, measured; 0 where the system doesn't say.
    pub resident: u64,
    /// Weights, their gradients, and the optimizer's two moments.
    pub weights: u64,
    /// What the forward pass keeps for the backward pass.
    pub activations: u64,
}

impl MemoryEstimate {
    /// For a model that isn't built yet, from its counts of f32 values; `parameters` are held
    /// four times.
    pub(crate) fn new(parameters: usize, activation_elements: usize) -> Self {
        let f32s = |count: usize| count as u64 * 4;
        Self {
            resident: rss_bytes().unwrap_or(0),
            weights: 4 * f32s(parameters),
            activations: f32s(activation_elements),
        }
    }

    /// All parts together.
    pub fn total(&self) -> u64 {
        self.resident + self.weights + self.activations
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
        drop(block);
        if !reset_peak_rss() {
            return;
        }
        let reset = peak_rss_bytes().unwrap();
        // Tests that run in parallel hold less than that.
        assert!(reset + (200 << 20) < after, "{after} to {reset}");
    }
}
