//! Held-out sounds with renders of their estimates.

use params::{ParamKind, ParamSpec, ParamVector, Patch};
use stft_data::{EVALUATION_EPOCH, Spectrogram};

use crate::data::single::spectrogram_of;
use crate::error::TrainerError;
use crate::output::illustration::{
    ComparedParameter, Illustration, Made, Setting, spectrogram_axes,
};
use crate::parameters::rendering::{Renderer, evaluated_sound};
use crate::training::evaluation::Evaluation;

/// `count` examples, spread evenly over the split, with their `estimates`, which are in the split's order, rendered by
/// `renderer`, if there is one.
pub(crate) fn test_examples(
    held_out: &Evaluation,
    spec: &ParamSpec,
    renderer: Option<&Renderer>,
    estimates: &[ParamVector],
    count: usize,
) -> Result<Vec<Illustration>, TrainerError> {
    let config = held_out.dataset.config();
    let dataset = held_out.dataset.with_mask(config.mask.nothing_hidden())?;
    let indices = dataset.indices(held_out.split);
    let count = count.min(indices.len());
    let places = (0..count).map(|place| place * indices.len() / count);
    let illustrate = |place: usize| {
        let index = indices[place];
        let truth = dataset.source().truth(index);
        let truth = spec.decode(&truth.expect("labels were checked"))?;
        let estimate = spec.decode(&estimates[place])?;
        let sound = evaluated_sound(&dataset, index)?;
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
