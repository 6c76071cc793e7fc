//! The result of a stage: `summary.json`, and the same for people.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use stft_data::MaskConfig;

use crate::error::TrainerError;
use crate::parameters::metrics::ParameterMetrics;
use crate::run::atomic_write::write_atomic;
use crate::run::json_file::read_json;
use crate::run::provenance::Provenance;
use crate::training::memory::MemoryEstimate;
use crate::training::task::Scored;

/// The result of a stage.
#[derive(Clone, Debug, PartialEq)]
pub enum StageReport {
    /// It has trained a model.
    Trained(Summary),
    /// It has tested one.
    Tested(TestSummary),
}

impl fmt::Display for StageReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trained(summary) => summary.fmt(out),
            Self::Tested(summary) => summary.fmt(out),
        }
    }
}

/// The result of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The stage's name.
    pub stage: String,
    /// The run's name.
    pub run: String,
    /// The device as the user named it.
    pub device: String,
    /// The experiment's seed.
    pub seed: u64,
    /// The weights that it was initialised from; none for new ones.
    #[serde(default)]
    pub provenance: Option<Provenance>,
    /// Optimizer steps.
    pub steps: u64,
    /// Wall-clock seconds from the first step's preparation to the picture; of a stage that was interrupted, of all calls
    /// together, each up to its last checkpoint.
    pub seconds: f64,
    /// Examples trained on.
    pub train_examples: usize,
    /// Examples validated on.
    pub valid_examples: usize,
    /// Which sounds those are, and those held out: see [`SoundSet`](crate::SoundSet).
    #[serde(default)]
    pub sounds_sha256: Option<String>,
    /// Sound files in use; 0 for the synthesizer.
    pub files_used: usize,
    /// Files that couldn't be used.
    pub files_rejected: usize,
    /// Loss on the validation examples after the last step.
    pub valid_loss: f64,
    /// Lowest such loss of the run.
    pub best_valid_loss: f64,
    /// What the model has to beat: `mean spectrogram`, `chance`.
    pub baseline: String,
    /// Its loss on the same examples and masks.
    pub baseline_loss: f64,
    /// What else was measured on the validation examples after the last step, such as `spec_l1` or
    /// `contrastive_accuracy`, and the same of the baseline, with `_baseline` behind its name.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
    /// Numbers that the model learns.
    pub parameters: usize,
    /// Largest resident set of the process while it was at this stage, where the system reports it.
    pub peak_rss_bytes: Option<u64>,
    /// Hash over the sorted names and bytes of the final weights.
    pub weights_sha256: String,
    /// How far the best model's parameters of held-out sounds are off, where it estimates any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_test: Option<ParameterMetrics>,
}

impl Summary {
    /// Reads what [`write`](Self::write) has left at `path`.
    ///
    /// # Errors
    /// There is no such file, or it holds something else.
    pub fn read(path: &Path) -> Result<Self, TrainerError> {
        read_json(path)
    }

    /// Writes the summary as one JSON object.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainerError> {
        write_json(self, path)
    }
}

impl Summary {
    /// Accuracy and chance of contrastive pretraining.
    fn contrast(&self) -> Option<(f64, f64)> {
        let measure = |name: &str| self.measures.get(name).copied();
        Some((
            measure("contrastive_accuracy")?,
            measure("contrastive_chance")?,
        ))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = |loss: f64| loss / self.baseline_loss;
        writeln!(
            out,
            "{} finished: {} steps in {:.0} s on {}",
            self.stage, self.steps, self.seconds, self.device
        )?;
        writeln!(
            out,
            "  examples          {} to train, {} to validate",
            self.train_examples, self.valid_examples
        )?;
        if let Some(provenance) = &self.provenance {
            writeln!(out, "  initialised from  {provenance}")?;
            if let Some(heads) = &provenance.heads {
                writeln!(out, "  its heads         {heads}")?;
            }
        }
        writeln!(
            out,
            "  validation loss   {:.4}, best {:.4}",
            self.valid_loss, self.best_valid_loss
        )?;
        writeln!(
            out,
            "  {:<17} {:.4}: the model's loss is {:.2} times that",
            self.baseline,
            self.baseline_loss,
            ratio(self.valid_loss)
        )?;
        if let Some((accuracy, chance)) = self.contrast() {
            writeln!(
                out,
                "  patches found     {:.1} % of the hidden ones, {:.1} times chance",
                100.0 * accuracy,
                accuracy / chance
            )?;
        }
        write!(out, "  model             {} parameters", self.parameters)?;
        if let Some(bytes) = self.peak_rss_bytes {
            write!(out, "\n  peak memory       {}", gibibytes(bytes))?;
        }
        if let Some(test) = &self.parameter_test {
            write!(out, "\n{test}")?;
        }
        Ok(())
    }
}

/// The result of a test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestSummary {
    /// The stage's name.
    pub stage: String,
    /// The run's name.
    pub run: String,
    /// The device as the user named it.
    pub device: String,
    /// The experiment's seed.
    pub seed: u64,
    /// The tested weights.
    #[serde(default)]
    pub provenance: Option<Provenance>,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Examples tested on; no other stage sees them.
    pub test_examples: usize,
    /// Which sounds they are taken from: see [`SoundSet`](crate::SoundSet).
    #[serde(default)]
    pub sounds_sha256: Option<String>,
    /// What is hidden where something is.
    pub mask: MaskConfig,
    /// Which of the two the tested model was trained for.
    pub trained_for: Scored,
    /// The tested model's scores come first of their kind.
    pub rows: Vec<TestRow>,
    /// Numbers that the model learned.
    pub parameters: usize,
    /// Largest resident set of the process while it was at this stage, where the system reports it.
    pub peak_rss_bytes: Option<u64>,
    /// Hash over the sorted names and bytes of the weights.
    pub weights_sha256: String,
}

/// One model's means over the test examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestRow {
    /// The stage that left the model, or `mean spectrogram`.
    pub model: String,
    /// What is scored: what the mask hides, or, with nothing hidden, everything.
    pub scored: Scored,
    /// Means by name; `loss` is what the stage of that kind minimises.
    pub measures: BTreeMap<String, f64>,
}

impl TestSummary {
    /// Writes the summary as one JSON object.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainerError> {
        write_json(self, path)
    }

    /// The tested model's means by tag: `test/avg_loss` and `test/avg_patch_mse` of what it was trained for, and
    /// all of them as `test/hidden/...` and `test/everything/...`.
    pub fn scalars(&self) -> Vec<(String, f32)> {
        let mut scalars = Vec::new();
        for scored in [Scored::Hidden, Scored::Everything] {
            let Some(row) = self.rows.iter().find(|row| row.scored == scored) else {
                continue;
            };
            if scored == self.trained_for {
                for (measure, tag) in [("loss", "avg_loss"), ("patch_mse", "avg_patch_mse")] {
                    if let Some(&value) = row.measures.get(measure) {
                        scalars.push((format!("test/{tag}"), value as f32));
                    }
                }
            }
            let kind = match scored {
                Scored::Hidden => "hidden",
                Scored::Everything => "everything",
            };
            for (measure, &value) in &row.measures {
                scalars.push((format!("test/{kind}/{measure}"), value as f32));
            }
        }
        scalars
    }
}

impl fmt::Display for TestSummary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} finished: {} held-out examples in {:.0} s on {}",
            self.stage, self.test_examples, self.seconds, self.device
        )?;
        if let Some(provenance) = &self.provenance {
            write!(out, "\n  weights of        {provenance}")?;
        }
        let MaskConfig {
            patch_bins,
            patch_frames,
            ratio,
            ..
        } = self.mask;
        let hidden = format!(
            "{:.0} % of the {patch_bins} x {patch_frames} patches hidden, scored on those",
            100.0 * ratio
        );
        let whole = "nothing hidden, scored on everything".to_owned();
        for (scored, title) in [(Scored::Hidden, hidden), (Scored::Everything, whole)] {
            let rows: Vec<_> = self
                .rows
                .iter()
                .filter(|row| row.scored == scored)
                .collect();
            let Some(first) = rows.first() else { continue };
            write!(out, "\n  {title}")?;
            if scored == Scored::Hidden && first.measures.contains_key("patch_loss") {
                write!(
                    out,
                    " by patch_*; the others are of everything, loss is of both"
                )?;
            }
            write!(out, "\n    {:<34}", "")?;
            for measure in first.measures.keys() {
                write!(out, " {measure:>13}")?;
            }
            for row in &rows {
                write!(out, "\n    {:<34}", row.model)?;
                for measure in first.measures.keys() {
                    match row.measures.get(measure) {
                        Some(value) => write!(out, " {value:>13.4}")?,
                        None => write!(out, " {:>13}", "")?,
                    }
                }
            }
        }
        Ok(())
    }
}

fn write_json(value: &impl Serialize, path: &Path) -> Result<(), TrainerError> {
    let text = serde_json::to_string_pretty(value).expect("plain fields serialise");
    write_atomic(path, text + "\n").map_err(TrainerError::write(path))
}

/// What a stage is going to train, and what it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The stage's name.
    pub stage: String,
    /// Parameters of each block of the model.
    pub blocks: Vec<(String, usize)>,
    /// What training is expected to hold in memory.
    pub memory: MemoryEstimate,
}

impl fmt::Display for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "model of {}", self.stage)?;
        for (name, parameters) in &self.blocks {
            writeln!(out, "  {name:<28} {parameters:>12}")?;
        }
        let total: usize = self.blocks.iter().map(|(_, parameters)| parameters).sum();
        writeln!(out, "  {:<28} {total:>12} parameters", "in all")?;
        write!(out, "peak memory, estimated")?;
        let parts = [
            ("program and sounds", self.memory.resident),
            ("weights, gradients, moments", self.memory.weights),
            ("activations", self.memory.activations),
            ("in all", self.memory.total()),
        ];
        for (name, bytes) in parts {
            write!(out, "\n  {name:<28} {}", gibibytes(bytes))?;
        }
        Ok(())
    }
}

/// What a dry run found.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// Validation loss after one step.
    pub valid_loss: f64,
    /// What the model has to beat.
    pub baseline: String,
    /// Its loss.
    pub baseline_loss: f64,
    /// Seconds for one step and a validation.
    pub seconds: f64,
    /// Largest resident set of the process while it was at this stage, where the system reports it.
    pub peak_rss_bytes: Option<u64>,
}

impl fmt::Display for DryRun {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(bytes) = self.peak_rss_bytes {
            writeln!(
                out,
                "  {:<28} {}",
                "measured for one step",
                gibibytes(bytes)
            )?;
        }
        write!(
            out,
            "one step and a validation took {:.1} s; validation loss {:.4}, {} {:.4}",
            self.seconds, self.valid_loss, self.baseline, self.baseline_loss
        )
    }
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}
