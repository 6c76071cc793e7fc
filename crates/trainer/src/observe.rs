//! What the loop tells the outside world, and the writers that keep it.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stft_data::{Dataset, EVALUATION_EPOCH, Spectrogram, SpectrogramBatch, expm1};

use crate::error::TrainerError;
use crate::picture::{Axes, Canvas, Panel, draw_panels};
use crate::tensorboard::TensorBoard;

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
    /// The validation examples were scored.
    Validated {
        /// Steps done.
        step: u64,
        /// Means over the examples by their tag, such as `valid/loss`.
        scalars: &'a [(String, f32)],
        /// True where the loss is the lowest so far.
        best: bool,
        /// A few examples to look at and listen to.
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
            Self::Started { .. } | Self::Stepped { .. } => None,
        }
    }
}

/// Something that follows a training run.
pub trait Observer {
    /// Takes note of `event`.
    ///
    /// # Errors
    /// What is to be kept can't be written; this stops the run.
    fn observe(&mut self, event: &Event) -> Result<(), TrainerError>;
}

/// An example with its reconstruction.
#[derive(Clone, Debug)]
pub struct Illustration {
    /// The example's name in its source.
    pub name: String,
    /// Normalised input, `[bins, frames]`.
    pub input: Spectrogram,
    /// True where the model didn't see the input.
    pub hidden: Vec<bool>,
    /// Normalised output of the model.
    pub reconstruction: Spectrogram,
    /// Frames that are no padding.
    pub valid_frames: usize,
    /// What the axes mean.
    pub axes: Axes,
    /// The sound itself, mono.
    pub sound: Vec<f32>,
    /// The reconstruction with the phase of the input.
    pub reconstructed_sound: Vec<f32>,
    /// Sampling rate of both sounds.
    pub sample_rate_hz: u32,
}

impl Illustration {
    /// Puts together the one example in `batch` and its `reconstruction`.
    ///
    /// # Errors
    /// The example's sound can't be read again.
    pub(crate) fn new(
        dataset: &Dataset,
        batch: SpectrogramBatch,
        reconstruction: Spectrogram,
    ) -> Result<Self, TrainerError> {
        let index = batch.indices[0];
        let clip = dataset.clip(index, EVALUATION_EPOCH)?;
        let stft = dataset.stft();
        let normalization = dataset.normalization();
        let magnitudes = Spectrogram {
            values: reconstruction
                .values
                .iter()
                .map(|value| expm1(normalization.invert(*value)).max(0.0))
                .collect(),
            ..reconstruction
        };
        let phases = stft.forward(&clip.samples);
        let mut reconstructed_sound = stft.inverse(
            &stft.with_magnitude(&phases, &magnitudes),
            clip.samples.len(),
        );
        reconstructed_sound.truncate(clip.valid_samples);
        let mut sound = clip.samples;
        sound.truncate(clip.valid_samples);
        let (bins, frames) = (reconstruction.bins, reconstruction.frames);
        let config = dataset.config();
        let rate = config.clip.sample_rate_hz;
        Ok(Self {
            name: dataset.source().name(index),
            input: Spectrogram {
                values: batch.values,
                bins,
                frames,
            },
            hidden: batch.hidden,
            reconstruction,
            valid_frames: batch.valid_frames[0],
            axes: Axes {
                max_hz: rate as f32 * (bins - 1) as f32 / config.stft.n_fft as f32,
                max_s: ((frames - 1) * config.stft.hop_length) as f32 / rate as f32,
            },
            sound,
            reconstructed_sound,
            sample_rate_hz: rate,
        })
    }

    /// Input, what of it is visible, reconstruction and error, side by side.
    pub fn panels(&self) -> Vec<Panel> {
        let valid = |at: usize| at % self.input.frames < self.valid_frames;
        let shown = self.input.values.iter().enumerate();
        let range = shown.filter(|(at, _)| valid(*at)).fold(
            (f32::INFINITY, f32::NEG_INFINITY),
            |(low, high), (_, value)| (low.min(*value), high.max(*value)),
        );
        let panel = |title: &str, range, value: &dyn Fn(usize) -> Option<f32>| Panel {
            title: title.into(),
            values: (0..self.input.values.len())
                .map(|at| valid(at).then(|| value(at)).flatten())
                .collect(),
            bins: self.input.bins,
            frames: self.input.frames,
            range,
        };
        let input = &self.input.values;
        let output = &self.reconstruction.values;
        vec![
            panel(&format!("input: {}", self.name), range, &|at| {
                Some(input[at])
            }),
            panel("mask (hidden is grey)", range, &|at| {
                (!self.hidden[at]).then_some(input[at])
            }),
            panel("reconstruction", range, &|at| Some(output[at])),
            panel("absolute error", (0.0, range.1 - range.0), &|at| {
                Some((output[at] - input[at]).abs())
            }),
        ]
    }

    /// One row of [`panels`](Self::panels) for each of `illustrations`, on one canvas.
    pub fn draw(illustrations: &[Self]) -> Option<Canvas> {
        let rows: Vec<_> = illustrations.iter().map(Self::panels).collect();
        illustrations
            .first()
            .map(|first| draw_panels(&rows, first.axes))
    }
}

/// Appends every number to `metrics.jsonl`: one object a line, with `step`, `tag` and `value`.
pub struct MetricsFile {
    file: File,
    path: PathBuf,
}

/// A line of `metrics.jsonl`.
#[derive(Serialize, Deserialize)]
struct Metric<'a> {
    step: u64,
    tag: &'a str,
    value: f32,
}

impl MetricsFile {
    /// Opens `path` at its end, and creates it if it isn't there. Where training goes on after step `from`,
    /// what was written of later steps, which are done again, is taken out first.
    ///
    /// # Errors
    /// The file can't be opened, or holds something else.
    pub fn open(path: &Path, from: Option<u64>) -> Result<Self, TrainerError> {
        if let (Some(from), true) = (from, path.exists()) {
            let text = std::fs::read_to_string(path).map_err(TrainerError::read(path))?;
            let kept = text.lines().filter(|line| {
                // The last line may have been cut off by the end of the process.
                let metric = serde_json::from_str::<Metric>(line);
                metric.is_ok_and(|metric| metric.step <= from)
            });
            let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
            std::fs::write(path, kept).map_err(TrainerError::write(path))?;
        }
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
            let value = *value;
            let line = serde_json::to_string(&Metric { step, tag, value });
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
        let Some((step, scalars)) = event.scalars() else {
            return Ok(());
        };
        for (tag, value) in scalars {
            self.scalar(tag, step, *value)?;
        }
        let Event::Validated { illustrations, .. } = event else {
            return Ok(());
        };
        for (place, illustration) in illustrations.iter().enumerate() {
            let names = ["input", "mask", "reconstruction", "error"];
            for (name, panel) in names.into_iter().zip(illustration.panels()) {
                let canvas = draw_panels(&[vec![panel]], illustration.axes);
                let tag = format!("valid/{place}/{name}");
                self.image(&tag, step, canvas.size(), canvas.to_png())?;
            }
            let rate = illustration.sample_rate_hz;
            let sounds = [
                ("input", &illustration.sound),
                ("reconstruction", &illustration.reconstructed_sound),
            ];
            for (name, sound) in sounds {
                self.audio(&format!("valid/{place}/{name}"), step, sound, rate)?;
            }
        }
        Ok(())
    }
}
