//! Convolution on the CPU backend.

use super::correlate::correlate;
use super::phase::{Phase, Steps, Weights};
use super::signal::{Signal, channel_sums};
use super::weights::{Meeting, weight_gradient};
use crate::cpu::backend::{shape, tensor, values};
use crate::cpu::graph::Graph;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

/// What is computed, besides the operands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    pub(super) kind: Kind,
    pub(super) stride: usize,
    /// Frames of zeros before the first frame; in a transposed convolution, frames that are left out there.
    pub(super) left: usize,
    /// Frames of the output.
    pub(super) frames: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
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
    let ([_, _, frames], [_, _, taps]) = (x.dims(), weight.dims());
    let [x_is_tracked, weight_is_tracked] = [x.is_tracked(), weight.is_tracked()];
    let bias_is_tracked = bias.is_tracked();
    let operands = [
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ];
    let (graph, [x, weight, bias]) = Graph::enter(operands);
    // The gradient of one factor needs the other.
    let kept_x = weight_is_tracked.then(|| x.clone());
    let kept_weight = x_is_tracked.then(|| weight.clone());
    let output = run(x, weight, values(&bias.to_contiguous()), convolution);
    graph.leave(output, move |gradient, register| {
        if let Some(weight) = kept_weight {
            register(0, x_gradient(weight, gradient.clone(), convolution, frames));
        }
        if let Some(x) = kept_x {
            register(
                1,
                weight_gradient_of(x, gradient.clone(), convolution, taps),
            );
        }
        if bias_is_tracked {
            register(2, bias_gradient(gradient));
        }
    })
}

/// The gradient of an input of so many frames.
fn x_gradient(
    weight: FlexTensor,
    gradient: FlexTensor,
    convolution: Convolution,
    frames: usize,
) -> FlexTensor {
    let [a, b, _] = shape(&weight);
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

/// The gradient of weights of so many taps.
fn weight_gradient_of(
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
    let sums = weight_gradient(near, far, meeting);
    tensor(sums, [near.channels, far.channels, taps])
}

fn bias_gradient(gradient: FlexTensor) -> FlexTensor {
    let gradient = gradient.to_contiguous();
    let gradient = signal(&gradient);
    tensor(channel_sums(gradient), [gradient.channels])
}

fn run(x: FlexTensor, weight: FlexTensor, bias: &[f32], convolution: Convolution) -> FlexTensor {
    let [x, weight] = [x, weight].map(|tensor| tensor.to_contiguous());
    let (sizes, weights) = (shape(&weight), values(&weight));
    let x = signal(&x);
    let phases = match convolution.kind {
        Kind::Plain => vec![plain_phase(weights, sizes[2], convolution)],
        Kind::Transposed => transposed_phases(weights, sizes, convolution),
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

/// In a transposed convolution, frames `t` with the same `(t + left) % stride` use the same taps.
///
/// With `t + left = stride m + first` these are the taps `k = first + stride i`, multiplied by `x[m - i]`.
fn transposed_phases(
    weights: &[f32],
    [_, _, taps]: [usize; 3],
    convolution: Convolution,
) -> Vec<Phase<'_>> {
    let Convolution {
        stride,
        left,
        frames,
        ..
    } = convolution;
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
    Signal::new(values(tensor), shape(tensor))
}
