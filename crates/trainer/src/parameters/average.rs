//! The labels of a split, and the constant prediction that follows from them.

use params::{ParamSpec, ParamVector};
use stft_data::Dataset;

/// The best constant prediction: the average of the labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    /// The mean of each continuous parameter, and the commonest class of each categorical one, the first of equals.
    pub vector: ParamVector,
    /// Log class frequencies with add-one (Laplace) smoothing, by categorical parameter.
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
