//! The norm of gradients, and their scaling.

#[cfg(feature = "flex")]
mod fused;

#[cfg(feature = "flex")]
use crate::cpu::backend::is_fused_without_autodiff;
use burn::tensor::Tensor;

/// The sum of the squares of all values, shape `[1]`.
///
/// On the CPU no intermediate tensor is written. Squares are summed in f32 over a few thousand values and in f64
/// beyond, in an order that depends only on the number of values.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let x = Tensor::<2>::from_data([[1.0, -2.0], [2.0, 4.0]], &Device::flex());
/// assert_eq!(kernels::squared_norm(x).into_scalar::<f32>(), 25.0);
/// ```
pub fn squared_norm<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    if is_fused_without_autodiff(&x) {
        return fused::squared_norm(x);
    }
    x.square().sum()
}

/// `x` times a factor that lies on its device. On the CPU it is scaled in place unless it is shared, and returned
/// unchanged if the factor is 1.
///
/// # Shapes
/// - factor: `[1]`
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let x = Tensor::<1>::from_data([1.0, -3.0], &device);
/// let half = kernels::scale(x, Tensor::from_data([0.5], &device));
/// assert_eq!(half.into_data().try_to_vec::<f32>().unwrap(), [0.5, -1.5]);
/// ```
pub fn scale<const D: usize>(x: Tensor<D>, factor: Tensor<1>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    if is_fused_without_autodiff(&x) && is_fused_without_autodiff(&factor) {
        return fused::scale(x, factor.into_scalar());
    }
    x * factor.reshape([1; D])
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};
    use proptest::prelude::*;

    fn random(rows: usize, columns: usize) -> Tensor<2> {
        let spread = Distribution::Normal(0.0, 1.0);
        Tensor::random([rows, columns], spread, &Device::flex())
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().try_to_vec().unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_squared_norm_is_that_of_double_precision(
            rows in 1_usize..40,
            columns in 1_usize..9000,
            transposed: bool,
        ) {
            let x = random(rows, columns);
            let x = if transposed { x.transpose() } else { x };
            let expected: f64 = values(x.clone()).iter().map(|&x| f64::from(x).powi(2)).sum();
            let got = f64::from(squared_norm(x).into_scalar::<f32>());
            prop_assert!((got / expected - 1.0).abs() < 1e-6, "{got}, expected {expected}");
        }
    }

    #[test]
    fn scaling_multiplies_and_leaves_shared_tensors_alone() {
        let x = random(3, 60_007);
        let before = values(x.clone());
        for factor in [1.0_f32, 0.3] {
            let factors = Tensor::from_data([factor], &Device::flex());
            let scaled = values(scale(x.clone(), factors.clone()));
            let expected: Vec<f32> = before.iter().map(|x| x * factor).collect();
            assert_eq!(scaled, expected);
            assert_eq!(values(x.clone()), before);
            let part = values(scale(x.clone().narrow(1, 5, 7), factors));
            assert_eq!(part[..7], expected[5..12]);
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let x = random(3, 60_007);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            let x = x.clone();
            pool.install(|| squared_norm(x).into_scalar::<f32>())
        };
        assert_eq!(run(1), run(2));
    }
}
