//! Masks over tokens.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use test_fixtures::numbers;

/// A mask over tokens that hides a little less than half of them.
pub fn hidden(shape: [usize; 2], device: &Device) -> Tensor<2, Bool> {
    let numbers = numbers("hidden", shape.iter().product(), 0.0, 1.0);
    let hidden: Vec<bool> = numbers.into_iter().map(|x| x > 0.1).collect();
    Tensor::from_data(TensorData::new(hidden, shape), device)
}

/// The values of the rows that are not hidden, `[batch, rows, width]` with `[batch, rows]`.
pub fn visible_rows(x: Tensor<3>, hidden: Option<&Tensor<2, Bool>>) -> Vec<f32> {
    let [_, _, width] = x.dims();
    let values: Vec<f32> = x.into_data().try_to_vec().unwrap();
    let Some(hidden) = hidden else { return values };
    let hidden: Vec<bool> = hidden.clone().into_data().iter::<bool>().collect();
    let rows = values.chunks(width).zip(hidden);
    let visible = rows.filter(|(_, hidden)| !hidden);
    visible.flat_map(|(row, _)| row.to_vec()).collect()
}
