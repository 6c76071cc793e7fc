//! A linear map from what a spectrogram does over time to parameters.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Device, Tensor};

use crate::description::{description, description_parts};
use crate::estimate::ParameterEstimate;

/// Tells parameters by a linear map of [`description`], whose weights are solved for rather than trained.
///
/// ```text
/// c    = min(max(W_c d + b_c, 0), 1)        positions of the continuous parameters
/// z_q  = W_q d + b_q                        logits of categorical parameter q
///
/// d    description of a sound
/// ```
///
/// A map has no ears of its own, and few labels don't mislead it as far as they mislead a network: the two are wrong in
/// different places, and their mean is better than either.
#[derive(Module, Debug)]
pub struct LinearProbe {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    n_continuous: usize,
    class_counts: Vec<usize>,
}

impl LinearProbe {
    /// A map for spectrograms of `bins` bins that says 0 of everything.
    pub fn init(bins: usize, n_continuous: usize, class_counts: &[usize], device: &Device) -> Self {
        let features = description_parts(bins).iter().sum();
        let outputs = n_continuous + class_counts.iter().sum::<usize>();
        Self {
            weight: Initializer::Zeros.init([features, outputs], device),
            bias: Initializer::Zeros.init([outputs], device),
            n_continuous,
            class_counts: class_counts.to_vec(),
        }
    }

    /// The same map with these weights: `[features, outputs]` and `[outputs]`, continuous parameters first, then the classes.
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

    /// What is said of these spectrograms.
    ///
    /// # Shapes
    /// - loudness: `[batch, bins, frames]`, silence in padded frames
    /// - output: [`ParameterEstimate`]
    ///
    /// # Panics
    /// If the bins are not those that the map was made for.
    pub fn forward(&self, loudness: Tensor<3>, valid_frames: &[usize]) -> ParameterEstimate {
        let described = description(loudness, valid_frames);
        let outputs = kernels::linear(described, self.weight.val(), Some(self.bias.val()));
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
        let features = description_parts(2).iter().sum::<usize>();
        let map = LinearProbe::init(2, 2, &[3, 1], &device);
        let bias = Tensor::from_data([-0.5, 0.25, 1.0, 2.0, 3.0, 4.0], &device);
        let map = map.with_weights(Tensor::zeros([features, 6], &device), bias);
        let said = map.forward(Tensor::ones([1, 2, 5], &device), &[4]);
        let list = |x: Tensor<2>| x.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(list(said.continuous), [0.0, 0.25]);
        let logits: Vec<_> = said.logits.into_iter().map(list).collect();
        assert_eq!(logits, [vec![1.0, 2.0, 3.0], vec![4.0]]);
    }

    #[test]
    #[should_panic(expected = "the shape of the weight")]
    fn weights_of_another_shape_are_refused() {
        let device = Device::flex();
        let map = LinearProbe::init(2, 2, &[3], &device);
        let _ = map.with_weights(Tensor::zeros([5, 5], &device), Tensor::zeros([5], &device));
    }
}
