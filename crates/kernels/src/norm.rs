//! Normalisation.

#[cfg(feature = "flex")]
mod affine;
mod group;
mod layer;
#[cfg(feature = "flex")]
mod moments;
mod unit_rows;

pub use group::{group_norm, group_norm_silu};
pub use layer::layer_norm;
pub use unit_rows::unit_rows;

use burn::tensor::Tensor;

/// # Panics
/// If gamma or beta doesn't have one value for each of the `size` places of an axis of x.
fn check_parameters(gamma: &Tensor<1>, beta: &Tensor<1>, axis: &str, size: usize) {
    for (name, parameter) in [("gamma", gamma), ("beta", beta)] {
        assert_eq!(
            [size],
            parameter.dims(),
            "the shape of {name} must be [{axis}] of x"
        );
    }
}
