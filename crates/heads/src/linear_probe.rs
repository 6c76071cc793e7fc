//! A linear probe: summary statistics of a spectrogram to parameters.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::estimate::ParameterEstimate;
use crate::summary_statistics::{summary_statistics, summary_statistics_parts};

/// Predicts parameters by a linear map of [`summary_statistics`]. Its weights are solved for, not trained
/// ([`with_weights`](Self::with_weights)).
///
/// ```text
/// c    = min(max(W_c d + b_c, 0), 1)        positions of the continuous parameters
/// z_q  = W_q d + b_q                        logits of categorical parameter q
///
/// d    summary statistics of a sound
/// ```
///
/// The probe has no features of its own, and overfits less than a network to few labels. Their errors
/// differ, so the mean of both predictions ([`ParameterEstimate::mean_with`]) is better than either.
#[derive(Module, Debug)]
pub struct LinearProbe {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    n_continuous: usize,
    class_counts: Vec<usize>,
}

impl LinearProbe {
    /// A probe for spectrograms of `bins` bins whose outputs are all 0.
    pub fn init(bins: usize, n_continuous: usize, class_counts: &[usize], device: &Device) -> Self {
        let features = summary_statistics_parts(bins).iter().sum();
        let outputs = n_continuous + class_counts.iter().sum::<usize>();
        Self {
            weight: Initializer::Zeros.init([features, outputs], device),
            bias: Initializer::Zeros.init([outputs], device),
            n_continuous,
            class_counts: class_counts.to_vec(),
        }
    }

    /// The probe with other weights.
    ///
    /// # Shapes
    /// - weight: `[features, outputs]`; outputs are continuous parameters first, then the classes
    /// - bias: `[outputs]`
    ///
    /// # Panics
    /// If they have other shapes.
    #[must_use]
    pub fn with_weights(self, weight: Tensor<2>, bias: Tensor<1>) -> Self {
        assert_eq!(self.weight.dims(), weight.dims(), "the shape of the weight");
        assert_eq!(self.bias.dims(), bias.dims(), "the shape of the bias");
        Self {
            weight: Param::from_tensor(weight),
            bias: Param::from_tensor(bias),
            ..self
        }
    }

    /// Predicts the parameters of spectrograms.
    ///
    /// # Shapes
    /// - loudness: `[batch, bins, frames]`, silence in padded frames
    /// - output: [`ParameterEstimate`]
    ///
    /// # Panics
    /// If the number of bins differs from that of [`init`](Self::init).
    pub fn forward(&self, loudness: Tensor<3>, valid_frames: &[usize]) -> ParameterEstimate {
        let features = summary_statistics(loudness, valid_frames);
        let outputs = kernels::linear(features, self.weight.val(), Some(self.bias.val()));
        let position = |outputs: Tensor<2>| outputs.clamp(0.0, 1.0);
        ParameterEstimate::of_outputs(outputs, self.n_continuous, &self.class_counts, position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_positions_first_and_then_the_classes_of_each_choice() {
        let device = Device::flex();
        let features = summary_statistics_parts(2).iter().sum::<usize>();
        let probe = LinearProbe::init(2, 2, &[3, 1], &device);
        let bias = Tensor::from_data([-0.5, 0.25, 1.0, 2.0, 3.0, 4.0], &device);
        let probe = probe.with_weights(Tensor::zeros([features, 6], &device), bias);
        let estimate = probe.forward(Tensor::ones([1, 2, 5], &device), &[4]);
        let list = |x: Tensor<2>| x.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(list(estimate.continuous.unwrap()), [0.0, 0.25]);
        let logits: Vec<_> = estimate.logits.into_iter().map(list).collect();
        assert_eq!(logits, [vec![1.0, 2.0, 3.0], vec![4.0]]);
    }

    #[test]
    #[should_panic(expected = "the shape of the weight")]
    fn weights_of_another_shape_are_refused() {
        let device = Device::flex();
        let probe = LinearProbe::init(2, 2, &[3], &device);
        let _ = probe.with_weights(Tensor::zeros([5, 5], &device), Tensor::zeros([5], &device));
    }
}
