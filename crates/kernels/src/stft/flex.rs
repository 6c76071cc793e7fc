//! Magnitudes on the CPU backend.

use super::{StftPlan, transform};
use crate::cpu::backend::{contiguous, tensor, values};
use crate::cpu::graph::Graph;
use burn::tensor::Tensor;

pub(super) fn magnitude(signal: Tensor<2>, plan: &StftPlan) -> Tensor<3> {
    let [batch, samples] = signal.dims();
    let (graph, [signal]) = Graph::enter([signal.into_dispatch()]);
    let output = {
        let signal = contiguous(signal.clone());
        let magnitudes = transform::forward(plan, values(&signal), samples);
        tensor(magnitudes, [batch, plan.bins(), plan.frames(samples)])
    };
    let plan = plan.clone();
    graph.leave(output, move |gradient, register| {
        let [signal, gradient] = [signal, gradient].map(contiguous);
        let slopes = transform::backward(&plan, values(&signal), samples, values(&gradient));
        register(0, tensor(slopes, [batch, samples]));
    })
}
