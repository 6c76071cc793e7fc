//! Rows of length 1 on the CPU backend, and their node in the graph.

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

pub(super) fn unit_rows(x: Tensor<2>, shortest: f64) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as UnitRowsOps>::unit_rows_forward(
        x.into_dispatch(),
        shortest,
    ))
}

/// The operation, where it has a fused version.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait UnitRowsOps: Backend {
    fn unit_rows_forward(x: FloatTensor<Self>, shortest: f64) -> FloatTensor<Self>;
}

/// The gradient of [`UnitRowsOps::unit_rows_forward`], which nothing differentiates once more.
pub(crate) trait UnitRowsGradient: UnitRowsOps {
    fn x_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        shortest: f64,
    ) -> FloatTensor<Self>;
}

impl UnitRowsOps for Flex {
    fn unit_rows_forward(x: FlexTensor, shortest: f64) -> FlexTensor {
        let x = contiguous(x);
        let shape = x.layout().shape().clone();
        let y = values::forward(values_of(&x), shape[1], shortest);
        FlexTensor::from_data(TensorData::new(y, shape))
    }
}

impl UnitRowsGradient for Flex {
    fn x_gradient(x: FlexTensor, gradient: FlexTensor, shortest: f64) -> FlexTensor {
        let x = contiguous(x);
        let mut gradient = contiguous(gradient);
        let features = x.layout().shape()[1];
        values::backward(values_of(&x), mutable(&mut gradient), features, shortest);
        gradient
    }
}

impl<B: UnitRowsGradient, C: CheckpointStrategy> UnitRowsOps for Autodiff<B, C> {
    fn unit_rows_forward(x: FloatTensor<Self>, shortest: f64) -> FloatTensor<Self> {
        let nodes = [x.node()];
        let x = x.into_primitive();
        match UnitRows.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = (x.clone(), shortest);
                prepared.finish(state, B::unit_rows_forward(x, shortest))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::unit_rows_forward(x, shortest)),
        }
    }
}

/// The node in the graph.
#[derive(Debug)]
struct UnitRows;

impl<B: UnitRowsGradient> Backward<B, 1> for UnitRows {
    /// x, and the shortest length.
    type State = (FloatTensor<B>, f64);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (x, shortest) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            B::x_gradient(x, gradient, shortest)
        });
    }
}
