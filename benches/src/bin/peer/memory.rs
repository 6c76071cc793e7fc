//! The largest resident set since a moment.

use std::fs;

/// Starts counting anew: the peak becomes what is resident now. `None` where the system has no such thing;
/// it is Linux's `/proc/self/clear_refs`.
pub fn reset_peak() -> Option<u64> {
    fs::write("/proc/self/clear_refs", "5").ok()?;
    trainer::peak_rss_bytes()
}

/// What the largest resident set since [`reset_peak`] had more than `baseline`, in bytes.
pub fn peak_above(baseline: Option<u64>) -> Option<u64> {
    Some(trainer::peak_rss_bytes()?.saturating_sub(baseline?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_counts_what_was_held_since_and_given_back() {
        const BYTES: u64 = 64 << 20;
        drop(vec![1u8; 3 * BYTES as usize]);
        let baseline = reset_peak();
        let block = vec![1u8; BYTES as usize];
        assert!(block.iter().all(|&byte| byte == 1));
        drop(block);
        let peak = peak_above(baseline).unwrap();
        assert!((BYTES / 2..2 * BYTES).contains(&peak), "{peak}");
    }
}
