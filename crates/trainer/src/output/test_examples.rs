//! Held-out sounds beside what was estimated of them, to be listened to.

use params::{ParamKind, ParamSpec, ParamVector, Patch};
use serde::{Deserialize, Serialize};
use stft_data::{EVALUATION_EPOCH, Spectrogram};

use crate::error::TrainerError;
use crate::training::evaluate::Evaluation;
use crate::output::illustration::{Illustration, Made, spectrogram_axes};
use crate::data::single::spectrogram_of;
use crate::stages::session::nothing_hidden;
use crate::parameters::rendering::{Renderer, heard};

/// A parameter of an example: what made the sound, and what was estimated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedParameter {
    /// Its name.
    pub name: String,
    /// The unit of its values; empty for a choice, and for numbers that have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// What made the sound.
    pub truth: Setting,
    /// What was estimated.
    pub estimate: Setting,
}

/// A parameter's value in musical units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// Of a continuous parameter.
    Number(f32),
    /// The class of a categorical one.
    Class(String),
}

/// `count` examples, spread evenly over the split, with their `estimates`, which are in the split's order: what `renderer`
/// makes of them, if there is one.
pub(crate) fn listen(
    held_out: &Evaluation,
    spec: &ParamSpec,
    renderer: Option<&Renderer>,
    estimates: &[ParamVector],
    count: usize,
) -> Result<Vec<Illustration>, TrainerError> {
    let config = held_out.dataset.config();
    let dataset = held_out.dataset.with_mask(nothing_hidden(config.mask))?;
    let indices = dataset.indices(held_out.split);
    let count = count.min(indices.len());
    let places = (0..count).map(|place| place * indices.len() / count);
    let illustrate = |place: usize| {
        let index = indices[place];
        let truth = dataset.source().truth(index);
        let truth = spec.decode(&truth.expect("labels were checked"))?;
        let estimate = spec.decode(&estimates[place])?;
        let sound = heard(&dataset, index)?;
        let batch = dataset.batch(&[(index, EVALUATION_EPOCH)])?;
        let spectrogram = |values, bins, frames| Spectrogram {
            values,
            bins,
            frames,
        };
        let made = match renderer {
            Some(renderer) => {
                let (rendered, _) = renderer.render_as_long_as(&sound, &estimate)?;
                let made = spectrogram_of(rendered.clone(), config, dataset.normalization())?;
                Some(Made {
                    title: "rendered",
                    spectrogram: spectrogram(made.values, made.bins, made.frames),
                    sound: rendered.samples,
                })
            }
            None => None,
        };
        Ok(Illustration {
            name: dataset.source().name(index),
            axes: spectrogram_axes(config, batch.bins, batch.frames),
            valid_frames: batch.valid_frames[0],
            input: spectrogram(batch.values, batch.bins, batch.frames),
            hidden: None,
            made,
            sample_rate_hz: sound.sample_rate_hz,
            sound: sound.samples,
            parameters: compare(spec, &truth, &estimate),
        })
    };
    places.map(illustrate).collect()
}

/// Both patches, parameter by parameter, in the order of `spec`.
fn compare(spec: &ParamSpec, truth: &Patch, estimate: &Patch) -> Vec<ComparedParameter> {
    let params = spec.params().iter();
    params
        .map(|param| {
            let name = &param.name;
            let (unit, setting): (&str, &dyn Fn(&Patch) -> Setting) = match &param.kind {
                ParamKind::Continuous { unit, .. } => {
                    (unit, &|patch| Setting::Number(patch.cont[name]))
                }
                ParamKind::Categorical { classes } => ("", &|patch| {
                    Setting::Class(classes[patch.cat[name]].clone())
                }),
            };
            ComparedParameter {
                name: name.clone(),
                unit: unit.to_owned(),
                truth: setting(truth),
                estimate: setting(estimate),
            }
        })
        .collect()
}
