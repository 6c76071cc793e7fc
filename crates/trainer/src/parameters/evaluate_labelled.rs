//! A test of trained heads on labelled sounds from after their training.

use std::fmt;

use params::ParamVector;
use serde::Serialize;
use stft_data::{FileSource, Source};

use crate::error::TrainerError;
use crate::parameters::average::Average;
use crate::parameters::metrics::{ParameterErrors, write_table};
use crate::parameters::predictor::ParameterPredictor;
use crate::run::trained_on::fingerprints;

/// Errors of parameter estimates for labelled sounds that the weights were not trained on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelledEvaluation {
    /// Sounds tested on.
    pub test_examples: usize,
    /// Sounds that are left out because the weights were trained on them or selected by them; none without a record.
    pub trained_on_examples: Option<usize>,
    /// The heads, and the average of the tested labels, which is a slightly better baseline than that of the training labels.
    pub estimates: [ParameterErrors; 2],
}

impl LabelledEvaluation {
    /// Tests `predictor` on the sounds of `source` that it was not trained on.
    ///
    /// # Errors
    /// [`TrainerError::OtherLabels`] if they are unlabelled or labelled with other parameters,
    /// [`TrainerError::AllTrainedOn`] if no sound is left, or a sound can't be read.
    pub fn new(predictor: &ParameterPredictor, source: &FileSource) -> Result<Self, TrainerError> {
        let spec = predictor.spec();
        if !source
            .spec()
            .is_some_and(|labels| labels.means_the_same(spec))
        {
            return Err(TrainerError::OtherLabels);
        }
        let known = predictor.trained_on()?;
        let is_known = |index: &usize| {
            let has = |fingerprint| known.as_ref().is_some_and(|known| known.has(fingerprint));
            fingerprints(source, Some(source), *index).any(has)
        };
        let (trained_on, fresh): (Vec<usize>, Vec<usize>) = (0..source.len()).partition(is_known);
        if fresh.is_empty() {
            return Err(TrainerError::AllTrainedOn {
                sounds: source.len(),
            });
        }
        let mut estimates: Vec<ParamVector> = Vec::with_capacity(fresh.len());
        for &index in &fresh {
            estimates.push(predictor.predict(&source.load(index)?)?);
        }
        let truth = |&index: &usize| source.truth(index).expect("every sound has a label");
        let truths: Vec<ParamVector> = fresh.iter().map(truth).collect();
        let averages = vec![Average::of(&truths, spec).vector; truths.len()];
        Ok(Self {
            test_examples: truths.len(),
            trained_on_examples: known.map(|_| trained_on.len()),
            estimates: [
                ParameterErrors::new("heads", spec, &estimates, &truths),
                ParameterErrors::new("average of these", spec, &averages, &truths),
            ],
        })
    }
}

impl fmt::Display for LabelledEvaluation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "  parameters of {} sounds", self.test_examples)?;
        match self.trained_on_examples {
            Some(0) => write!(out, ", none of which is a training sound"),
            Some(count) => write!(out, "; {count} training sounds are left out"),
            None => write!(
                out,
                "; the model has no record of its training sounds, so some may be among them"
            ),
        }?;
        write_table(out, &self.estimates)
    }
}
