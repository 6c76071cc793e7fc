//! A trained estimator of parameters, whatever its encoder is.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use heads::ParameterEstimate;

use crate::error::TrainerError;
use crate::parameters::feature_encoder::FeatureEncoder;
use crate::parameters::network::ParameterNetwork;
use crate::run::checkpoint::{Checkpoint, Context};
use crate::run::exported::Exported;

/// From normalised spectrograms, `[batch, bins, frames]`, and their valid frames to parameters.
pub(crate) type Estimate = dyn Fn(Tensor<3>, &[usize]) -> ParameterEstimate;

/// Weights in one of the two forms in which they are kept.
pub(crate) enum Weights {
    Checkpoint(Checkpoint),
    Exported(Exported),
}

impl Weights {
    pub(crate) fn context(&self) -> &Context {
        match self {
            Self::Checkpoint(checkpoint) => &checkpoint.context,
            Self::Exported(exported) => &exported.context,
        }
    }

    /// The directory with the record of training sounds; an exported file has none.
    pub(crate) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Checkpoint(checkpoint) => Some(checkpoint.path()),
            Self::Exported(_) => None,
        }
    }

    fn load<M: Module>(&self, model: M, device: &Device) -> Result<M, TrainerError> {
        match self {
            Self::Checkpoint(checkpoint) => checkpoint.load_model(model),
            Self::Exported(exported) => exported.load_model(model, device),
        }
    }
}

/// The estimator with these `weights`; none where they come without parameter heads.
///
/// # Errors
/// They can't be read, or don't fit.
pub(crate) fn estimator<E: FeatureEncoder + 'static>(
    weights: &Weights,
    device: &Device,
) -> Result<Option<Box<Estimate>>, TrainerError> {
    let Context {
        experiment,
        parameters,
        normalization,
        ..
    } = weights.context();
    let Some(spec) = parameters else {
        return Ok(None);
    };
    let network = ParameterNetwork::<E>::new(experiment, spec, *normalization);
    let model = weights.load(network.init(device), device)?;
    Ok(Some(Box::new(move |spectrogram, valid_frames| {
        network.estimate(&model, spectrogram, valid_frames)
    })))
}
