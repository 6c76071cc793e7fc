//! A test of trained heads on labelled sounds that were not at hand when they were trained.

use std::fmt;

use params::ParamVector;
use serde::Serialize;
use stft_data::{FileSource, Source};

use crate::error::TrainerError;
use crate::run::trained_on::names;
use crate::parameters::metrics::{Average, ParameterErrors, write_table};
use crate::parameters::predictor::ParameterPredictor;

/// How far the parameters of labelled sounds are off that heads have never heard.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelledEvaluation {
    /// Sounds tested on.
    pub test_examples: usize,
    /// Sounds that the weights have learned from or were chosen by, which are left out; none where it isn't known.
    pub trained_on_examples: Option<usize>,
    /// The heads, and the average of the labels that are tested on, which is a little better than that of the labels that were
    /// learned from.
    pub estimates: [ParameterErrors; 2],
}

impl LabelledEvaluation {
    /// Has `predictor` tell the parameters of the sounds of `source` that it doesn't know.
    ///
    /// # Errors
    /// [`TrainerError::OtherLabels`] if they are unlabelled or their labels are not of what is estimated,
    /// [`TrainerError::AllTrainedOn`] if it knows all, or a sound can't be read.
    pub fn new(predictor: &ParameterPredictor, source: &FileSource) -> Result<Self, TrainerError> {
        let spec = predictor.spec();
        if !source
            .spec()
            .is_some_and(|labels| labels.means_the_same(spec))
        {
            return Err(TrainerError::OtherLabels);
        }
        let known = predictor.heard()?;
        let is_heard = |index: &usize| {
            let has = |name| known.as_ref().is_some_and(|known| known.has(name));
            names(source, Some(source), *index).any(has)
        };
        let (heard, fresh): (Vec<usize>, Vec<usize>) = (0..source.len()).partition(is_heard);
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
            trained_on_examples: known.map(|_| heard.len()),
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
            Some(0) => write!(out, ", none of which was there in training"),
            Some(heard) => write!(
                out,
                "; {heard} more were there in training, and are left out"
            ),
            None => write!(out, "; whether any was there in training isn't known here"),
        }?;
        write_table(out, &self.estimates)
    }
}
