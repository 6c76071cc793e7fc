//! An encoder with parameter heads.

use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor};
use heads::{
    BandConfig, BandNetwork, LinearProbe, ParameterEstimate, ParameterHeads, ParameterHeadsConfig,
    Pooling,
};
use params::{ParamSpec, ParamVector};
use stft_data::Normalization;

use crate::data::magnitude::magnitude_before_padding;
use crate::parameters::feature_encoder::FeatureEncoder;
use crate::parameters::head_transfer::HeadTransfer;
use crate::settings::experiment::Experiment;

/// Magnitudes well below this count as silence on the loudness scale, `log1p(magnitude / QUIET)`. The scale lies between a
/// logarithm, which stresses noise, and `log1p(magnitude)`, in which only loud partials count.
const QUIET: f64 = 0.01;

/// What decides on the shape of an estimator of parameters.
#[derive(Clone, Debug)]
pub struct ParameterNetwork<E> {
    /// The encoder.
    pub encoder: E,
    /// Band networks, which read the spectrogram directly.
    pub bands: Vec<BandConfig>,
    /// Bins of a spectrogram.
    pub bins: usize,
    /// Scale of its values.
    pub normalization: Normalization,
    /// Pooling of the features over time.
    pub pooling: Pooling,
    /// The prediction heads.
    pub heads: ParameterHeadsConfig,
    /// Weight of the linear probe in the estimate; 0 without a probe.
    pub probe_share: f64,
    /// The parameters that are estimated.
    pub spec: ParamSpec,
}

/// An encoder with parameter heads.
#[derive(Module, Debug)]
pub struct ParameterEstimator<E: Module + ModuleDisplay> {
    /// The encoder.
    pub encoder: E,
    /// Band networks, which read the spectrogram directly.
    pub bands: Vec<BandNetwork>,
    /// The prediction heads.
    pub heads: ParameterHeads,
    /// A linear probe, fitted in closed form before training and frozen. Weights are named after these fields.
    pub linear: Option<LinearProbe>,
}

impl<E: FeatureEncoder> ParameterNetwork<E> {
    /// The network of `experiment` that estimates the parameters of `spec` from spectrograms in the scale of
    /// `normalization`. With a frozen encoder nothing else reads them, so that the heads measure its features alone.
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

    /// What an estimator of this network inherits from one of `source`; and for each of its outputs the output of `source`
    /// that is copied.
    pub fn transfer_from(&self, source: &Self) -> (HeadTransfer, Vec<Option<usize>>) {
        let differing = if self.pooling != source.pooling {
            Some("segments")
        } else if self.bands.is_empty() != source.bands.is_empty() {
            Some("the presence of band networks")
        } else if self.heads.hidden != source.heads.hidden {
            Some("heads.hidden")
        } else {
            None
        };
        let mut sources = self.spec.outputs_alike(&source.spec);
        if differing.is_some() {
            sources.fill(None);
        }
        let outputs = self.spec.output_names().zip(&sources);
        let new = outputs.filter(|(_, source)| source.is_none());
        let mut new: Vec<String> = new.map(|((name, _), _)| name.to_owned()).collect();
        new.dedup();
        let transfer = HeadTransfer {
            bands: !self.bands.is_empty() && !source.bands.is_empty(),
            outputs: sources.iter().flatten().count(),
            of: sources.len(),
            new,
            differing: differing.map(str::to_owned),
        };
        (transfer, sources)
    }

    /// `model`'s estimates for normalised spectrograms, `[batch, bins, frames]`: the weighted mean of heads and linear probe.
    pub fn estimate(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        spectrogram: Tensor<3>,
        valid_frames: &[usize],
    ) -> ParameterEstimate {
        let Some(probe) = &model.linear else {
            return self.estimate_of_heads(model, spectrogram, valid_frames);
        };
        let loudness = self.loudness(spectrogram.clone(), valid_frames);
        let of_heads = self.heads_on(model, spectrogram, Some(loudness.clone()), valid_frames);
        let of_probe = probe.forward(loudness, valid_frames);
        of_heads.mean_with(of_probe, self.probe_share)
    }

    /// The estimates of the heads alone. They are trained on these: the probe fits the labels that it was solved from so well
    /// that it would leave them nothing to learn.
    pub fn estimate_of_heads(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        spectrogram: Tensor<3>,
        valid_frames: &[usize],
    ) -> ParameterEstimate {
        let has_bands = !model.bands.is_empty();
        let loudness = has_bands.then(|| self.loudness(spectrogram.clone(), valid_frames));
        self.heads_on(model, spectrogram, loudness, valid_frames)
    }

    /// `loudness` is for the band networks; none without them.
    fn heads_on(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        spectrogram: Tensor<3>,
        loudness: Option<Tensor<3>>,
        valid_frames: &[usize],
    ) -> ParameterEstimate {
        let mut maps = self.encoder.maps(&model.encoder, spectrogram, valid_frames);
        if let Some(loudness) = loudness {
            let features = |bands: &BandNetwork| bands.forward(loudness.clone(), valid_frames);
            maps.extend(model.bands.iter().map(features));
        }
        model.heads.forward(self.pooling.forward(&maps))
    }

    /// Normalised spectrograms on the loudness scale of band networks and probe: 0 is silence, and so is padding.
    pub(crate) fn loudness(&self, spectrogram: Tensor<3>, valid_frames: &[usize]) -> Tensor<3> {
        let magnitude = magnitude_before_padding(spectrogram, self.normalization, valid_frames);
        (magnitude / QUIET).log1p()
    }
}

/// Positions and most likely classes of each of `n_items` items.
pub(crate) fn vectors(estimate: ParameterEstimate, n_items: usize) -> Vec<ParamVector> {
    let positions = estimate.continuous.map_or(Vec::new(), |positions| {
        let positions = positions.into_data();
        positions.try_to_vec().expect("models compute in f32")
    });
    let width = positions.len() / n_items.max(1);
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
