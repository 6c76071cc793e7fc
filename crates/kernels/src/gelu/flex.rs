//! GELU of the CPU backend, and its node in the graph.

use super::values;
use crate::backend::{contiguous, mutable, values as values_of};
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

pub(super) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as GeluOps>::gelu_fused(x.into_dispatch()))
}

/// The operation, where it has a fused version.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait GeluOps: Backend {
    fn gelu_fused(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// The gradient of [`GeluOps::gelu_fused`], which nothing differentiates once more.
pub(crate) trait GeluGradient: GeluOps {
    fn x_gradient(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl GeluOps for Flex {
    fn gelu_fused(x: FlexTensor) -> FlexTensor {
        let x = contiguous(x);
        let shape = x.layout().shape().clone();
        FlexTensor::from_data(TensorData::new(values::forward(values_of(&x)), shape))
    }
}

impl GeluGradient for Flex {
    fn x_gradient(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        let x = contiguous(x);
        let mut gradient = contiguous(gradient);
        values::backward(values_of(&x), mutable(&mut gradient));
        gradient
    }
}

impl<B: GeluGradient, C: CheckpointStrategy> GeluOps for Autodiff<B, C> {
    fn gelu_fused(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        match Gelu.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(x.clone(), B::gelu_fused(x)),
            OpsKind::UnTracked(prepared) => prepared.finish(B::gelu_fused(x)),
        }
    }
}

/// The node in the graph.
#[derive(Debug)]
struct Gelu;

impl<B: GeluGradient> Backward<B, 1> for Gelu {
    /// x.
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let x = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            B::x_gradient(x, gradient)
        });
    }
}
