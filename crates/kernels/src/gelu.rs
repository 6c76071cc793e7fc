//! The Gaussian error linear unit.

#[cfg(feature = "flex")]
mod values;

use burn::tensor::{Tensor, activation};

/// The Gaussian error linear unit: `x P(x)`, where `P` is the distribution function of the standard normal
/// distribution.
///
/// ```text
/// y = x (1 + erf(x / sqrt 2)) / 2
/// ```
///
/// Hendrycks & Gimpel 2016, section 2, in the exact form, without the approximation by tanh. On the CPU `P`
/// is exact to 3.1e-7.
///
/// On the CPU the backward pass keeps only `x`. It writes into the gradient of the output, unless that is
/// shared.
///
/// # Shapes
/// - x, output: any
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<1>::from_data([-100.0, 0.0, 1.0, 100.0], &Device::flex());
/// let y = kernels::gelu(x).into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!([y[0], y[1], y[3]], [0.0, 0.0, 100.0]);
/// assert!((y[2] - 0.841_345).abs() < 1e-6);
/// ```
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if crate::cpu::backend::is_fused(&x) {
        return crate::cpu::blockwise::apply(x, 1, values::Gelu);
    }
    activation::gelu(x)
}
