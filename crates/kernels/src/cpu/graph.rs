//! The way of a fused operation from tensors to values and back.

use crate::autodiff::{Register, record};
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::ops::NodeGuard;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    AutodiffBackend, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
    Flex,
};
use burn::tensor::Tensor;

/// The place of an operation in the autodiff graph; `None` if none of its `N` operands has autodiff.
///
/// ```text
/// let (graph, [x, y]) = Graph::enter([x.into_dispatch(), y.into_dispatch()]);
/// let output = multiply(&x, &y);
/// graph.leave(output, move |gradient, register| {
///     register(0, multiply(&gradient, &y));
///     register(1, multiply(&gradient, &x));
/// })
/// ```
pub(crate) struct Graph<const N: usize>(Option<(DispatchAutodiffContext, [NodeGuard; N])>);

impl<const N: usize> Graph<N> {
    /// The place of an operation on these float tensors, and their values. Next to operands with autodiff,
    /// those without are constants.
    ///
    /// # Panics
    /// If a tensor lies on another backend.
    pub(crate) fn enter(operands: [DispatchTensor; N]) -> (Self, [FlexTensor; N]) {
        let contexts = operands.iter().map(|operand| operand.autodiff);
        let context = contexts.fold(
            DispatchAutodiffContext::Disabled,
            DispatchAutodiffContext::merge,
        );
        if context == DispatchAutodiffContext::Disabled {
            return (Self(None), operands.map(|x| on_flex(x.kind).float()));
        }
        let operands = operands.map(with_autodiff);
        let nodes = operands.each_ref().map(|operand| operand.node());
        let values = operands.map(|operand| operand.into_primitive());
        (Self(Some((context, nodes))), values)
    }

    /// The output as a tensor, with its backward pass: see [`record`].
    pub(crate) fn leave<const D: usize>(
        self,
        output: FlexTensor,
        backward: impl FnOnce(FlexTensor, Register<'_, Flex>) + Send + 'static,
    ) -> Tensor<D> {
        let Self(Some((context, nodes))) = self else {
            return Tensor::from_primitive::<Flex>(output);
        };
        let output = record::<Flex, _, N>(nodes, output, backward);
        let output = DispatchTensorKind::Flex(BackendTensor::Autodiff(output));
        Tensor::from_dispatch(DispatchTensor {
            kind: DispatchTensorKind::Autodiff(output.into()),
            autodiff: context,
        })
    }
}

fn with_autodiff(tensor: DispatchTensor) -> FloatTensor<Autodiff<Flex>> {
    match tensor.kind {
        DispatchTensorKind::Autodiff(inner) => on_flex(*inner).autodiff(),
        kind => Autodiff::<Flex>::from_inner(on_flex(kind).float()),
    }
}

fn on_flex(kind: DispatchTensorKind) -> BackendTensor<Flex> {
    match kind {
        DispatchTensorKind::Flex(tensor) => tensor,
        _ => panic!("a tensor of a fused operation lies on another backend"),
    }
}
