//! Rows of length 1.

#[cfg(feature = "flex")]
mod values;

use burn::tensor::{DType, Tensor};

/// Divides each row by its Euclidean length, so that products of rows are cosines.
///
/// ```text
/// y = x / |x|                          0 where |x| < shortest
/// dx = (dy - y (y · dy)) / |x|         also 0 there
/// ```
///
/// A row shorter than `shortest` has no meaningful direction. If it were divided by `shortest` instead, its
/// gradient would grow as `shortest` shrinks, and clipping by norm would shrink the gradients of all other
/// rows. Lengths are computed in f32 or wider.
///
/// # Shapes
/// - x, output: `[rows, features]`
///
/// # Panics
/// If `shortest` is not a finite number above 0.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<2>::from_data([[3.0, -4.0], [0.0, 1e-9]], &Device::flex());
/// let y = kernels::unit_rows(x, 1e-6).into_data().try_to_vec::<f32>().unwrap();
/// for (y, expected) in y.into_iter().zip([0.6_f32, -0.8, 0.0, 0.0]) {
///     assert!((y - expected).abs() < 1e-6);
/// }
/// ```
pub fn unit_rows(x: Tensor<2>, shortest: f64) -> Tensor<2> {
    assert!(
        shortest.is_finite() && shortest > 0.0,
        "the shortest length must be a finite number above 0, got {shortest}"
    );
    #[cfg(feature = "flex")]
    if crate::cpu::backend::is_fused(&x) {
        let [_, features] = x.dims();
        let operation = values::UnitRows { features, shortest };
        return crate::cpu::blockwise::apply(x, features, operation);
    }
    stock(x, shortest)
}

/// By Burn's operations, for backends without a fused version.
fn stock(x: Tensor<2>, shortest: f64) -> Tensor<2> {
    let dtype = x.dtype();
    let x = match dtype {
        DType::F64 => x,
        _ => x.cast(DType::F32),
    };
    let squared = x.clone().square().sum_dim(1);
    let short = squared.clone().lower_elem(shortest * shortest);
    // Filled before the root, whose slope at 0 is infinite.
    let length = squared.mask_fill(short.clone(), 1.0).sqrt();
    (x * length.recip().mask_fill(short, 0.0)).cast(dtype)
}
