//! What a stage came to: `summary.json`, and the same for people.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::TrainerError;
use crate::memory::MemoryEstimate;

/// What training came to.
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
    /// Optimizer steps.
    pub steps: u64,
    /// Wall-clock seconds from the first step's preparation to the picture.
    pub seconds: f64,
    /// Examples trained on.
    pub train_examples: usize,
    /// Examples validated on.
    pub valid_examples: usize,
    /// Sound files in use; 0 for the synthesizer.
    pub files_used: usize,
    /// Files that couldn't be used.
    pub files_rejected: usize,
    /// Loss on the validation examples after the last step.
    pub valid_loss: f64,
    /// Lowest such loss of the run.
    pub best_valid_loss: f64,
    /// What the model has to beat: `mean spectrogram`, `guessing`.
    pub baseline: String,
    /// Its loss on the same examples and masks.
    pub baseline_loss: f64,
    /// What else was measured on the validation examples after the last step, such as `spec_l1` or
    /// `contrastive_accuracy`, and the same of the baseline, with `_baseline` behind its name.
    #[serde(flatten)]
    pub measures: BTreeMap<String, f64>,
    /// Numbers that the model learns.
    pub parameters: usize,
    /// Largest resident set of the process, where the system tells.
    pub peak_rss_bytes: Option<u64>,
    /// Hash over the sorted names and bytes of the final weights.
    pub weights_sha256: String,
}

impl Summary {
    /// Writes the summary as one JSON object.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn write(&self, path: &Path) -> Result<(), TrainerError> {
        let text = serde_json::to_string_pretty(self).expect("plain fields serialise");
        std::fs::write(path, text + "\n").map_err(TrainerError::write(path))
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
        Ok(())
    }
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
    /// Largest resident set of the process, where the system tells.
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
