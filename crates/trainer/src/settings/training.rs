//! Settings of the training loop.

use serde::{Deserialize, Serialize};

use crate::error::TrainerError;
use crate::settings::range::within;
use crate::training::optimizer::OptimizerConfig;
use crate::training::schedule::LrSchedule;

/// Settings of the training loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Optimizer steps.
    pub steps: u64,
    /// Examples in a batch.
    pub batch_size: usize,
    /// Batches whose gradients are averaged into one step.
    pub accumulation_steps: usize,
    /// Learning rate at the end of the warm-up.
    pub lr: f64,
    /// Learning rate at the end of the cosine decay.
    pub min_lr: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// Steps between two validations; the last step is always validated.
    pub validate_every: u64,
    /// Steps between two log entries, which hold means since the entry before; validations are logged as well.
    pub log_every: u64,
    /// Validation examples that are logged as pictures and sounds at each validation.
    pub pictured_examples: usize,
    /// AdamW.
    pub optimizer: OptimizerConfig,
}

impl Training {
    /// The learning rate as a function of the step.
    pub fn schedule(&self) -> LrSchedule {
        LrSchedule {
            peak_lr: self.lr,
            min_lr: self.min_lr,
            warmup_steps: self.warmup_steps,
            steps: self.steps,
        }
    }

    /// Checks these settings, whose dotted path is `table`.
    pub(super) fn validate(&self, table: &str) -> Result<(), TrainerError> {
        let key = |name: &str| format!("{table}.{name}");
        within(&key("steps"), self.steps, 1, u64::MAX)?;
        within(&key("batch_size"), self.batch_size as u64, 1, 65_536)?;
        within(
            &key("accumulation_steps"),
            self.accumulation_steps as u64,
            1,
            65_536,
        )?;
        within(&key("validate_every"), self.validate_every, 1, u64::MAX)?;
        within(&key("log_every"), self.log_every, 1, u64::MAX)?;
        let require = |holds: bool, name: &str, expected: &str, got: f64| match holds {
            true => Ok(()),
            false => Err(TrainerError::value(key(name), expected, got)),
        };
        let above_0 = |value: f64| value.is_finite() && value > 0.0;
        let from_0 = |value: f64| value.is_finite() && value >= 0.0;
        require(above_0(self.lr), "lr", "a number above 0", self.lr)?;
        let min_lr = (0.0..=self.lr).contains(&self.min_lr);
        require(min_lr, "min_lr", "a number from 0 to lr", self.min_lr)?;
        let optimizer = &self.optimizer;
        for (name, beta) in [("beta_1", optimizer.beta_1), ("beta_2", optimizer.beta_2)] {
            let name = format!("optimizer.{name}");
            let holds = (0.0..1.0).contains(&beta);
            require(holds, &name, "a number from 0 to below 1", beta.into())?;
        }
        // A parameter without a gradient divides zero by the square root of zero plus epsilon.
        let epsilon = f64::from(optimizer.epsilon);
        require(
            above_0(epsilon),
            "optimizer.epsilon",
            "a number above 0",
            epsilon,
        )?;
        for (name, value) in [
            ("optimizer.weight_decay", optimizer.weight_decay),
            ("optimizer.clip_norm", optimizer.clip_norm),
        ] {
            require(
                from_0(value.into()),
                name,
                "a number from 0 up",
                value.into(),
            )?;
        }
        Ok(())
    }
}
