//! Convolution over time as one matrix product.

use burn::nn::PaddingConfig1d;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Tensor, s};

/// A convolution with stride 1 that keeps the number of frames, for [`convolve`].
pub(crate) fn same_conv(c_in: usize, c_out: usize, kernel_size: usize) -> Conv1dConfig {
    let reach = kernel_size / 2;
    Conv1dConfig::new(c_in, c_out, kernel_size)
        .with_padding(PaddingConfig1d::Explicit(reach, reach))
}

/// `same_conv(..)`, drawn as PyTorch draws its convolutions.
pub(crate) fn init_same_conv(
    c_in: usize,
    c_out: usize,
    kernel_size: usize,
    device: &Device,
) -> Conv1d {
    same_conv(c_in, c_out, kernel_size).init(device)
}

/// What `conv.forward(x)` computes, faster.
///
/// ```text
/// y[o, t] = b[o] + sum_k sum_c W[o, c, k] x[c, t + k - K/2]
/// ```
///
/// Burn's own gradient with respect to `W` is a convolution whose kernel is as long as the signal,
/// which on the CPU costs several times the forward pass. Here the sum over `c` is one product for
/// the whole batch, with the taps `k` stacked where there are fewer channels, so that its gradients
/// are two further products of the same size.
///
/// `conv` comes from [`same_conv`]: stride 1, odd kernel, zeros beyond both ends, a bias.
///
/// # Shapes
/// - x: `[batch, c_in, frames]`
/// - output: `[batch, c_out, frames]`
pub(crate) fn convolve(conv: &Conv1d, x: Tensor<3>) -> Tensor<3> {
    let [batch, c_in, frames] = x.dims();
    let weight = conv.weight.val();
    let [c_out, _, taps] = weight.dims();
    let reach = taps / 2;
    let width = frames + 2 * reach;
    let x = if reach > 0 {
        x.pad([(reach, reach)], PadMode::Constant(0.0))
    } else {
        x
    };
    let x = x.swap_dims(0, 1);

    let y = if c_in >= c_out {
        let weight = weight.permute([2, 0, 1]).reshape([taps * c_out, c_in]);
        let products = weight
            .matmul(x.reshape([c_in, batch * width]))
            .reshape([taps, c_out, batch, width]);
        let tap = |k: usize| {
            let shifted = products.clone().slice(s![k..k + 1, .., .., k..k + frames]);
            shifted.squeeze_dim::<3>(0)
        };
        (1..taps).fold(tap(0), |sum, k| sum + tap(k))
    } else {
        let weight = weight.permute([0, 2, 1]).reshape([c_out, taps * c_in]);
        let shifted = (0..taps).map(|k| x.clone().slice(s![.., .., k..k + frames]));
        let columns = Tensor::cat(shifted.collect(), 0).reshape([taps * c_in, batch * frames]);
        weight.matmul(columns).reshape([c_out, batch, frames])
    };
    let bias = conv.bias.as_ref().expect("same_conv has a bias").val();
    y.swap_dims(0, 1) + bias.reshape([1, c_out, 1])
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
            // A slope that differs at each place, so that no shift or swap goes unseen.
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
