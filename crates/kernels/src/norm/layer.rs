//! Layer normalisation.

#[cfg(feature = "flex")]
mod values;

use super::check_parameters;
use burn::tensor::{DType, Tensor, module};

/// Layer normalisation: the features of every token with mean 0 and standard deviation 1.
///
/// ```text
/// y_i = gamma_i (x_i - m) / sqrt(v + epsilon) + beta_i      m, v: mean and variance over the features
/// ```
///
/// Ba et al. 2016, equations 3 and 4. The variance is the biased one, divided by n. It is computed in f32 or
/// wider for every type of input.
///
/// On the CPU the backward pass keeps only the operands. It writes into the gradient of the output, unless
/// that is shared.
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
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let x = Tensor::<3>::from_data([[[2.0, 4.0], [7.0, 7.0]]], &device);
/// let [gamma, beta] = [[1.0, 1.0], [0.0, 5.0]].map(|x| Tensor::<1>::from_data(x, &device));
/// let y = kernels::layer_norm(x, gamma, beta, 1e-12);
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [-1.0, 6.0, 0.0, 5.0]);
/// ```
pub fn layer_norm(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<3> {
    let [_, _, features] = x.dims();
    check_parameters(&gamma, &beta, "features", features);
    #[cfg(feature = "flex")]
    if super::affine::are_fused(&x, &gamma, &beta) {
        return super::affine::normalize(
            x,
            gamma,
            beta,
            move |operands| values::forward(operands, epsilon),
            move |operands, gradient| values::backward(operands, gradient, epsilon),
        );
    }
    stock(x, gamma, beta, epsilon)
}

/// By Burn's operations, for backends without a fused version.
fn stock(x: Tensor<3>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<3> {
    let dtype = x.dtype();
    if dtype == DType::F64 {
        return module::layer_norm(x, gamma, Some(beta), epsilon);
    }
    let [gamma, beta] = [gamma, beta].map(|parameter| parameter.cast(DType::F32));
    module::layer_norm(x.cast(DType::F32), gamma, Some(beta), epsilon).cast(dtype)
}
