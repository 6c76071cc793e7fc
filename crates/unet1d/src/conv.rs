//! Convolution that keeps the number of frames.

use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::{Device, Tensor};
use kernels::Conv1dOptions;

/// Configuration of a convolution with stride 1 that keeps the number of frames, for [`convolve`].
pub(crate) fn same_conv(c_in: usize, c_out: usize, kernel_size: usize) -> Conv1dConfig {
    let reach = kernel_size / 2;
    Conv1dConfig::new(c_in, c_out, kernel_size)
        .with_padding(PaddingConfig1d::Explicit(reach, reach))
}

/// A [`same_conv`] with the initialisation that PyTorch gives its convolutions.
pub(crate) fn init_same_conv(
    c_in: usize,
    c_out: usize,
    kernel_size: usize,
    device: &Device,
) -> Conv1d {
    same_conv(c_in, c_out, kernel_size).init(device)
}

/// Applies `conv` through [`kernels::conv1d`], with the result of `conv.forward(x)`.
///
/// `conv` comes from [`same_conv`]: stride 1, odd kernel, zero padding at both ends, a bias.
///
/// # Shapes
/// - x: `[batch, c_in, frames]`
/// - output: `[batch, c_out, frames]`
pub(crate) fn convolve(conv: &Conv1d, x: Tensor<3>) -> Tensor<3> {
    let options = Conv1dOptions::same(conv.kernel_size);
    kernels::conv1d(x, conv.weight.val(), bias(conv), options)
}

pub(crate) fn bias(conv: &Conv1d) -> Option<Tensor<1>> {
    conv.bias.as_ref().map(|bias| bias.val())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn values_and_gradients_are_those_of_burns_convolution() {
        let device = Device::flex().autodiff();
        let mut compared = 0;
        for (c_in, c_out, taps) in [
            (7, 3, 3),
            (3, 7, 3),
            (5, 5, 3),
            (7, 3, 1),
            (3, 7, 1),
            (4, 6, 5),
        ] {
            let conv = init_same_conv(c_in, c_out, taps, &device);
            let x =
                Tensor::<3>::random([2, c_in, 11], Distribution::Default, &device).require_grad();
            // The gradient of the output differs at each position, so that a shift or a swap shows.
            let slope = Tensor::<3>::random([2, c_out, 11], Distribution::Default, &device);
            let outputs = [conv.forward(x.clone()), convolve(&conv, x.clone())];
            let [expected, got] = outputs.map(|y| {
                let gradients = (y.clone() * slope.clone()).sum().backward();
                [
                    y.into_data(),
                    x.grad(&gradients).unwrap().into_data(),
                    conv.weight.val().grad(&gradients).unwrap().into_data(),
                    conv.bias
                        .as_ref()
                        .unwrap()
                        .val()
                        .grad(&gradients)
                        .unwrap()
                        .into_data(),
                ]
            });
            for (got, expected) in got.into_iter().zip(expected) {
                got.assert_approx_eq::<f32>(&expected, Tolerance::rel_abs(1e-4, 1e-4));
                compared += 1;
            }
        }
        assert_eq!(compared, 24);
    }
}
