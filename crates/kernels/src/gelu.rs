//! The Gaussian error linear unit.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod values;

use burn::tensor::{Tensor, activation};

/// The Gaussian error linear unit: `x P(x)`, `P` being the distribution function of the standard normal
/// distribution.
///
/// ```text
/// y = x (1 + erf(x / sqrt 2)) / 2
/// ```
///
/// Hendrycks & Gimpel 2016, section 2, in the exact form: no tanh stands for erf. `P` is exact to 3.1e-7
/// on the CPU.
///
/// There the backward pass keeps nothing but `x`, and writes into the gradient that it is given if
/// nobody else holds that.
///
/// # Shapes
/// - x, output: any
///
/// # Example
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<1>::from_data([-100.0, 0.0, 1.0, 100.0], &Device::flex());
/// let y = kernels::gelu(x).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!([y[0], y[1], y[3]], [0.0, 0.0, 100.0]);
/// assert!((y[2] - 0.841_345).abs() < 1e-6);
/// # }
/// ```
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::backend::is_fused(&x) {
        return flex::gelu(x);
    }
    activation::gelu(x)
}
