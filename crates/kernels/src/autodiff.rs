//! Operations with their own backward pass in Burn's autodiff graph.

use burn::backend::Backend;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::tensor::FloatTensor;
use std::fmt;

/// Receives the gradient of an operand, named by the operand's index.
pub(crate) type Register<'a, B> = &'a mut dyn FnMut(usize, FloatTensor<B>);

/// Adds an output to the graph, as computed from the operands that `nodes` belong to.
///
/// `backward` is the backward pass, as in a `torch.autograd.Function`: a closure that owns what it needs.
/// It receives the gradient of the output and registers those of the operands. A gradient of an operand
/// that is not tracked is dropped; if none is tracked, `backward` never runs.
pub(crate) fn record<B, F, const N: usize>(
    nodes: [NodeGuard; N],
    output: FloatTensor<B>,
    backward: F,
) -> FloatTensor<Autodiff<B>>
where
    B: Backend,
    F: FnOnce(FloatTensor<B>, Register<'_, B>) + Send + 'static,
{
    // The strategy matters to operations that may be repeated in the backward pass. These are not.
    Backward::<B, N>::prepare::<NoCheckpointing>(Step(backward), nodes)
        .compute_bound()
        .stateless(output)
}

/// The operation as the graph holds it. Burn's own operations keep what they need in `State`, which has to
/// be `Clone`; a closure that runs once needs no clone.
struct Step<F>(F);

impl<F> fmt::Debug for Step<F> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Step")
    }
}

impl<B, F, const N: usize> Backward<B, N> for Step<F>
where
    B: Backend,
    F: FnOnce(FloatTensor<B>, Register<'_, B>) + Send + 'static,
{
    type State = ();

    fn backward(self, ops: Ops<(), N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let Self(backward) = self;
        let gradient = gradients.consume::<B>(&ops.node);
        backward(gradient, &mut |operand, gradient| {
            if let Some(parent) = &ops.parents[operand] {
                gradients.register::<B>(parent.id, gradient);
            }
        });
    }
}
