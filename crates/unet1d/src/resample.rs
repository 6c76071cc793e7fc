//! Changes of the time resolution: [`Halve`] and [`Double`].

use crate::conv::bias;
use burn::module::Module;
use burn::nn::conv::{Conv1d, Conv1dConfig, ConvTranspose1d, ConvTranspose1dConfig};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor};
use kernels::Conv1dOptions;

/// Number of frames after [`Halve`]: half of `frames`, rounded down, at least one.
pub(crate) fn halved(frames: usize) -> usize {
    (frames / 2).max(1)
}

/// Halves the frames: convolution with kernel 4, stride 2 and one frame of zeros at each end.
///
/// The kernel is a multiple of the stride, so every frame contributes to equally many outputs. With
/// an odd number of frames the last window ends on the last frame, without a zero after it. A single
/// frame is followed by two zeros, so that there is one window.
#[derive(Module, Debug)]
pub(crate) struct Halve {
    conv: Conv1d,
}

impl Halve {
    pub(crate) fn init(channels: usize, device: &Device) -> Self {
        // The padding depends on the number of frames: `forward` adds it.
        Self {
            conv: Conv1dConfig::new(channels, channels, 4)
                .with_stride(2)
                .init(device),
        }
    }

    /// # Shapes
    /// - x: `[batch, channels, frames]`
    /// - output: `[batch, channels, halved(frames)]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, _, frames] = x.dims();
        let right = if frames == 1 { 2 } else { 1 };
        let options = Conv1dOptions {
            stride: 2,
            padding: [1, right],
        };
        kernels::conv1d(x, self.conv.weight.val(), bias(&self.conv), options)
    }
}

/// Doubles the frames: transposed convolution with kernel 4 and stride 2, the adjoint of [`Halve`].
#[derive(Module, Debug)]
pub(crate) struct Double {
    conv: ConvTranspose1d,
}

impl Double {
    pub(crate) fn init(channels: usize, device: &Device) -> Self {
        Self {
            conv: ConvTranspose1dConfig::new([channels, channels], 4)
                .with_stride(2)
                .with_padding(1)
                .init(device),
        }
    }

    /// Restores the number of frames from before [`Halve`]. If it was odd, a frame of zeros is appended;
    /// if it was 1, the second frame is cut off.
    ///
    /// # Shapes
    /// - x: `[batch, channels, halved(frames)]`
    /// - output: `[batch, channels, frames]`
    pub(crate) fn forward(&self, x: Tensor<3>, frames: usize) -> Tensor<3> {
        let options = Conv1dOptions {
            stride: 2,
            padding: [1, 1],
        };
        let bias = self.conv.bias.as_ref().map(|bias| bias.val());
        let y = kernels::conv_transpose1d(x, self.conv.weight.val(), bias, options);
        let [_, _, got] = y.dims();
        if got < frames {
            y.pad([(0, frames - got)], PadMode::Constant(0.0))
        } else {
            y.narrow(2, 0, frames)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn doubling_undoes_what_halving_did_to_the_frames() {
        let device = Device::flex();
        let (halve, double) = (Halve::init(3, &device), Double::init(3, &device));
        for frames in 1..=40 {
            let x = Tensor::<3>::zeros([2, 3, frames], &device);
            let half = halve.forward(x);
            assert_eq!(half.dims(), [2, 3, halved(frames)]);
            assert_eq!(double.forward(half, frames).dims(), [2, 3, frames]);
        }
    }

    #[test]
    fn every_frame_reaches_a_halved_one() {
        let device = Device::flex().autodiff();
        let halve = Halve::init(3, &device);
        for frames in 1..=9 {
            let x =
                Tensor::<3>::random([1, 3, frames], Distribution::Default, &device).require_grad();
            let gradients = halve.forward(x.clone()).square().sum().backward();
            let reach = x.grad(&gradients).unwrap().abs().sum_dim(1);
            let reach = reach.into_data().try_to_vec::<f32>().unwrap();
            assert_eq!(reach.len(), frames);
            assert!(
                reach.iter().all(|&slope| slope > 0.0),
                "{frames} frames: {reach:?}"
            );
        }
    }
}
