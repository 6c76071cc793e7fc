//! Layer normalisation of the CPU backend, and its node in the graph.

use super::{backward, forward};
use crate::backend::{contiguous, is_fused, mutable, shape, tensor, values};
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

pub(super) fn takes(x: &Tensor<3>, parameters: [&Tensor<1>; 2]) -> bool {
    is_fused(x) && parameters.into_iter().all(is_fused)
}

pub(super) fn normalize(
    x: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<3> {
    let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as LayerNormOps>::layer_norm_forward(
        x.into_dispatch(),
        gamma,
        beta,
        epsilon,
    ))
}

/// The operation, where it has a fused version.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait LayerNormOps: Backend {
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`LayerNormOps::layer_norm_forward`], which nothing differentiates once more.
pub(crate) trait LayerNormGradients: LayerNormOps {
    /// Those of `x`, `gamma` and `beta`.
    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl LayerNormOps for Flex {
    fn layer_norm_forward(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        epsilon: f64,
    ) -> FlexTensor {
        let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
        let shape = shape(&x);
        let affine = [&gamma, &beta].map(values);
        tensor(forward::forward(values(&x), affine, epsilon), shape)
    }
}

impl LayerNormGradients for Flex {
    fn layer_norm_backward(
        x: FlexTensor,
        gamma: FlexTensor,
        gradient: FlexTensor,
        epsilon: f64,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [x, gamma] = [x, gamma].map(contiguous);
        let mut gradient = contiguous(gradient);
        let into = mutable(&mut gradient);
        let [gamma, beta] = backward::backward(values(&x), values(&gamma), into, epsilon);
        let features = [gamma.len()];
        (gradient, tensor(gamma, features), tensor(beta, features))
    }
}

impl<B: LayerNormGradients, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let [x, gamma, beta] = [x, gamma, beta].map(|operand| operand.into_primitive());
        match LayerNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = ([x.clone(), gamma.clone()], epsilon);
                prepared.finish(state, B::layer_norm_forward(x, gamma, beta, epsilon))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::layer_norm_forward(x, gamma, beta, epsilon))
            }
        }
    }
}

/// The node in the graph.
#[derive(Debug)]
struct LayerNorm;

impl<B: LayerNormGradients> Backward<B, 3> for LayerNorm {
    /// x and gamma.
    type State = ([FloatTensor<B>; 2], f64);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let ([x, gamma], epsilon) = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let (x, gamma, beta) = B::layer_norm_backward(x, gamma, gradient, epsilon);
        for (parent, gradient) in ops.parents.into_iter().zip([x, gamma, beta]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
