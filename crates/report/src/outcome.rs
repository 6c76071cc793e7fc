//! A stage's `summary.json`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stft_data::MaskConfig;
use trainer::{ParameterMetrics, Provenance, Scored, TestRow};

/// A stage's summary, as far as a report uses it. Keys that a stage of another kind lacks are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The device as the user named it.
    pub device: Option<String>,
    /// The weights that it was initialised from, or has tested.
    pub provenance: Option<Provenance>,
    /// Optimizer steps.
    pub steps: Option<u64>,
    /// Wall-clock seconds.
    pub seconds: Option<f64>,
    /// Examples trained on.
    pub train_examples: Option<u64>,
    /// Examples validated on.
    pub valid_examples: Option<u64>,
    /// Examples tested on.
    pub test_examples: Option<u64>,
    /// Loss on the validation examples after the last step.
    pub valid_loss: Option<f64>,
    /// Lowest such loss.
    pub best_valid_loss: Option<f64>,
    /// What the model has to beat.
    pub baseline: Option<String>,
    /// Its loss on the same examples and masks.
    pub baseline_loss: Option<f64>,
    /// Numbers that the model learns.
    pub parameters: Option<u64>,
    /// Largest resident set of the process.
    pub peak_rss_bytes: Option<u64>,
    /// What a test hides.
    pub mask: Option<MaskConfig>,
    /// Which of the two a tested model was trained for.
    pub trained_for: Option<Scored>,
    /// Everything else.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Keys of a test's models, and of the errors of estimated parameters.
const ROWS: &str = "rows";
pub(crate) const PARAMETER_TEST: &str = "parameter_test";

impl Outcome {
    /// The models of a test, the tested one first.
    pub fn test_rows(&self) -> Option<Vec<TestRow>> {
        let rows: Vec<TestRow> = self.table(ROWS)?.ok()?;
        (!rows.is_empty()).then_some(rows)
    }

    /// How far estimated parameters are off, where the stage estimates any.
    pub fn parameter_test(&self) -> Option<ParameterMetrics> {
        self.table(PARAMETER_TEST)?.ok()
    }

    /// What is wrong with tables that are there and can't be shown, in sentences.
    pub(crate) fn problems(&self) -> Vec<String> {
        let rows = self.table::<Vec<TestRow>>(ROWS).and_then(Result::err);
        let test = self.table::<ParameterMetrics>(PARAMETER_TEST);
        let faults = [(ROWS, rows), (PARAMETER_TEST, test.and_then(Result::err))];
        faults
            .into_iter()
            .filter_map(|(key, fault)| {
                let fault = fault?;
                Some(format!(
                    "The {key} of summary.json can't be understood: {fault}."
                ))
            })
            .collect()
    }

    fn table<T: DeserializeOwned>(&self, key: &str) -> Option<serde_json::Result<T>> {
        let value = self.rest.get(key).filter(|value| !value.is_null())?;
        Some(T::deserialize(value))
    }

    /// A further number by its name.
    pub fn measure(&self, name: &str) -> Option<f64> {
        self.rest.get(name)?.as_f64()
    }

    /// The loss that the stage is judged by, and that of what it has to beat: of a trained model on the validation
    /// examples, of a tested one on what it was trained for.
    pub fn loss_and_baseline(&self) -> (Option<f64>, Option<f64>) {
        if self.valid_loss.is_some() {
            return (self.valid_loss, self.baseline_loss);
        }
        let rows = self.test_rows().unwrap_or_default();
        let mut judged = rows
            .iter()
            .filter(|row| Some(row.scored) == self.trained_for);
        let loss = |row: &TestRow| row.measures.get("loss").copied();
        // The baseline has no weights, so it comes last.
        let tested = judged.next().and_then(loss);
        (tested, judged.next_back().and_then(loss))
    }

    /// Loss as a multiple of the baseline's.
    pub fn ratio(&self) -> Option<f64> {
        let (loss, baseline) = self.loss_and_baseline();
        let ratio = loss? / baseline?;
        ratio.is_finite().then_some(ratio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(value: Value) -> Outcome {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_trained_model_is_judged_by_its_validation_loss() {
        let trained = outcome(json!({"valid_loss": 0.5, "baseline_loss": 2.0, "spec_l1": 0.25}));
        assert_eq!(trained.loss_and_baseline(), (Some(0.5), Some(2.0)));
        assert_eq!(trained.ratio(), Some(0.25));
        assert_eq!(trained.measure("spec_l1"), Some(0.25));
        assert_eq!(outcome(json!({})).ratio(), None);
    }

    #[test]
    fn a_tested_model_is_judged_by_what_it_was_trained_for() {
        let row = |model: &str, scored: &str, loss: f64| json!({"model": model, "scored": scored, "measures": {"loss": loss}});
        let rows = [
            row("new", "hidden", 7.0),
            row("mean", "hidden", 8.0),
            row("new", "everything", 1.0),
            row("old", "everything", 3.0),
            row("mean", "everything", 4.0),
        ];
        let tested = outcome(json!({"trained_for": "everything", "rows": rows}));
        assert_eq!(tested.ratio(), Some(0.25));
    }
}
