//! An encoder with parameter heads, and how it is asked.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor};
use heads::{
    BandConfig, BandNetwork, LinearProbe, ParameterEstimate, ParameterHeads, ParameterHeadsConfig,
    Pooling,
};
use params::{ParamSpec, ParamVector};
use stft_data::Normalization;

use crate::settings::experiment::Experiment;
use crate::parameters::feature_encoder::FeatureEncoder;
use crate::data::magnitude::magnitude_before_padding;
use crate::parameters::head_transfer::HeadTransfer;

/// Magnitudes well below this sound like silence to what reads the spectrogram beside an encoder: between a logarithm, which makes
/// much of noise, and log1p, which hears loud partials alone.
const QUIET: f64 = 0.01;

/// What decides on the shape of an estimator of parameters.
#[derive(Clone, Debug)]
pub struct ParameterNetwork<E> {
    /// The encoder.
    pub encoder: E,
    /// What reads the spectrogram beside it.
    pub bands: Vec<BandConfig>,
    /// Bins of a spectrogram.
    pub bins: usize,
    /// What its values mean.
    pub normalization: Normalization,
    /// How its features are pooled.
    pub pooling: Pooling,
    /// What stands on them.
    pub heads: ParameterHeadsConfig,
    /// How much of the estimate a linear map beside all of this tells: 0 where there is none.
    pub probe_share: f64,
    /// What is estimated.
    pub spec: ParamSpec,
}

/// An encoder with parameter heads.
#[derive(Module, Debug)]
pub struct ParameterEstimator<E: Module + ModuleDisplay> {
    /// What hears.
    pub encoder: E,
    /// What hears beside it.
    pub bands: Vec<BandNetwork>,
    /// What tells.
    pub heads: ParameterHeads,
    /// What tells beside it. It is solved for, and never trained.
    pub linear: Option<LinearProbe>,
}

impl<E: FeatureEncoder> ParameterNetwork<E> {
    /// The network of `experiment` that estimates the parameters of `spec` from spectrograms in the scale of
    /// `normalization`. Beside a frozen encoder nothing else reads them: the heads tell what is in its features.
    pub fn new(experiment: &Experiment, spec: &ParamSpec, normalization: Normalization) -> Self {
        let settings = E::heads_stage(&experiment.stages);
        Self {
            encoder: E::of(experiment),
            bands: settings.active_bands().to_vec(),
            bins: experiment.data.bins(),
            normalization,
            pooling: Pooling {
                segments: settings.segments,
            },
            heads: settings.heads,
            probe_share: settings.active_probe_share(),
            spec: spec.clone(),
        }
    }

    /// A new estimator on `device`, its parameters not yet drawn.
    pub fn init(&self, device: &Device) -> ParameterEstimator<E::Encoder> {
        let mut channels = self.encoder.channels();
        channels.extend(self.bands.iter().map(BandConfig::n_channels));
        let features = self.pooling.features(&channels);
        let (continuous, classes) = (self.spec.n_continuous(), self.spec.class_counts());
        ParameterEstimator {
            encoder: self.encoder.init(device),
            bands: self
                .bands
                .iter()
                .map(|bands| bands.init(self.bins, device))
                .collect(),
            heads: self.heads.init(features, continuous, &classes, device),
            linear: (self.probe_share > 0.0)
                .then(|| LinearProbe::init(self.bins, continuous, &classes, device)),
        }
    }

    /// What an estimator of this network goes on from, where it begins with the weights of `giver`'s; and the output of `giver`'s
    /// that each of its outputs goes on from.
    pub fn transfer_from(&self, giver: &Self) -> (HeadTransfer, Vec<Option<usize>>) {
        let differing = if self.pooling != giver.pooling {
            Some("segments")
        } else if self.bands.is_empty() != giver.bands.is_empty() {
            Some("what is read beside the encoder")
        } else if self.heads.hidden != giver.heads.hidden {
            Some("heads.hidden")
        } else {
            None
        };
        let mut sources = self.spec.outputs_alike(&giver.spec);
        if differing.is_some() {
            sources.fill(None);
        }
        let outputs = self.spec.output_names().zip(&sources);
        let anew = outputs.filter(|(_, source)| source.is_none());
        let mut anew: Vec<String> = anew.map(|((name, _), _)| name.to_owned()).collect();
        anew.dedup();
        let taken = HeadTransfer {
            bands: !self.bands.is_empty() && !giver.bands.is_empty(),
            outputs: sources.iter().flatten().count(),
            of: sources.len(),
            anew,
            differing: differing.map(str::to_owned),
        };
        (taken, sources)
    }

    /// What `model` says of normalised spectrograms, `[batch, bins, frames]`: the mean of what heads and linear map say.
    pub fn estimate(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        spectrogram: Tensor<3>,
        valid_frames: &[usize],
    ) -> ParameterEstimate {
        let Some(linear) = &model.linear else {
            return self.estimate_of_heads(model, spectrogram, valid_frames);
        };
        let loudness = self.loudness(spectrogram.clone(), valid_frames);
        let of_heads = self.heads_on(model, spectrogram, Some(loudness.clone()), valid_frames);
        let of_linear = linear.forward(loudness, valid_frames);
        of_heads.mean_with(of_linear, self.probe_share)
    }

    /// What the heads alone say. They learn from that: what the linear map knows of the labels that it was solved from would
    /// leave them nothing to learn.
    pub fn estimate_of_heads(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        spectrogram: Tensor<3>,
        valid_frames: &[usize],
    ) -> ParameterEstimate {
        let is_heard = !model.bands.is_empty();
        let loudness = is_heard.then(|| self.loudness(spectrogram.clone(), valid_frames));
        self.heads_on(model, spectrogram, loudness, valid_frames)
    }

    /// `loudness` is for the bands; none where there are none.
    fn heads_on(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        spectrogram: Tensor<3>,
        loudness: Option<Tensor<3>>,
        valid_frames: &[usize],
    ) -> ParameterEstimate {
        let mut maps = self.encoder.maps(&model.encoder, spectrogram, valid_frames);
        if let Some(loudness) = loudness {
            let heard = |bands: &BandNetwork| bands.forward(loudness.clone(), valid_frames);
            maps.extend(model.bands.iter().map(heard));
        }
        model.heads.forward(self.pooling.forward(&maps))
    }

    /// What is read beside the encoder, of normalised spectrograms: 0 is silence, and so is padding.
    pub(crate) fn loudness(&self, spectrogram: Tensor<3>, valid_frames: &[usize]) -> Tensor<3> {
        let magnitude = magnitude_before_padding(spectrogram, self.normalization, valid_frames);
        (magnitude / QUIET).log1p()
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
