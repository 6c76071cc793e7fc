//! Group normalisation, with a SiLU after it or without.

#[cfg(feature = "flex")]
mod backward;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod forward;

use burn::tensor::activation::silu;
use burn::tensor::{DType, Tensor};

/// Group normalisation: every item's channels in groups, each with mean 0 and deviation 1.
///
/// ```text
/// y = gamma_c (x - m) / sqrt(v + epsilon) + beta_c      m, v: mean and variance over the frames of
///                                                       all channels of the group of channel c
/// ```
///
/// Wu & He 2018, equations 1 to 3 and 6. The variance is over n, and computed in f32 or wider whatever
/// the input is.
///
/// On the CPU the backward pass keeps nothing but the operands, and writes into the gradient that it is
/// given if nobody else holds that.
///
/// # Shapes
/// - x, output: `[batch, channels, frames]`
/// - gamma, beta: `[channels]`
///
/// # Panics
/// If the shapes don't fit together, or the channels can't be divided into so many groups.
///
/// # Example
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let x = Tensor::<3>::from_data([[[1.0, 3.0], [5.0, 5.0]]], &device);
/// let [gamma, beta] = [[1.0, 2.0], [0.0, 7.0]].map(|x| Tensor::<1>::from_data(x, &device));
/// // Each channel is its own group here; the second has no deviation.
/// let y = kernels::group_norm(x, 2, gamma, beta, 0.0625);
/// let y = y.into_data().try_to_vec::<f32>().unwrap();
/// assert!((y[0] + y[1]).abs() < 1e-6 && (y[1] - 0.970_142_5).abs() < 1e-6);
/// assert_eq!(y[2..], [7.0, 7.0]);
/// # }
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

/// [`group_norm`], and SiLU of what it gives: `z / (1 + exp(-z))` (Elfwing et al. 2018). The tensor
/// between the two never exists.
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
pub(crate) struct Settings {
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
    for (name, dims) in [("gamma", gamma.dims()), ("beta", beta.dims())] {
        assert_eq!(
            [channels],
            dims,
            "the shape of {name} must be [channels] of x"
        );
    }
    let groups = settings.groups;
    assert!(
        groups > 0 && channels.is_multiple_of(groups),
        "expected a number of groups that divides {channels} channels, got {groups}"
    );
    #[cfg(feature = "flex")]
    if flex::takes(&x, [&gamma, &beta]) {
        return flex::normalize(x, gamma, beta, settings);
    }
    stock(x, gamma, beta, settings)
}

/// Of Burn's operations, for backends without an own version.
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
