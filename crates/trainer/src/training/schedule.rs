//! The learning rate of a step: linear warm-up, then a half cosine down to a floor.

use serde::{Deserialize, Serialize};

/// Linear warm-up followed by cosine decay (Loshchilov & Hutter 2017, §3, without restarts).
///
/// A pure function of the step: nothing to save, nothing to restore, and it stays at
/// `min_lr` after its end.
///
/// ```text
/// lr(k) = min                                                    k ≥ steps
/// lr(k) = peak · (k + 1) / warmup                                k < warmup
/// lr(k) = min + (peak − min) · ½(1 + cos(π · (k − warmup) / (steps − warmup)))   else
/// ```
///
/// A warm-up that is longer than the run never reaches the peak.
///
/// ```
/// use trainer::LrSchedule;
///
/// let schedule = LrSchedule { peak_lr: 3e-4, min_lr: 1e-6, warmup_steps: 10, steps: 100 };
/// assert_eq!(schedule.at(9), 3e-4);
/// assert_eq!(schedule.at(100), 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LrSchedule {
    /// Learning rate at the end of the warm-up.
    pub peak_lr: f64,
    /// Learning rate at the end of the decay, and after it.
    pub min_lr: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Steps in all, the warm-up included.
    pub steps: u64,
}

impl LrSchedule {
    /// Learning rate of the zero-based `step`.
    pub fn at(&self, step: u64) -> f64 {
        if step >= self.steps {
            return self.min_lr;
        }
        if step < self.warmup_steps {
            return self.peak_lr * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let progress = (step - self.warmup_steps) as f64 / (self.steps - self.warmup_steps) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        self.min_lr + (self.peak_lr - self.min_lr) * cosine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule(warmup_steps: u64, steps: u64) -> LrSchedule {
        LrSchedule {
            peak_lr: 3e-4,
            min_lr: 1e-6,
            warmup_steps,
            steps,
        }
    }

    #[test]
    fn warm_up_starts_above_zero_and_ends_at_the_peak() {
        let s = schedule(4, 20);
        assert!(s.at(0) > 0.0);
        assert_eq!(s.at(3), s.peak_lr);
        assert_eq!(s.at(4), s.peak_lr);
    }

    #[test]
    fn halfway_through_the_decay_is_the_midpoint() {
        let s = schedule(10, 110);
        assert!((s.at(60) - 0.5 * (s.peak_lr + s.min_lr)).abs() < 1e-12);
    }

    #[test]
    fn it_does_not_rise_after_its_end() {
        for warmup in [0, 3, 30, 100] {
            let s = schedule(warmup, 30);
            for step in 30..200 {
                assert_eq!(s.at(step), s.min_lr);
            }
        }
    }

    proptest! {
        #[test]
        fn it_rises_during_warm_up_and_never_after(warmup in 0u64..50, decay in 1u64..200) {
            let s = schedule(warmup, warmup + decay);
            for step in 0..s.steps + 10 {
                let (now, next) = (s.at(step), s.at(step + 1));
                if step + 1 < warmup {
                    prop_assert!(next > now);
                } else {
                    prop_assert!(next <= now);
                }
                prop_assert!((s.min_lr..=s.peak_lr).contains(&now) || step < warmup);
            }
        }
    }
}
