//! Linear maps of the CPU backend, and their place in the graph.

use super::rows::{input_gradient, output};
use super::weight::weight_gradient;
use crate::backend::values;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Shape, Tensor, TensorData};

pub(super) fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [_, d_out] = weight.dims();
    let bias = bias.unwrap_or_else(|| Tensor::zeros([d_out], &x.device()));
    Tensor::from_dispatch(<Dispatch as LinearOps>::linear_output(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ))
}

/// The operation, where it has a fused version.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait LinearOps: Backend {
    /// The output, from `[..., d_in]`, `[d_in, d_out]` and `[d_out]`.
    fn linear_output(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`LinearOps::linear_output`], which nothing differentiates once more.
pub(crate) trait LinearGradients: LinearOps {
    fn x_gradient(weight: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Those of weight and bias.
    fn weight_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    fn bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl LinearOps for Flex {
    fn linear_output(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.to_contiguous());
        let y = output(values(&x), values(&weight), values(&bias));
        with_features(y, &x, features(&weight))
    }
}

impl LinearGradients for Flex {
    fn x_gradient(weight: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let [weight, gradient] = [weight, gradient].map(|tensor| tensor.to_contiguous());
        let [d_in, d_out] = [weight.layout().shape()[0], features(&weight)];
        let of_x = input_gradient(values(&gradient), values(&weight), [d_in, d_out]);
        with_features(of_x, &gradient, d_in)
    }

    fn weight_gradient(x: FlexTensor, gradient: FlexTensor) -> (FlexTensor, FlexTensor) {
        let [x, gradient] = [x, gradient].map(|tensor| tensor.to_contiguous());
        let shape = [features(&x), features(&gradient)];
        let (weight, bias) = weight_gradient(values(&x), values(&gradient), shape);
        (
            crate::backend::tensor(weight, shape),
            crate::backend::tensor(bias, [shape[1]]),
        )
    }

    fn bias_gradient(gradient: FlexTensor) -> FlexTensor {
        let gradient = gradient.to_contiguous();
        let d_out = features(&gradient);
        let (_, bias) = weight_gradient(&[], values(&gradient), [0, d_out]);
        crate::backend::tensor(bias, [d_out])
    }
}

/// The size of the last axis.
fn features(tensor: &FlexTensor) -> usize {
    *tensor.layout().shape().last().expect("a tensor of vectors")
}

/// Vectors of `features` values, which lie as those of `like` do.
fn with_features(values: Vec<f32>, like: &FlexTensor, features: usize) -> FlexTensor {
    let mut shape: Vec<usize> = like.layout().shape().to_vec();
    *shape.last_mut().expect("a tensor of vectors") = features;
    FlexTensor::from_data(TensorData::new(values, Shape::from(shape)))
}

impl<B: LinearGradients, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn linear_output(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x_is_tracked, weight_is_tracked] = [x.is_tracked(), weight.is_tracked()];
        let [x, weight] = [x.into_primitive(), weight.into_primitive()];
        let state = Kept::<B> {
            // What one operand's gradient needs is the other operand.
            x: weight_is_tracked.then(|| x.clone()),
            weight: x_is_tracked.then(|| weight.clone()),
        };
        let output = B::linear_output(x, weight, bias.into_primitive());
        match Node.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(state, output),
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        }
    }
}

/// What the gradients need.
#[derive(Clone, Debug)]
struct Kept<B: Backend> {
    x: Option<FloatTensor<B>>,
    weight: Option<FloatTensor<B>>,
}

/// The node in the graph.
#[derive(Debug)]
struct Node;

impl<B: LinearGradients> Backward<B, 3> for Node {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [of_x, of_weight, of_bias] = ops.parents;
        let gradient = grads.consume::<B>(&ops.node);
        if let (Some(parent), Some(weight)) = (of_x, ops.state.weight) {
            grads.register::<B>(parent.id, B::x_gradient(weight, gradient.clone()));
        }
        match (of_weight, ops.state.x, of_bias) {
            (Some(of_weight), Some(x), of_bias) => {
                let (weight, bias) = B::weight_gradient(x, gradient);
                grads.register::<B>(of_weight.id, weight);
                if let Some(of_bias) = of_bias {
                    grads.register::<B>(of_bias.id, bias);
                }
            }
            (_, _, Some(of_bias)) => {
                grads.register::<B>(of_bias.id, B::bias_gradient(gradient));
            }
            (_, _, None) => {}
        }
    }
}
