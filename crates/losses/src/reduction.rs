//! The reduction that all losses share: first a mean per example, then over the batch.

use burn::tensor::{DType, Tensor};

/// Mean of the selected values of each example.
///
/// ```text
/// l_b = sum_i w_bi v_bi / max(1, sum_i w_bi)
///
/// v_bi  value i of example b
/// w_bi  1 where the value counts, 0 where it does not
/// ```
///
/// An example with nothing selected (a clip of padding only, a mask that hides nothing) has a loss of 0 and
/// a gradient of 0, not 0/0. A value that doesn't count may be anything, including NaN and infinity: it is
/// left out, not multiplied by 0, and its gradient is 0. Half-precision values are summed in f32, because
/// a count in bf16 stalls at 256.
///
/// # Shapes
/// - values, weights: `[batch, ...]`, equal; weights 0 or 1
/// - output: `[batch]`
///
/// # Panics
/// If the shapes differ.
pub fn mean_per_item<const D: usize>(values: Tensor<D>, weights: Tensor<D>) -> Tensor<1> {
    assert_eq!(
        values.dims(),
        weights.dims(),
        "the weights need the shape of the values they select from"
    );
    let values = at_least_f32(values);
    let counted = values.mask_fill(weights.clone().equal_elem(0.0), 0.0);
    let weights = weights.cast(counted.dtype());
    sum_per_item(counted) / sum_per_item(weights).clamp_min(1.0)
}

/// Mean over the batch of the losses of its items.
///
/// # Shapes
/// - per_item: `[batch]`
/// - output: `[1]`
pub fn mean_over_batch(per_item: Tensor<1>) -> Tensor<1> {
    per_item.mean()
}

/// Sum of each example's values: `[batch, ...]` -> `[batch]`.
pub(crate) fn sum_per_item<const D: usize>(values: Tensor<D>) -> Tensor<1> {
    values.flatten::<2>(1, D - 1).sum_dim(1).squeeze_dim(1)
}

/// Converts half precision to f32 and leaves wider types unchanged.
pub(crate) fn at_least_f32<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    match values.dtype() {
        DType::F16 | DType::BF16 => values.cast(DType::F32),
        _ => values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};

    #[test]
    fn an_item_is_the_mean_of_what_is_selected() {
        let device = Device::flex();
        let values = Tensor::<2>::from_data([[1.0, 2.0, 6.0], [5.0, 7.0, 9.0]], &device);
        let weights = Tensor::<2>::from_data([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], &device);
        let items = mean_per_item(values, weights);
        assert_eq!(
            items.clone().into_data().try_to_vec::<f32>().unwrap(),
            [3.5, 9.0]
        );
        assert_eq!(mean_over_batch(items).into_scalar::<f32>(), 6.25);
    }

    #[test]
    fn nothing_selected_is_zero_with_a_zero_gradient() {
        let device = Device::flex().autodiff();
        let values = Tensor::<3>::ones([2, 3, 4], &device).require_grad();
        let weights = Tensor::<3>::zeros([2, 3, 4], &device);
        let items = mean_per_item(values.clone(), weights);
        assert_eq!(
            items.clone().into_data().try_to_vec::<f32>().unwrap(),
            [0.0; 2]
        );
        let gradient = values.grad(&mean_over_batch(items).backward()).unwrap();
        assert_eq!(gradient.into_data().try_to_vec::<f32>().unwrap(), [0.0; 24]);
    }

    #[test]
    fn what_does_not_count_may_be_anything() {
        let device = Device::flex().autodiff();
        let values = [
            [1.0, f32::NAN, 3.0],
            [f32::INFINITY, f32::NEG_INFINITY, 5.0],
        ];
        let values = Tensor::<2>::from_data(values, &device).require_grad();
        let weights = Tensor::<2>::from_data([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], &device);
        let items = mean_per_item(values.clone(), weights);
        let gradient = values.grad(&mean_over_batch(items.clone()).backward());
        assert_eq!(items.into_data().try_to_vec::<f32>().unwrap(), [2.0, 5.0]);
        assert_eq!(
            gradient.unwrap().into_data().try_to_vec::<f32>().unwrap(),
            [0.25, 0.0, 0.25, 0.0, 0.0, 0.5]
        );
    }

    #[test]
    fn half_precision_is_summed_in_full() {
        let device = Device::flex();
        let values = Tensor::<2>::ones([2, 1031], &device).cast(DType::BF16);
        let weights = Tensor::<2>::ones([2, 1031], &device).cast(DType::BF16);
        let items = mean_per_item(values * 3.0, weights);
        assert_eq!(items.into_data().try_to_vec::<f32>().unwrap(), [3.0; 2]);
    }

    #[test]
    #[should_panic(expected = "the weights need the shape of the values")]
    fn weights_of_another_shape_are_refused() {
        let device = Device::flex();
        mean_per_item(
            Tensor::<2>::ones([2, 3], &device),
            Tensor::<2>::ones([2, 1], &device),
        );
    }
}
