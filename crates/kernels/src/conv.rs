//! Convolution over time and its transpose.

#[cfg(feature = "flex")]
mod correlate;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod phase;
#[cfg(feature = "flex")]
mod signal;
#[cfg(feature = "flex")]
mod weights;
#[cfg(feature = "flex")]
mod winograd;

#[cfg(feature = "flex")]
use crate::cpu::backend::is_fused;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

/// Stride and padding of [`conv1d`] and [`conv_transpose1d`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv1dOptions {
    /// Frames from one window to the next, at least 1.
    pub stride: usize,
    /// Frames of zeros before the first and after the last frame. In the transposed convolution, frames of the
    /// output that are cut off there.
    pub padding: [usize; 2],
}

impl Conv1dOptions {
    /// Stride 1 and `kernel_size / 2` zeros at both ends, which keeps the number of frames if
    /// `kernel_size` is odd.
    pub fn same(kernel_size: usize) -> Self {
        Self {
            stride: 1,
            padding: [kernel_size / 2; 2],
        }
    }
}

/// Convolution over time.
///
/// ```text
/// y[o, t] = b[o] + sum_c sum_k W[o, c, k] x[c, stride t + k - padding[0]]      k = 0..kernel_size
/// ```
///
/// `x` is zero beyond its ends, and the last window is the last one that fits. As in every deep-learning library
/// the kernel is not reversed: mathematically this is a cross-correlation.
///
/// Any kernel size, stride and padding are supported; dilation and groups are not.
///
/// On the CPU, with the feature `flex` and in f32, windows are laid out for a few dozen frames at a time and
/// multiplied while they are in the caches (Chetlur et al. 2014, cuDNN, section 3.1). Windows of three frames at
/// stride 1 are computed two at a time (Lavin & Gray 2016, section 4.1). Gradients are products of the same kind.
/// Elsewhere this is Burn's convolution.
///
/// # Shapes
/// - x: `[batch, c_in, frames]`
/// - weight: `[c_out, c_in, kernel_size]`
/// - bias: `[c_out]`
/// - output: `[batch, c_out, (padding[0] + frames + padding[1] - kernel_size) / stride + 1]`
///
/// # Panics
/// If the shapes don't fit together, or the padded frames are fewer than `kernel_size`.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kernels::{Conv1dOptions, conv1d};
///
/// let device = Device::flex();
/// let x = Tensor::<3>::from_data([[[1.0, 2.0, 4.0, 8.0]]], &device);
/// let weight = Tensor::<3>::from_data([[[-1.0, 0.0, 1.0]]], &device);
/// let y = conv1d(x, weight, None, Conv1dOptions::same(3));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [2.0, 3.0, 6.0, -4.0]);
/// ```
pub fn conv1d(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: Conv1dOptions,
) -> Tensor<3> {
    let [_, c_in, frames] = x.dims();
    let [c_out, weight_channels, kernel_size] = weight.dims();
    check(
        [weight_channels, c_in],
        bias.as_ref(),
        [c_out, kernel_size],
        options,
    );
    let [left, right] = options.padding;
    let padded = left + frames + right;
    assert!(
        kernel_size <= padded,
        "a window of {kernel_size} frames must fit, got {frames} and padding {:?}",
        options.padding
    );
    #[cfg(feature = "flex")]
    if all_fused(&x, &weight, bias.as_ref()) {
        let convolution = flex::Convolution {
            kind: flex::Kind::Plain,
            stride: options.stride,
            left,
            frames: (padded - kernel_size) / options.stride + 1,
        };
        return flex::convolve(x, weight, bias, convolution);
    }
    stock(x, weight, bias, options)
}

/// The transpose of [`conv1d`]: every frame of `x` adds a weighted kernel to the output.
///
/// ```text
/// y[o, t] = b[o] + sum_c sum_k W[c, o, k] x[c, (t + padding[0] - k) / stride]
/// ```
///
/// over the `k` for which the fraction is whole. With `b = 0` and the same `W` this is the gradient of
/// `conv1d` with respect to its input (Dumoulin & Visin 2016, chapter 4).
///
/// It has the limits and the fused version of [`conv1d`].
///
/// # Shapes
/// - x: `[batch, c_in, frames]`, at least one frame
/// - weight: `[c_in, c_out, kernel_size]`
/// - bias: `[c_out]`
/// - output: `[batch, c_out, (frames - 1) stride + kernel_size - padding[0] - padding[1]]`
///
/// # Panics
/// If the shapes don't fit together, or the padding leaves no frame.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kernels::{Conv1dOptions, conv_transpose1d};
///
/// let device = Device::flex();
/// let x = Tensor::<3>::from_data([[[1.0, 10.0]]], &device);
/// let weight = Tensor::<3>::from_data([[[1.0, 2.0, 3.0]]], &device);
/// let options = Conv1dOptions { stride: 2, padding: [0, 0] };
/// let y = conv_transpose1d(x, weight, None, options);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0, 13.0, 20.0, 30.0]);
/// ```
pub fn conv_transpose1d(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: Conv1dOptions,
) -> Tensor<3> {
    let [_, c_in, frames] = x.dims();
    let [weight_channels, c_out, kernel_size] = weight.dims();
    check(
        [weight_channels, c_in],
        bias.as_ref(),
        [c_out, kernel_size],
        options,
    );
    let [left, right] = options.padding;
    let reach = frames.saturating_sub(1) * options.stride + kernel_size;
    assert!(
        frames > 0 && left + right < reach,
        "padding {:?} must leave at least one of the {reach} frames of the output",
        options.padding
    );
    #[cfg(feature = "flex")]
    if all_fused(&x, &weight, bias.as_ref()) {
        let convolution = flex::Convolution {
            kind: flex::Kind::Transposed,
            stride: options.stride,
            left,
            frames: reach - left - right,
        };
        return flex::convolve(x, weight, bias, convolution);
    }
    stock_transpose(x, weight, bias, options)
}

fn check(
    [weight_channels, c_in]: [usize; 2],
    bias: Option<&Tensor<1>>,
    [c_out, kernel_size]: [usize; 2],
    options: Conv1dOptions,
) {
    assert_eq!(
        weight_channels, c_in,
        "the weights are for {weight_channels} channels, got {c_in}"
    );
    if let Some(bias) = bias {
        assert_eq!(
            [c_out],
            bias.dims(),
            "the shape of bias must be as expected"
        );
    }
    assert!(
        kernel_size > 0,
        "a kernel needs at least one frame, got none"
    );
    assert!(options.stride > 0, "the stride must be at least 1, got 0");
}

#[cfg(feature = "flex")]
fn all_fused(x: &Tensor<3>, weight: &Tensor<3>, bias: Option<&Tensor<1>>) -> bool {
    is_fused(x) && is_fused(weight) && bias.is_none_or(is_fused)
}

fn stock(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: Conv1dOptions,
) -> Tensor<3> {
    let [left, right] = options.padding;
    let options = ConvOptions {
        padding: [(left, right)],
        ..ConvOptions::new([options.stride], [0], [1], 1)
    };
    module::conv1d(x, weight, bias, options)
}

fn stock_transpose(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: Conv1dOptions,
) -> Tensor<3> {
    // Burn's padding is the same at both ends. The rest of the larger one is cut off afterwards.
    let [left, right] = options.padding;
    let common = left.min(right);
    let options = ConvTransposeOptions::new([options.stride], [common], [0], [1], 1);
    let y = module::conv_transpose1d(x, weight, bias, options);
    let [_, _, frames] = y.dims();
    y.narrow(
        2,
        left - common,
        frames - (left - common) - (right - common),
    )
}
