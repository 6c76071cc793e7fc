//! Rows of length 1.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod values;

use burn::tensor::{DType, Tensor};

/// Divides each row by its Euclidean length, so that products of rows are cosines.
///
/// ```text
/// y = x / |x|                          0 where |x| < shortest
/// dx = (dy - y (y · dy)) / |x|         0 there, too
/// ```
///
/// A row shorter than `shortest` has no direction worth the name. Divided by a floor, it would have a gradient as large as the
/// floor is small, which clipping by norm would let all others pay for. Lengths are computed in f32 or wider.
///
/// # Shapes
/// - x, output: `[rows, features]`
///
/// # Panics
/// If `shortest` is not a finite number above 0.
///
/// # Example
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<2>::from_data([[3.0, -4.0], [0.0, 1e-9]], &Device::flex());
/// let y = kernels::unit_rows(x, 1e-6).into_data().try_to_vec::<f32>().unwrap();
/// for (y, expected) in y.into_iter().zip([0.6_f32, -0.8, 0.0, 0.0]) {
///     assert!((y - expected).abs() < 1e-6);
/// }
/// # }
/// ```
pub fn unit_rows(x: Tensor<2>, shortest: f64) -> Tensor<2> {
    assert!(
        shortest.is_finite() && shortest > 0.0,
        "the shortest length must be a finite number above 0, got {shortest}"
    );
    #[cfg(feature = "flex")]
    if crate::backend::is_fused(&x) {
        return flex::unit_rows(x, shortest);
    }
    stock(x, shortest)
}

/// Of Burn's operations, for backends without an own version.
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
