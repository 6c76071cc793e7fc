//! Linear maps.

#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod rows;
#[cfg(feature = "flex")]
mod weight;

#[cfg(feature = "flex")]
use crate::cpu::backend::is_fused;
use burn::tensor::{Tensor, module};

/// The linear map of every vector of `x`: `torch.nn.functional.linear` with the weight transposed.
///
/// ```text
/// y_tn = sum_k x_tk w_kn + b_n
/// ```
///
/// On the CPU the vectors of all items are the rows of one matrix, and so are the gradients. The gradient of the
/// weight is a single product over all of them, rather than the sum of one product per item. Gradients of
/// untracked operands are not computed.
///
/// # Shapes
/// - x: `[..., d_in]`
/// - weight: `[d_in, d_out]`
/// - bias: `[d_out]`
/// - output: `[..., d_out]`
///
/// # Panics
/// If the shapes don't fit together.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let x = Tensor::<2>::from_data([[1.0, 2.0], [3.0, 4.0]], &device);
/// let weight = Tensor::<2>::from_data([[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]], &device);
/// let bias = Tensor::<1>::from_data([0.5, 0.0, 0.0], &device);
/// let y = kernels::linear(x, weight, Some(bias));
/// assert_eq!(y.into_data().try_to_vec::<f32>().unwrap(), [1.5, 2.0, 1.0, 3.5, 4.0, 1.0]);
/// ```
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let [d_in, d_out] = weight.dims();
    let features = x.dims()[D - 1];
    assert_eq!(
        d_in, features,
        "the weight is for {d_in} features, got {features}"
    );
    if let Some(bias) = &bias {
        assert_eq!(
            [d_out],
            bias.dims(),
            "the shape of bias must be as expected"
        );
    }
    #[cfg(feature = "flex")]
    if x.shape().num_elements() * d_out > 0
        && is_fused(&x)
        && is_fused(&weight)
        && bias.as_ref().is_none_or(is_fused)
    {
        return flex::linear(x, weight, bias);
    }
    module::linear(x, weight, bias)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, Distribution};
    use proptest::prelude::*;

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
    }

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        tensor.into_data().iter::<f64>().collect()
    }

    /// The output, and the gradients of x, weight and bias.
    fn run(
        map: impl Fn(Tensor<3>, Tensor<2>, Option<Tensor<1>>) -> Tensor<3>,
        [x, slopes]: [Tensor<3>; 2],
        weight: Tensor<2>,
        bias: Option<Tensor<1>>,
    ) -> Vec<Vec<f64>> {
        // Transposed and back, so that both operands are strided views.
        let x = x.autodiff().require_grad();
        let weight = weight.autodiff().require_grad();
        let bias = bias.map(|bias| bias.autodiff().require_grad());
        let y = map(
            x.clone().swap_dims(0, 1),
            weight.clone().transpose(),
            bias.clone(),
        );
        let gradients = (y.clone() * slopes.autodiff()).sum().backward();
        let mut results = vec![
            values(y),
            values(x.grad(&gradients).unwrap()),
            values(weight.grad(&gradients).unwrap()),
        ];
        results.extend(bias.map(|bias| values(bias.grad(&gradients).unwrap())));
        results
    }

    fn assert_like_burns([items, tokens, d_in, d_out]: [usize; 4], has_bias: bool) {
        let operands = [
            random([tokens, items, d_in]),
            random([items, tokens, d_out]),
        ];
        let weight = random([d_out, d_in]);
        let bias = has_bias.then(|| random([d_out]));
        let ours = run(linear, operands.clone(), weight.clone(), bias.clone());
        // Burn's operation, in double precision.
        let operands = operands.map(|x| x.cast(DType::F64));
        let (weight, bias) = (
            weight.cast(DType::F64),
            bias.map(|bias| bias.cast(DType::F64)),
        );
        let burns = run(module::linear, operands, weight, bias);
        assert_eq!(ours.len(), burns.len());
        let tolerances = [1e-5, 1e-4, 1e-4, 1e-4];
        for ((ours, burns), tolerance) in ours.iter().zip(&burns).zip(tolerances) {
            assert_eq!(ours.len(), burns.len());
            let largest = burns.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
            for (ours, burns) in ours.iter().zip(burns) {
                assert!(
                    (ours - burns).abs() <= tolerance * largest,
                    "{ours}, by Burn {burns}, the largest being {largest}"
                );
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn output_and_gradients_are_those_of_burn(
            items in 1_usize..4,
            tokens in 1_usize..70,
            d_in in 1_usize..150,
            d_out in 1_usize..150,
            has_bias: bool,
        ) {
            assert_like_burns([items, tokens, d_in, d_out], has_bias);
        }
    }

    #[test]
    fn many_blocks_make_one_product() {
        // Several blocks, stretches, tiles and panels, the last of each incomplete.
        assert_like_burns([2, 333, 201, 270], true);
        assert_like_burns([1, 1, 300, 130], true);
        // Vectors of one value, where a row is a column too.
        assert_like_burns([1, 2, 3, 1], true);
        assert_like_burns([2, 3, 1, 5], false);
        assert_like_burns([3, 700, 25, 530], false);
        // Several blocks of summands in each of several stretches of tokens.
        assert_like_burns([1, 1200, 300, 130], true);
    }

    #[test]
    fn frozen_operands_have_no_gradient_and_the_others_have() {
        let moved = |tracked: [bool; 3]| {
            let [x_is_tracked, weight_is_tracked, bias_is_tracked] = tracked;
            let x = random([5, 3, 7]).autodiff().set_require_grad(x_is_tracked);
            let weight = random([7, 4])
                .autodiff()
                .set_require_grad(weight_is_tracked);
            let bias = random([4]).autodiff().set_require_grad(bias_is_tracked);
            let y = linear(x.clone(), weight.clone(), Some(bias.clone()));
            let gradients = (y.sum() + x.clone().sum() + weight.clone().sum()).backward();
            [
                x.grad(&gradients).is_some(),
                weight.grad(&gradients).is_some(),
                // Fifteen tokens, each with slope 1.
                bias.grad(&gradients)
                    .is_some_and(|bias| values(bias) == [15.0; 4]),
            ]
        };
        for tracked in 1..8 {
            let tracked = [1, 2, 4].map(|bit| tracked & bit != 0);
            assert_eq!(moved(tracked), tracked);
        }
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let operands = [random([333, 2, 201]), random([2, 333, 270])];
        let (weight, bias) = (random([270, 201]), random([270]));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let (operands, weight, bias) = (operands.clone(), weight.clone(), bias.clone());
            let run = move || run(linear, operands, weight, Some(bias));
            pool.build().unwrap().install(run)
        };
        assert_eq!(on(1), on(2));
        assert_eq!(on(2), on(2));
    }
}
