//! An encoder with parameter heads, and how it is asked.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor};
use heads::{ParameterEstimate, ParameterHeads, ParameterHeadsConfig, Pooling};
use params::{ParamSpec, ParamVector};

use crate::experiment::ParameterStage;
use crate::feature_encoder::FeatureEncoder;

/// What decides on the shape of an estimator of parameters.
#[derive(Clone, Debug)]
pub struct ParameterNetwork<E> {
    /// The encoder.
    pub encoder: E,
    /// How its features are pooled.
    pub pooling: Pooling,
    /// What stands on them.
    pub heads: ParameterHeadsConfig,
    /// What is estimated.
    pub spec: ParamSpec,
}

/// An encoder with parameter heads.
#[derive(Module, Debug)]
pub struct ParameterEstimator<E: Module + ModuleDisplay> {
    /// What hears.
    pub encoder: E,
    /// What tells.
    pub heads: ParameterHeads,
}

impl<E: FeatureEncoder> ParameterNetwork<E> {
    /// The network of a stage with `settings`.
    pub fn new<Start>(encoder: E, settings: &ParameterStage<Start>, spec: &ParamSpec) -> Self {
        Self {
            encoder,
            pooling: Pooling {
                segments: settings.segments,
            },
            heads: settings.heads,
            spec: spec.clone(),
        }
    }

    /// A new estimator on `device`, its parameters not yet drawn.
    pub fn init(&self, device: &Device) -> ParameterEstimator<E::Encoder> {
        let features = self.pooling.features(&self.encoder.channels());
        let (continuous, classes) = (self.spec.n_continuous(), self.spec.class_counts());
        ParameterEstimator {
            encoder: self.encoder.init(device),
            heads: self.heads.init(features, continuous, &classes, device),
        }
    }

    /// What `model` says of normalised spectrograms, `[batch, bins, frames]`.
    pub fn estimate(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        spectrogram: Tensor<3>,
        valid_frames: &[usize],
    ) -> ParameterEstimate {
        let maps = self.encoder.maps(&model.encoder, spectrogram, valid_frames);
        model.heads.forward(self.pooling.forward(&maps))
    }
}

/// Positions and likeliest classes of each item.
pub(crate) fn vectors(estimate: ParameterEstimate) -> Vec<ParamVector> {
    let [n_items, width] = estimate.continuous.dims();
    let positions = estimate.continuous.into_data();
    let positions: Vec<f32> = positions.try_to_vec().expect("models compute in f32");
    let classes: Vec<Vec<i64>> = estimate
        .logits
        .into_iter()
        .map(|logits| logits.argmax(1).into_data().iter::<i64>().collect())
        .collect();
    (0..n_items)
        .map(|item| ParamVector {
            cont: positions[item * width..(item + 1) * width].to_vec(),
            cat: classes.iter().map(|of| of[item] as usize).collect(),
        })
        .collect()
}
