//! Progress for people: a bar on a terminal, a line every few seconds elsewhere.

use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use trainer::{BASELINE_TAG, Event, Observer, TrainerError};

use crate::logging::{is_json, note};

/// Seconds between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how training goes, on standard error.
pub struct Progress {
    /// The stage's place among those of the pipeline, from 0, and how many there are.
    place: usize,
    count: usize,
    bar: ProgressBar,
    plain: bool,
    loss: Option<f32>,
    valid_loss: Option<f32>,
    started: Instant,
    first_step: u64,
    last_line: Instant,
    steps: u64,
    step: u64,
}

impl Progress {
    /// A bar for the stage at `place` of `count`, that begins with the first event.
    pub fn new(place: usize, count: usize) -> Self {
        Self {
            place,
            count,
            bar: ProgressBar::hidden(),
            plain: is_json() || !std::io::stderr().is_terminal(),
            loss: None,
            valid_loss: None,
            started: Instant::now(),
            first_step: 0,
            last_line: Instant::now(),
            steps: 0,
            step: 0,
        }
    }

    fn begin(&mut self, step: u64, steps: u64) {
        self.started = Instant::now();
        self.last_line = self.started;
        self.first_step = step;
        self.steps = steps;
        self.step = step;
        if self.plain {
            return;
        }
        let template = "{prefix}{bar:32} {pos}/{len}  {rate}  ETA {eta}  {msg}";
        let style = ProgressStyle::with_template(template)
            .expect("the template is valid")
            .with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // A bar that can't be written is no reason to stop training.
                let _ = write!(out, "{:.2} it/s", state.per_sec());
            });
        self.bar = ProgressBar::new(steps);
        self.bar.set_style(style);
        self.bar.set_prefix(self.stage());
        self.bar.set_position(step);
        self.bar.reset_eta();
    }

    fn advance(&mut self, step: u64) {
        self.step = step;
        if !self.plain {
            self.bar.set_position(step);
            return;
        }
        if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let rate = 1.0 / self.seconds_per_step();
            let left = (self.steps - step) as f64 / rate;
            note!(
                "{}step {step}/{}  {rate:.2} it/s  ETA {left:.0} s  {}",
                self.stage(),
                self.steps,
                self.losses()
            );
        }
    }

    /// Which of several stages this is.
    fn stage(&self) -> String {
        match self.count {
            1 => String::new(),
            count => format!("stage {}/{count}  ", self.place + 1),
        }
    }

    fn seconds_per_step(&self) -> f64 {
        let seconds = self.started.elapsed().as_secs_f64();
        seconds.max(1e-9) / (self.step - self.first_step).max(1) as f64
    }

    fn losses(&self) -> String {
        let show = |name: &str, loss: Option<f32>| {
            loss.map_or(String::new(), |loss| format!("{name} {loss:.4}  "))
        };
        show("loss", self.loss) + &show("validation", self.valid_loss)
    }
}

impl Observer for Progress {
    fn observe(&mut self, event: &Event) -> Result<(), TrainerError> {
        match event {
            Event::Started { step, steps } => self.begin(*step, *steps),
            Event::Stepped { step } => self.advance(*step),
            Event::Logged { scalars, .. } => {
                if let Some(loss) = value(scalars, BASELINE_TAG) {
                    note!("loss to beat: {loss:.4}");
                }
                self.loss = value(scalars, "train/loss");
            }
            Event::Illustrated { .. } => {}
            Event::Validated { step, scalars, .. } => {
                self.valid_loss = value(scalars, "valid/loss");
                // A test has no steps.
                if self.plain && self.steps > 0 {
                    note!(
                        "{}step {step}/{}  {}",
                        self.stage(),
                        self.steps,
                        self.losses()
                    );
                }
            }
        }
        self.bar.set_message(self.losses());
        if matches!(event, Event::Stepped { step } if *step == self.steps) {
            self.bar.tick();
        }
        Ok(())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Not `finish`, which would show a failed run as complete.
        self.bar.abandon();
    }
}

fn value(scalars: &[(String, f32)], tag: &str) -> Option<f32> {
    scalars
        .iter()
        .find_map(|(known, value)| (known == tag).then_some(*value))
}
