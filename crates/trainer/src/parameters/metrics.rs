//! How far estimated parameters are from the true ones, for heads and for what they have to beat.

use std::collections::BTreeMap;
use std::fmt;

use params::{ParamSpec, ParamVector};
use serde::{Deserialize, Serialize};
use stft_data::{Dataset, Split};

use crate::error::TrainerError;
use crate::training::evaluate::Evaluation;
use crate::parameters::rendering::Renderer;

/// A test of parameter estimates on sounds that no stage has learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterMetrics {
    /// Sounds whose labels were learned from.
    pub labelled_examples: usize,
    /// Sounds tested on.
    pub test_examples: usize,
    /// The heads, the labels' average, and the labels of the nearest training example.
    pub estimates: Vec<ParameterErrors>,
    /// Why the embedded synthesizer doesn't play estimates of its own parameters, where it doesn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_rendered: Option<String>,
}

/// How far the estimates of one kind are from the truth: means over the test examples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterErrors {
    /// What made the estimates.
    pub estimator: String,
    /// Share of right classes, a mean over the categorical parameters; none where there are none.
    pub cat_acc_mean: Option<f64>,
    /// Squared error of positions in 0..1, a mean over the continuous parameters; none where there are none.
    pub cont_mse: Option<f64>,
    /// Absolute error of the same.
    pub cont_mae: Option<f64>,
    /// Mean distances between the sounds and what the embedded synthesizer makes of the estimates, as `compare` names
    /// them; none for another synthesizer's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub distances: BTreeMap<String, f64>,
    /// Each categorical parameter, in the order of the specification.
    pub categorical: Vec<CategoricalError>,
    /// Each continuous parameter, in the order of the specification.
    pub continuous: Vec<ContinuousError>,
}

/// How often a categorical parameter is told right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CategoricalError {
    /// The parameter.
    pub name: String,
    /// How many classes it has.
    pub classes: usize,
    /// Share of the examples whose class is right.
    pub accuracy: f64,
}

/// How far off a continuous parameter is.
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
    /// Compares the heads' `estimates` and the labels of the `nearest` training examples with the truths of the held-out
    /// examples, and the `average` of the labels beside them; none where nothing was held out. What `renderer` makes of
    /// them, if there is one, is compared with the sounds as well.
    ///
    /// # Errors
    /// A sound can't be read or compared.
    pub(crate) fn new(
        spec: &ParamSpec,
        held_out: &Evaluation,
        renderer: Option<&Renderer>,
        average: &Average,
        estimates: Vec<ParamVector>,
        nearest: Vec<ParamVector>,
    ) -> Result<Option<Self>, TrainerError> {
        let dataset = &held_out.dataset;
        let indices = dataset.indices(held_out.split);
        let truths = truths(dataset, indices);
        if truths.is_empty() {
            return Ok(None);
        }
        let averages = vec![average.vector.clone(); truths.len()];
        let names = ["heads", "average of labels", "nearest example"];
        let vectors = [&estimates[..], &averages, &nearest];
        let distances = match renderer {
            Some(renderer) => renderer.mean_distances(dataset, indices, vectors)?,
            None => Default::default(),
        };
        let errors = names.into_iter().zip(vectors).zip(distances);
        let errors = errors.map(|((name, vectors), distances)| ParameterErrors {
            distances,
            ..ParameterErrors::new(name, spec, vectors, &truths)
        });
        Ok(Some(Self {
            labelled_examples: dataset.indices(Split::Train).len(),
            test_examples: truths.len(),
            estimates: errors.collect(),
            not_rendered: None,
        }))
    }

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

/// What labels say without a sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    /// The mean of each continuous parameter, and the commonest class of each categorical one, the first of equals.
    pub vector: ParamVector,
    /// Logarithm of each class's share, by categorical parameter; as if each class had been seen once more.
    pub log_shares: Vec<Vec<f32>>,
}

impl Average {
    /// The average of `labels`.
    ///
    /// # Panics
    /// If there is none, or they are not of `spec`.
    pub fn of(labels: &[ParamVector], spec: &ParamSpec) -> Self {
        assert!(!labels.is_empty(), "expected labels, got none");
        let mean = |place: usize| {
            let sum: f64 = labels
                .iter()
                .map(|label| f64::from(label.cont[place]))
                .sum();
            (sum / labels.len() as f64) as f32
        };
        let counts = spec.class_counts();
        let counted = counts.iter().enumerate().map(|(place, &classes)| {
            let mut seen = vec![0_usize; classes];
            for label in labels {
                seen[label.cat[place]] += 1;
            }
            seen
        });
        let counted: Vec<Vec<usize>> = counted.collect();
        let commonest = |seen: &Vec<usize>| {
            let most = seen.iter().max().expect("a choice has classes");
            let class = seen.iter().position(|count| count == most);
            class.expect("the largest is one of them")
        };
        let log_shares = |seen: &Vec<usize>| {
            let all = (labels.len() + seen.len()) as f32;
            let share = |&count: &usize| ((count + 1) as f32 / all).ln();
            seen.iter().map(share).collect()
        };
        Self {
            vector: ParamVector {
                cont: (0..spec.n_continuous()).map(mean).collect(),
                cat: counted.iter().map(commonest).collect(),
            },
            log_shares: counted.iter().map(log_shares).collect(),
        }
    }
}

/// The parameters of `indices`, all of which are labelled.
pub(crate) fn truths(dataset: &Dataset, indices: &[usize]) -> Vec<ParamVector> {
    let truth = |&index: &usize| dataset.source().truth(index);
    let truths: Option<Vec<_>> = indices.iter().map(truth).collect();
    truths.expect("a stage that learns parameters has labelled sounds")
}
