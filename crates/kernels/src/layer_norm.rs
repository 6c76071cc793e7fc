//! Layer normalisation.

#[cfg(feature = "flex")]
mod backward;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod forward;

use burn::tensor::{DType, Tensor, module};

/// Layer normalisation: the features of every token with mean 0 and deviation 1.
///
/// ```text
/// y_i = gamma_i (x_i - m) / sqrt(v + epsilon) + beta_i      m, v: mean and variance over the features
/// ```
///
/// Ba et al. 2016, equations 3 and 4. The variance is over n, and computed in f32 or wider whatever the
/// input is.
///
/// On the CPU the backward pass keeps nothing but the operands, and writes into the gradient that it is
/// given if nobody else holds that.
///
/// # Shapes
/// - x, output: `[batch, tokens, features]`
/// - gamma, beta: `[features]`
///
/// # Panics
/// If the shapes don't fit together.
///
/// # Example
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let x = Tensor::<3>::from_data([[[2.0, 4.0], [7.0, 7.0]]], &device);
/// let [gamma, beta] = [[1.0, 1.0], [0.0, 5.0]].map(|x| Tensor::<1>::from_data(x, &device));
/// let y = kernels::layer_norm(x, gamma, beta, 1e-12);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 6.0, 0.0, 5.0]);
/// # }
/// ```
pub fn layer_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<3> {
    let [_, _, features] = x.dims();
    for (name, dims) in [("gamma", gamma.dims()), ("beta", beta.dims())] {
        assert_eq!(
            [features],
            dims,
            "the shape of {name} must be [features] of x"
        );
    }
    #[cfg(feature = "flex")]
    if flex::takes(&x, [&gamma, &beta]) {
        return flex::normalize(x, gamma, beta, epsilon);
    }
    stock(x, gamma, beta, epsilon)
}

/// Of Burn's operations, for backends without an own version.
fn stock(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<3> {
    let dtype = x.dtype();
    if dtype == DType::F64 {
        return module::layer_norm(x, gamma, Some(beta), epsilon);
    }
    let [gamma, beta] = [gamma, beta].map(|parameter| parameter.cast(DType::F32));
    module::layer_norm(x.cast(DType::F32), gamma, Some(beta), epsilon).cast(dtype)
}
