//! Linear maps on the CPU backend.

use super::rows::{input_gradient, output};
use super::weight::weight_gradient;
use crate::cpu::backend::{tensor, values};
use crate::cpu::graph::Graph;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Shape, Tensor, TensorData};

pub(super) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [_, d_out] = weight.dims();
    let bias = bias.unwrap_or_else(|| Tensor::zeros([d_out], &x.device()));
    let [x_is_tracked, weight_is_tracked] = [x.is_tracked(), weight.is_tracked()];
    let bias_is_tracked = bias.is_tracked();
    let operands = [
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ];
    let (graph, [x, weight, bias]) = Graph::enter(operands);
    // The gradient of one factor needs the other.
    let kept_x = weight_is_tracked.then(|| x.clone());
    let kept_weight = x_is_tracked.then(|| weight.clone());
    let output = {
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.to_contiguous());
        let y = output(values(&x), values(&weight), values(&bias));
        with_features(y, &x, features(&weight))
    };
    graph.leave(output, move |gradient, register| {
        if let Some(weight) = kept_weight {
            register(0, x_gradient(weight, gradient.clone()));
        }
        if let Some(x) = kept_x {
            let [weight, bias] = parameter_gradients(x, gradient);
            register(1, weight);
            register(2, bias);
        } else if bias_is_tracked {
            register(2, bias_gradient(gradient));
        }
    })
}

fn x_gradient(weight: FlexTensor, gradient: FlexTensor) -> FlexTensor {
    let [weight, gradient] = [weight, gradient].map(|tensor| tensor.to_contiguous());
    let [d_in, d_out] = [weight.layout().shape()[0], features(&weight)];
    let of_x = input_gradient(values(&gradient), values(&weight), [d_in, d_out]);
    with_features(of_x, &gradient, d_in)
}

/// The gradients of weight and bias.
fn parameter_gradients(x: FlexTensor, gradient: FlexTensor) -> [FlexTensor; 2] {
    let [x, gradient] = [x, gradient].map(|tensor| tensor.to_contiguous());
    let [d_in, d_out] = [features(&x), features(&gradient)];
    let (weight, bias) = weight_gradient(values(&x), values(&gradient), [d_in, d_out]);
    [tensor(weight, [d_in, d_out]), tensor(bias, [d_out])]
}

fn bias_gradient(gradient: FlexTensor) -> FlexTensor {
    let gradient = gradient.to_contiguous();
    let d_out = features(&gradient);
    let (_, bias) = weight_gradient(&[], values(&gradient), [0, d_out]);
    tensor(bias, [d_out])
}

/// The size of the last axis.
fn features(tensor: &FlexTensor) -> usize {
    *tensor.layout().shape().last().expect("a tensor of vectors")
}

/// A tensor of the shape of `like`, with vectors of `features` values.
fn with_features(values: Vec<f32>, like: &FlexTensor, features: usize) -> FlexTensor {
    let mut shape: Vec<usize> = like.layout().shape().to_vec();
    *shape.last_mut().expect("a tensor of vectors") = features;
    FlexTensor::from_data(TensorData::new(values, Shape::from(shape)))
}
