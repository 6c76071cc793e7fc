//! What the normalisations with a scale and a shift have in common.

use crate::cpu::backend::{contiguous, is_fused, mutable, shape, tensor, values};
use crate::cpu::graph::Graph;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

/// The values of the operands, which lie without gaps.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) x: &'a [f32],
    pub(super) shape: [usize; 3],
    pub(super) gamma: &'a [f32],
    pub(super) beta: &'a [f32],
}

impl<'a> Operands<'a> {
    fn new([x, gamma, beta]: &'a [FlexTensor; 3]) -> Self {
        Self {
            x: values(x),
            shape: shape(x),
            gamma: values(gamma),
            beta: values(beta),
        }
    }
}

pub(super) fn are_fused(x: &Tensor<3>, gamma: &Tensor<1>, beta: &Tensor<1>) -> bool {
    is_fused(x) && is_fused(gamma) && is_fused(beta)
}

/// The normalisation that `forward` computes. `backward` turns the gradient of the output into the gradient
/// of x, and returns those of gamma and beta.
pub(super) fn normalize(
    x: Tensor<3>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    forward: impl FnOnce(Operands) -> Vec<f32>,
    backward: impl FnOnce(Operands, &mut [f32]) -> [Vec<f32>; 2] + Send + 'static,
) -> Tensor<3> {
    let operands = [
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
    ];
    let (graph, operands) = Graph::enter(operands);
    let output = {
        let operands = operands.clone().map(contiguous);
        let operands = Operands::new(&operands);
        tensor(forward(operands), operands.shape)
    };
    graph.leave(output, move |gradient, register| {
        let operands = operands.map(contiguous);
        let mut gradient = contiguous(gradient);
        // The gradients of gamma and beta are sums that the gradient of x needs too.
        let [gamma, beta] = backward(Operands::new(&operands), mutable(&mut gradient));
        register(0, gradient);
        for (operand, sums) in [(1, gamma), (2, beta)] {
            let length = sums.len();
            register(operand, tensor(sums, [length]));
        }
    })
}
