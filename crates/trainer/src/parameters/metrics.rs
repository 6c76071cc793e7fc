//! Errors of estimated parameters, for heads and baselines.

use std::collections::BTreeMap;
use std::fmt;

use params::{ParamSpec, ParamVector};
use serde::{Deserialize, Serialize};

/// A test of parameter estimates on sounds that no stage was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterMetrics {
    /// Sounds whose labels were used in training.
    pub labelled_examples: usize,
    /// Sounds tested on.
    pub test_examples: usize,
    /// The heads, the labels' average, and the labels of the nearest training example.
    pub estimates: Vec<ParameterErrors>,
    /// Why estimates of an embedded voice's parameters are not rendered, where they aren't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_rendered: Option<String>,
}

/// Errors of one estimator: means over the test examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterErrors {
    /// The estimator.
    pub estimator: String,
    /// Share of right classes, a mean over the categorical parameters; none where there are none.
    pub cat_acc_mean: Option<f64>,
    /// Squared error of positions in 0..1, a mean over the continuous parameters; none where there are none.
    pub cont_mse: Option<f64>,
    /// Absolute error of the same.
    pub cont_mae: Option<f64>,
    /// Mean distances between the sounds and renders of the estimates by the embedded voice, named as in `compare`; none for
    /// another synthesizer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub distances: BTreeMap<String, f64>,
    /// Each categorical parameter, in the order of the specification.
    pub categorical: Vec<CategoricalError>,
    /// Each continuous parameter, in the order of the specification.
    pub continuous: Vec<ContinuousError>,
}

/// Accuracy of a categorical parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoricalError {
    /// The parameter.
    pub name: String,
    /// How many classes it has.
    pub classes: usize,
    /// Share of the examples whose class is right.
    pub accuracy: f64,
}

/// Errors of a continuous parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContinuousError {
    /// The parameter.
    pub name: String,
    /// Mean squared error of its position in 0..1.
    pub mse: f64,
    /// Mean absolute error of its position in 0..1.
    pub mae: f64,
}

impl ParameterErrors {
    /// Compares `estimates` with `truths`, example by example, and renders nothing.
    ///
    /// # Panics
    /// If they are not equally many, or none, or not of `spec`.
    pub fn new(
        estimator: &str,
        spec: &ParamSpec,
        estimates: &[ParamVector],
        truths: &[ParamVector],
    ) -> Self {
        assert_eq!(
            estimates.len(),
            truths.len(),
            "every estimate has its truth"
        );
        assert!(!truths.is_empty(), "expected examples to compare, got none");
        let pairs = || std::iter::zip(estimates, truths);
        let mean = |sum: f64| sum / truths.len() as f64;
        let continuous = spec.continuous().enumerate().map(|(place, param)| {
            let off = |(one, other): (&ParamVector, &ParamVector)| {
                f64::from(one.cont[place]) - f64::from(other.cont[place])
            };
            ContinuousError {
                name: param.name.clone(),
                mse: mean(pairs().map(|pair| off(pair).powi(2)).sum()),
                mae: mean(pairs().map(|pair| off(pair).abs()).sum()),
            }
        });
        let counts = spec.class_counts();
        let categorical = spec.categorical().enumerate().map(|(place, param)| {
            let right = pairs().filter(|(one, other)| one.cat[place] == other.cat[place]);
            CategoricalError {
                name: param.name.clone(),
                classes: counts[place],
                accuracy: mean(right.count() as f64),
            }
        });
        let continuous: Vec<_> = continuous.collect();
        let categorical: Vec<_> = categorical.collect();
        Self {
            estimator: estimator.to_owned(),
            cat_acc_mean: average(categorical.iter().map(|error| error.accuracy)),
            cont_mse: average(continuous.iter().map(|error| error.mse)),
            cont_mae: average(continuous.iter().map(|error| error.mae)),
            distances: BTreeMap::new(),
            categorical,
            continuous,
        }
    }
}

fn average(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

impl ParameterMetrics {
    /// The heads' errors by tag, such as `test/param/cont_mse`, `test/param/cat_acc/wave` and `test/rendered/mss`.
    pub fn scalars(&self) -> Vec<(String, f32)> {
        let Some(heads) = self.estimates.first() else {
            return Vec::new();
        };
        let means = [
            ("cont_mse".to_owned(), heads.cont_mse),
            ("cat_acc_mean".to_owned(), heads.cat_acc_mean),
        ];
        let categorical = heads.categorical.iter();
        let categorical = categorical.map(|e| (format!("cat_acc/{}", e.name), Some(e.accuracy)));
        let continuous = heads.continuous.iter();
        let continuous = continuous.map(|e| (format!("cont_mae/{}", e.name), Some(e.mae)));
        let all = means.into_iter().chain(categorical).chain(continuous);
        let all =
            all.filter_map(|(name, value)| Some((format!("test/param/{name}"), value? as f32)));
        let distances = heads.distances.iter();
        let distances =
            distances.map(|(name, value)| (format!("test/rendered/{name}"), *value as f32));
        all.chain(distances).collect()
    }
}

impl fmt::Display for ParameterMetrics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "  parameters of {} held-out sounds, learned from {} labels",
            self.test_examples, self.labelled_examples
        )?;
        write_table(out, &self.estimates)?;
        match &self.not_rendered {
            Some(reason) => write!(out, "\n    not rendered: {reason}"),
            None => Ok(()),
        }
    }
}

/// A line for each parameter and each mean, with a column for each of `estimates`; nothing where there are none.
pub(crate) fn write_table(
    out: &mut fmt::Formatter<'_>,
    estimates: &[ParameterErrors],
) -> fmt::Result {
    let Some(first) = estimates.first() else {
        return Ok(());
    };
    write!(out, "\n    {:<34}", "")?;
    for errors in estimates {
        write!(out, " {:>18}", errors.estimator)?;
    }
    let mut row = |name: &str, value: &dyn Fn(&ParameterErrors) -> Option<f64>| {
        write!(out, "\n    {name:<34}")?;
        for errors in estimates {
            match value(errors) {
                Some(value) => write!(out, " {value:>18.4}")?,
                None => write!(out, " {:>18}", "")?,
            }
        }
        Ok(())
    };
    for (place, error) in first.categorical.iter().enumerate() {
        row(&format!("{}, accuracy", error.name), &|errors| {
            Some(errors.categorical[place].accuracy)
        })?;
    }
    if first.cat_acc_mean.is_some() {
        row("mean accuracy", &|errors| errors.cat_acc_mean)?;
    }
    for (place, error) in first.continuous.iter().enumerate() {
        row(&format!("{}, squared error", error.name), &|errors| {
            Some(errors.continuous[place].mse)
        })?;
    }
    if first.cont_mse.is_some() {
        row("mean squared error", &|errors| errors.cont_mse)?;
        row("mean absolute error", &|errors| errors.cont_mae)?;
    }
    for name in first.distances.keys() {
        row(&format!("rendered, {name}"), &|errors| {
            errors.distances.get(name).copied()
        })?;
    }
    Ok(())
}
