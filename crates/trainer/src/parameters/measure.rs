//! Measures heads and their baselines on held-out sounds.

use params::{ParamSpec, ParamVector};
use stft_data::Split;

use crate::error::TrainerError;
use crate::parameters::average::{Average, truths};
use crate::parameters::metrics::{ParameterErrors, ParameterMetrics};
use crate::parameters::rendering::Renderer;
use crate::training::evaluation::Evaluation;

/// Estimates for the held-out examples, in the order of their split.
pub(crate) struct Estimates {
    /// Those of the heads.
    pub heads: Vec<ParamVector>,
    /// The labels of the nearest training examples.
    pub nearest: Vec<ParamVector>,
}

/// Compares the estimates of heads and nearest examples, and the `average` of the labels, with the true parameters of
/// the held-out examples; none where nothing was held out. With a `renderer`, the estimates are rendered and compared
/// with the sounds as well.
///
/// # Errors
/// A sound can't be read or compared.
pub(crate) fn measure(
    spec: &ParamSpec,
    held_out: &Evaluation,
    renderer: Option<&Renderer>,
    average: &Average,
    estimates: Estimates,
) -> Result<Option<ParameterMetrics>, TrainerError> {
    let Estimates { heads, nearest } = estimates;
    let dataset = &held_out.dataset;
    let indices = dataset.indices(held_out.split);
    let truths = truths(dataset, indices);
    if truths.is_empty() {
        return Ok(None);
    }
    let averages = vec![average.vector.clone(); truths.len()];
    let names = ["heads", "average of labels", "nearest example"];
    let vectors = [&heads[..], &averages, &nearest];
    let distances = match renderer {
        Some(renderer) => renderer.mean_distances(dataset, indices, vectors)?,
        None => Default::default(),
    };
    let errors = names.into_iter().zip(vectors).zip(distances);
    let errors = errors.map(|((name, vectors), distances)| ParameterErrors {
        distances,
        ..ParameterErrors::new(name, spec, vectors, &truths)
    });
    Ok(Some(ParameterMetrics {
        labelled_examples: dataset.indices(Split::Train).len(),
        test_examples: truths.len(),
        estimates: errors.collect(),
        not_rendered: None,
    }))
}
