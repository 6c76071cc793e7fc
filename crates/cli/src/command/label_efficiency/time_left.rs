//! The time that a study still takes.

use std::time::Duration;

/// The fine-tunings of a call, and their time.
#[derive(Default)]
pub struct TimeLeft {
    trained: u32,
    took: Duration,
}

impl TimeLeft {
    /// Records a fine-tuning that was trained.
    pub fn took(&mut self, time: Duration) {
        self.trained += 1;
        self.took += time;
    }

    /// A note for `left` more fine-tunings, each of which is expected to take the mean of those so far; empty where there is no
    /// mean, or none is left.
    pub fn after(&self, left: usize) -> String {
        if self.trained == 0 || left == 0 {
            return String::new();
        }
        let minutes = self.took.as_secs_f64() / f64::from(self.trained) * left as f64 / 60.0;
        format!(", about {minutes:.1} min of fine-tuning left")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_left_take_the_mean_of_those_that_were_trained() {
        let mut time_left = TimeLeft::default();
        assert_eq!(time_left.after(3), "");
        time_left.took(Duration::from_secs(60));
        time_left.took(Duration::from_secs(120));
        assert_eq!(time_left.after(3), ", about 4.5 min of fine-tuning left");
        assert_eq!(time_left.after(0), "");
    }
}
