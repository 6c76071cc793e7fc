//! Events of the loop, and the writers that record them.

use std::borrow::Cow;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::TrainerError;
use crate::output::illustration::Illustration;
use crate::output::tensorboard::TensorBoard;
use crate::run::atomic_write::write_atomic;

/// A moment in training.
#[derive(Debug)]
pub enum Event<'a> {
    /// The loop begins.
    Started {
        /// Optimizer steps done before, by an earlier run of the same stage.
        step: u64,
        /// Optimizer steps in all.
        steps: u64,
    },
    /// An optimizer step is done.
    Stepped {
        /// Steps done.
        step: u64,
    },
    /// Means over the steps since the last entry.
    Logged {
        /// Steps done.
        step: u64,
        /// Numbers by their tag, such as `train/loss`.
        scalars: &'a [(String, f32)],
    },
    /// The validation examples, or those of a test, were scored.
    Validated {
        /// `valid` or `test`: what tags of pictures and sounds begin with.
        split: &'static str,
        /// Steps done.
        step: u64,
        /// Means over the examples by their tag, such as `valid/loss`.
        scalars: &'a [(String, f32)],
        /// True where the loss is the lowest so far.
        best: bool,
        /// A few examples with pictures and sounds.
        illustrations: &'a [Illustration],
    },
    /// Examples with pictures and sounds, whose numbers have been logged.
    Illustrated {
        /// What tags of pictures and sounds begin with.
        split: &'static str,
        /// Steps done.
        step: u64,
        /// The examples.
        illustrations: &'a [Illustration],
    },
}

impl Event<'_> {
    /// The step and the numbers that the event brings, if any.
    fn scalars(&self) -> Option<(u64, &[(String, f32)])> {
        match self {
            Self::Logged { step, scalars } | Self::Validated { step, scalars, .. } => {
                Some((*step, scalars))
            }
            Self::Started { .. } | Self::Stepped { .. } | Self::Illustrated { .. } => None,
        }
    }
}

/// Something that follows a training run.
pub trait Observer {
    /// Records `event`.
    ///
    /// # Errors
    /// What is to be kept can't be written; this stops the run.
    fn observe(&mut self, event: &Event) -> Result<(), TrainerError>;
}

/// Appends every number to `metrics.jsonl`: one object a line, with `step`, `tag` and `value`.
pub struct MetricsFile {
    file: File,
    path: PathBuf,
}

/// A line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric<'a> {
    /// Optimizer steps done.
    pub step: u64,
    /// What the value is, such as `train/loss`.
    #[serde(borrow)]
    pub tag: Cow<'a, str>,
    /// The number; none where it wasn't finite, which JSON can't say.
    pub value: Option<f32>,
}

impl MetricsFile {
    /// Opens `path` at its end. Where training resumes after step `from`, entries of later steps, which are repeated, are
    /// removed first, and so are those of a test; where it begins, all entries.
    ///
    /// # Errors
    /// The file can't be opened, or holds something else.
    pub fn open(path: &Path, from: Option<u64>) -> Result<Self, TrainerError> {
        let mut kept = String::new();
        if let (Some(from), true) = (from, path.exists()) {
            let text = std::fs::read_to_string(path).map_err(TrainerError::read(path))?;
            let stays = |line: &&str| {
                // The last line may have been cut off by the end of the process.
                let metric = serde_json::from_str::<Metric>(line);
                metric.is_ok_and(|metric| metric.step <= from && !metric.tag.starts_with("test/"))
            };
            let lines = text.lines().filter(stays);
            kept.extend(lines.flat_map(|line| [line, "\n"]));
        }
        write_atomic(path, kept).map_err(TrainerError::write(path))?;
        let file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .map_err(TrainerError::write(path))?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
        })
    }
}

impl Observer for MetricsFile {
    fn observe(&mut self, event: &Event) -> Result<(), TrainerError> {
        let Some((step, scalars)) = event.scalars() else {
            return Ok(());
        };
        let mut lines = String::new();
        for (tag, value) in scalars {
            let line = serde_json::to_string(&Metric {
                step,
                tag: tag.into(),
                value: Some(*value).filter(|value| value.is_finite()),
            });
            lines.push_str(&line.expect("plain fields serialise"));
            lines.push('\n');
        }
        self.file
            .write_all(lines.as_bytes())
            .map_err(TrainerError::write(&self.path))
    }
}

impl Observer for TensorBoard {
    fn observe(&mut self, event: &Event) -> Result<(), TrainerError> {
        if let Some((step, scalars)) = event.scalars() {
            for (tag, value) in scalars {
                self.scalar(tag, step, *value)?;
            }
        }
        let (Event::Validated {
            split,
            step,
            illustrations,
            ..
        }
        | Event::Illustrated {
            split,
            step,
            illustrations,
        }) = event
        else {
            return Ok(());
        };
        let step = *step;
        for (place, illustration) in illustrations.iter().enumerate() {
            for (name, canvas) in illustration.pictures() {
                let tag = format!("{split}/{place}/{name}");
                self.image(&tag, step, canvas.size(), canvas.to_png())?;
            }
            let rate = illustration.sample_rate_hz;
            for (name, sound) in illustration.sounds() {
                self.audio(&format!("{split}/{place}/{name}"), step, sound, rate)?;
            }
        }
        Ok(())
    }
}
