//! Magnitudes of the CPU backend, and their node in the graph.

use super::{StftPlan, transform};
use crate::backend::{contiguous, tensor, values};
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind, unary};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

pub(super) fn magnitude(signal: Tensor<2>, plan: &StftPlan) -> Tensor<3> {
    let signal = signal.into_dispatch();
    Tensor::from_dispatch(<Dispatch as StftOps>::stft_magnitude(signal, plan.clone()))
}

/// The operation.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait StftOps: Backend {
    fn stft_magnitude(signal: FloatTensor<Self>, plan: StftPlan) -> FloatTensor<Self>;
}

/// The gradient of [`StftOps::stft_magnitude`], which nothing differentiates once more.
pub(crate) trait StftGradient: StftOps {
    fn signal_gradient(
        signal: FloatTensor<Self>,
        plan: StftPlan,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

impl StftOps for Flex {
    fn stft_magnitude(signal: FlexTensor, plan: StftPlan) -> FlexTensor {
        let signal = contiguous(signal);
        let [batch, samples] = signal.layout().shape().dims();
        let magnitudes = transform::forward(&plan, values(&signal), samples);
        tensor(magnitudes, [batch, plan.bins(), plan.frames(samples)])
    }
}

impl StftGradient for Flex {
    fn signal_gradient(signal: FlexTensor, plan: StftPlan, gradient: FlexTensor) -> FlexTensor {
        let [signal, gradient] = [signal, gradient].map(contiguous);
        let shape: [usize; 2] = signal.layout().shape().dims();
        let gradient = transform::backward(&plan, values(&signal), shape[1], values(&gradient));
        tensor(gradient, shape)
    }
}

impl<B: StftGradient, C: CheckpointStrategy> StftOps for Autodiff<B, C> {
    fn stft_magnitude(signal: FloatTensor<Self>, plan: StftPlan) -> FloatTensor<Self> {
        let nodes = [signal.node()];
        let signal = signal.into_primitive();
        match Magnitude.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = (signal.clone(), plan.clone());
                prepared.finish(state, B::stft_magnitude(signal, plan))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::stft_magnitude(signal, plan)),
        }
    }
}

/// The node in the graph.
#[derive(Debug)]
struct Magnitude;

impl<B: StftGradient> Backward<B, 1> for Magnitude {
    type State = (FloatTensor<B>, StftPlan);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (signal, plan) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |gradient| {
            B::signal_gradient(signal, plan, gradient)
        });
    }
}
