//! Group normalisation of the CPU backend, and its node in the graph.

use super::{Settings, backward, forward};
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
    settings: Settings,
) -> Tensor<3> {
    let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as GroupNormOps>::group_norm_forward(
        x.into_dispatch(),
        gamma,
        beta,
        settings,
    ))
}

/// The operation, where it has a fused version.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait GroupNormOps: Backend {
    fn group_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: Settings,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`GroupNormOps::group_norm_forward`], which nothing differentiates once more.
pub(crate) trait GroupNormGradients: GroupNormOps {
    /// Those of `x`, `gamma` and `beta`.
    fn group_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        settings: Settings,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl GroupNormOps for Flex {
    fn group_norm_forward(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        settings: Settings,
    ) -> FlexTensor {
        let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
        let shape = shape(&x);
        let affine = [&gamma, &beta].map(values);
        tensor(forward::forward(values(&x), affine, shape, settings), shape)
    }
}

impl GroupNormGradients for Flex {
    fn group_norm_backward(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        gradient: FlexTensor,
        settings: Settings,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [x, gamma, beta] = [x, gamma, beta].map(contiguous);
        let mut gradient = contiguous(gradient);
        let shape = shape(&x);
        let affine = [&gamma, &beta].map(values);
        let [gamma, beta] =
            backward::backward(values(&x), affine, mutable(&mut gradient), shape, settings);
        let channels = [shape[1]];
        (gradient, tensor(gamma, channels), tensor(beta, channels))
    }
}

impl<B: GroupNormGradients, C: CheckpointStrategy> GroupNormOps for Autodiff<B, C> {
    fn group_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        settings: Settings,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), gamma.node(), beta.node()];
        let [x, gamma, beta] = [x, gamma, beta].map(|operand| operand.into_primitive());
        match GroupNorm.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = ([x.clone(), gamma.clone(), beta.clone()], settings);
                prepared.finish(state, B::group_norm_forward(x, gamma, beta, settings))
            }
            OpsKind::UnTracked(prepared) => {
                prepared.finish(B::group_norm_forward(x, gamma, beta, settings))
            }
        }
    }
}

/// The node in the graph.
#[derive(Debug)]
struct GroupNorm;

impl<B: GroupNormGradients> Backward<B, 3> for GroupNorm {
    /// x, gamma and beta.
    type State = ([FloatTensor<B>; 3], Settings);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let ([x, gamma, beta], settings) = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        // Those of gamma and beta are sums that the one of x needs anyway.
        let (x, gamma, beta) = B::group_norm_backward(x, gamma, beta, gradient, settings);
        for (parent, gradient) in ops.parents.into_iter().zip([x, gamma, beta]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
