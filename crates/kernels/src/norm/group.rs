//! Group normalisation, with a SiLU after it or without.

#[cfg(feature = "flex")]
mod values;

use super::check_parameters;
use burn::tensor::activation::silu;
use burn::tensor::{DType, Tensor};

/// Group normalisation: the channels of every item in groups, each group with mean 0 and standard
/// deviation 1.
///
/// ```text
/// y = gamma_c (x - m) / sqrt(v + epsilon) + beta_c      m, v: mean and variance over the frames of
///                                                       all channels of the group of channel c
/// ```
///
/// Wu & He 2018, equations 1 to 3 and 6. The variance is the biased one, divided by n. It is computed in f32
/// or wider for every type of input.
///
/// On the CPU the backward pass keeps only the operands. It writes into the gradient of the output, unless
/// that is shared.
///
/// # Shapes
/// - x, output: `[batch, channels, frames]`
/// - gamma, beta: `[channels]`
///
/// # Panics
/// If the shapes don't fit together, or the number of groups doesn't divide the channels.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let x = Tensor::<3>::from_data([[[1.0, 3.0], [5.0, 5.0]]], &device);
/// let [gamma, beta] = [[1.0, 2.0], [0.0, 7.0]].map(|x| Tensor::<1>::from_data(x, &device));
/// // Each channel is a group; the second has no deviation.
/// let y = kernels::group_norm(x, 2, gamma, beta, 0.0625);
/// let y = y.into_data().try_to_vec::<f32>().unwrap();
/// assert!((y[0] + y[1]).abs() < 1e-6 && (y[1] - 0.970_142_5).abs() < 1e-6);
/// assert_eq!(y[2..], [7.0, 7.0]);
/// ```
pub fn group_norm(
    x: Tensor<3>,
    groups: usize,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<3> {
    let settings = Settings {
        groups,
        epsilon,
        activation: Activation::None,
    };
    normalize(x, gamma, beta, settings)
}

/// [`group_norm`] followed by SiLU, `z / (1 + exp(-z))` (Elfwing et al. 2018), without the tensor between
/// the two.
///
/// # Shapes
/// - x, output: `[batch, channels, frames]`
/// - gamma, beta: `[channels]`
///
/// # Panics
/// As [`group_norm`].
pub fn group_norm_silu(
    x: Tensor<3>,
    groups: usize,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<3> {
    let settings = Settings {
        groups,
        epsilon,
        activation: Activation::Silu,
    };
    normalize(x, gamma, beta, settings)
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    groups: usize,
    epsilon: f64,
    activation: Activation,
}

/// What comes after the normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activation {
    None,
    Silu,
}

fn normalize(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, settings: Settings) -> Tensor<3> {
    let [_, channels, _] = x.dims();
    check_parameters(&gamma, &beta, "channels", channels);
    let groups = settings.groups;
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "expected a number of groups that divides {channels} channels, got {groups}"
    );
    #[cfg(feature = "flex")]
    if super::affine::are_fused(&x, &gamma, &beta) {
        return super::affine::normalize(
            x,
            gamma,
            beta,
            move |operands| values::forward(operands, settings),
            move |operands, gradient| values::backward(operands, gradient, settings),
        );
    }
    stock(x, gamma, beta, settings)
}

/// By Burn's operations, for backends without a fused version.
fn stock(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, settings: Settings) -> Tensor<3> {
    let [batch, channels, frames] = x.dims();
    let dtype = x.dtype();
    let wide = if dtype == DType::F64 {
        x
    } else {
        x.cast(DType::F32)
    };
    let groups = settings.groups;
    let of_groups = wide.reshape([batch, groups, channels / groups * frames]);
    let centred = of_groups.clone() - of_groups.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let normalized = centred / (variance + settings.epsilon).sqrt();
    let normalized = normalized.reshape([batch, channels, frames]).cast(dtype);
    let [gamma, beta] = [gamma, beta].map(|x| x.reshape([1, channels, 1]));
    let z = normalized * gamma + beta;
    match settings.activation {
        Activation::None => z,
        Activation::Silu => silu(z),
    }
}
