//! A square root with a finite gradient.

use burn::tensor::Tensor;

/// `sqrt(x)`, with a gradient of 0 instead of infinity where `x` is 0.
///
/// The usual guards change the value: `sqrt(x + eps)` raises silence to `sqrt(eps)`, and
/// `sqrt(max(x, eps))` hides everything below it. Here 0 is replaced by 1 before the root and restored
/// after it, so no value and no other gradient changes. At 0, 0 is the smallest subgradient of a norm.
///
/// # Shapes
/// - squared: any shape, not negative
/// - output: the same
pub(crate) fn root<const D: usize>(squared: Tensor<D>) -> Tensor<D> {
    let zero = squared.clone().lower_equal_elem(0.0);
    squared
        .mask_fill(zero.clone(), 1.0)
        .sqrt()
        .mask_fill(zero, 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn the_root_is_exact_and_its_slope_at_zero_is_zero() {
        let device = Device::flex().autodiff();
        let squared = Tensor::<1>::from_data([0.0, 1e-38, 4.0], &device).require_grad();
        let rooted = root(squared.clone());
        let gradient = squared.grad(&rooted.clone().sum().backward()).unwrap();
        let values = rooted.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(values, [0.0, 1e-38_f32.sqrt(), 2.0]);
        let gradient = gradient.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(gradient[0], 0.0);
        assert!((gradient[1] * 2e-19 - 1.0).abs() < 1e-5, "{gradient:?}");
        assert_eq!(gradient[2], 0.25);
    }
}
