//! Convolution of the CPU backend, and its place in the graph.

use super::correlate::{Phase, Steps, Weights, correlate};
use super::signal::{Signal, channel_sums};
use super::weights::{Meeting, weight_gradient};
use crate::backend::{shape, tensor, values};
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;

/// What is computed, beside the operands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    pub(super) kind: Kind,
    pub(super) stride: usize,
    /// Frames of zeros before the first, or that are left out there.
    pub(super) left: usize,
    /// Of the output.
    pub(super) frames: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Transposed,
}

pub(super) fn convolve(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    convolution: Convolution,
) -> Tensor<3> {
    let bias = bias.unwrap_or_else(|| {
        let c_out = match (convolution.kind, weight.dims()) {
            (Kind::Plain, [c_out, _, _]) | (Kind::Transposed, [_, c_out, _]) => c_out,
        };
        Tensor::zeros([c_out], &x.device())
    });
    Tensor::from_dispatch(<Dispatch as ConvolutionOps>::convolve(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        convolution,
    ))
}

/// The operation, where it has a fused version.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait ConvolutionOps: Backend {
    /// The output, from `[batch, c_in, frames]`, the weights, and `[c_out]`.
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self>;
}

/// The gradients of [`ConvolutionOps::convolve`], which nothing differentiates once more.
pub(crate) trait ConvolutionGradients: ConvolutionOps {
    /// The gradient of an input of so many frames.
    fn x_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        convolution: Convolution,
        frames: usize,
    ) -> FloatTensor<Self>;

    /// The gradient of the weights, which have so many taps.
    fn weight_gradient(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        convolution: Convolution,
        taps: usize,
    ) -> FloatTensor<Self>;

    fn bias_gradient(gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl ConvolutionOps for Flex {
    fn convolve(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        convolution: Convolution,
    ) -> FlexTensor {
        let bias = bias.to_contiguous();
        run(x, weight, values(&bias), convolution)
    }
}

impl ConvolutionGradients for Flex {
    fn x_gradient(
        weight: FlexTensor,
        gradient: FlexTensor,
        convolution: Convolution,
        frames: usize,
    ) -> FlexTensor {
        let [a, b, _] = dims(&weight);
        let (kind, c_in) = match convolution.kind {
            Kind::Plain => (Kind::Transposed, b),
            Kind::Transposed => (Kind::Plain, a),
        };
        let adjoint = Convolution {
            kind,
            frames,
            ..convolution
        };
        run(gradient, weight, &vec![0.0; c_in], adjoint)
    }

    fn weight_gradient(
        x: FlexTensor,
        gradient: FlexTensor,
        convolution: Convolution,
        taps: usize,
    ) -> FlexTensor {
        let [x, gradient] = [x, gradient].map(|tensor| tensor.to_contiguous());
        let [x, gradient] = [signal(&x), signal(&gradient)];
        let (near, far) = match convolution.kind {
            Kind::Plain => (gradient, x),
            Kind::Transposed => (x, gradient),
        };
        let meeting = Meeting {
            taps,
            stride: convolution.stride,
            left: convolution.left,
        };
        let shape = [near.channels, far.channels, taps];
        tensor(weight_gradient(near, far, meeting), shape)
    }

    fn bias_gradient(gradient: FlexTensor) -> FlexTensor {
        let gradient = gradient.to_contiguous();
        let sums = channel_sums(signal(&gradient));
        let shape = [sums.len()];
        tensor(sums, shape)
    }
}

fn run(x: FlexTensor, weight: FlexTensor, bias: &[f32], convolution: Convolution) -> FlexTensor {
    let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
    let (shape, weights) = (dims(&weight), values(&weight));
    let x = signal(&x);
    let phases = match convolution.kind {
        Kind::Plain => vec![plain_phase(weights, shape[2], convolution)],
        Kind::Transposed => transposed_phases(weights, shape, convolution),
    };
    let y = correlate(x, &phases, bias, convolution.frames);
    tensor(y, [x.batch, bias.len(), convolution.frames])
}

/// A convolution is a single phase.
fn plain_phase(weights: &[f32], taps: usize, convolution: Convolution) -> Phase<'_> {
    Phase {
        weights: Weights::ByOutput(weights),
        taps,
        read: Steps {
            start: -(convolution.left as isize),
            step: convolution.stride,
        },
        write: Steps { start: 0, step: 1 },
        frames: convolution.frames,
    }
}

/// Of a transposed convolution, the frames `t` with the same `(t + left) % stride` meet the same taps.
///
/// With `t + left = stride m + first` they are `k = first + stride i`, which meet `x[m - i]`.
fn transposed_phases(
    weights: &[f32],
    shape: [usize; 3],
    convolution: Convolution,
) -> Vec<Phase<'_>> {
    let Convolution {
        stride,
        left,
        frames,
        ..
    } = convolution;
    let [_, _, taps] = shape;
    (0..stride)
        .filter_map(|first| {
            let first_m = left.saturating_sub(first).div_ceil(stride);
            let start = stride * first_m + first - left;
            let of_phase = (first..taps).step_by(stride).len();
            (start < frames).then(|| Phase {
                weights: Weights::ByInput {
                    data: weights,
                    taps,
                    first,
                    step: stride,
                },
                taps: of_phase,
                read: Steps {
                    start: first_m as isize + 1 - of_phase as isize,
                    step: 1,
                },
                write: Steps {
                    start,
                    step: stride,
                },
                frames: (frames - start).div_ceil(stride),
            })
        })
        .collect()
}

fn signal(tensor: &FlexTensor) -> Signal<'_> {
    Signal::new(values(tensor), dims(tensor))
}

fn dims(tensor: &FlexTensor) -> [usize; 3] {
    std::array::from_fn(|axis| tensor.layout().shape()[axis])
}

impl<B: ConvolutionGradients, C: CheckpointStrategy> ConvolutionOps for Autodiff<B, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        convolution: Convolution,
    ) -> FloatTensor<Self> {
        let nodes = [x.node(), weight.node(), bias.node()];
        let [x_is_tracked, weight_is_tracked] = [x.is_tracked(), weight.is_tracked()];
        let [x, weight] = [x.into_primitive(), weight.into_primitive()];
        let state = Kept::<B> {
            frames: shape(&x)[2],
            taps: shape(&weight)[2],
            // What one operand's gradient needs is the other operand.
            x: weight_is_tracked.then(|| x.clone()),
            weight: x_is_tracked.then(|| weight.clone()),
            convolution,
        };
        let output = B::convolve(x, weight, bias.into_primitive(), convolution);
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
    frames: usize,
    taps: usize,
    convolution: Convolution,
}

/// The node in the graph.
#[derive(Debug)]
struct Node;

impl<B: ConvolutionGradients> Backward<B, 3> for Node {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let Kept {
            x,
            weight,
            frames,
            taps,
            convolution,
        } = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let [x_node, weight_node, bias_node] = ops.parents;
        if let (Some(node), Some(weight)) = (x_node, weight) {
            let gradient = B::x_gradient(weight, gradient.clone(), convolution, frames);
            grads.register::<B>(node.id, gradient);
        }
        if let (Some(node), Some(x)) = (weight_node, x) {
            let gradient = B::weight_gradient(x, gradient.clone(), convolution, taps);
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = bias_node {
            grads.register::<B>(node.id, B::bias_gradient(gradient));
        }
    }
}
