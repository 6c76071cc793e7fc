//! Attention of the CPU backend.

use super::heads::Operands;
use super::{AttentionOps, HiddenKeys, backward, forward, stock};
use crate::backend::tensor;
use crate::matrix::Matrices;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::DType;

impl AttentionOps for Flex {
    fn attention_forward(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        hidden_keys: HiddenKeys<Self>,
    ) -> (FlexTensor, FlexTensor) {
        if query.dtype() != DType::F32 {
            return stock::forward::<Self>(query, key, value, hidden_keys.into_option());
        }
        let [query, key, value] = [query, key, value].map(readable);
        let hidden_keys = hidden_keys.into_option().map(|keys| keys.to_contiguous());
        let operands = operands([&query, &key, &value], &hidden_keys);
        let [batch, heads, queries, head_dim] = operands.query.shape();
        let (output, log_sum) = forward::forward(operands, 1);
        (
            tensor(output, [batch, heads, queries, head_dim]),
            tensor(log_sum, [batch, heads, queries, 1]),
        )
    }

    fn attention_backward(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        hidden_keys: HiddenKeys<Self>,
        output: FlexTensor,
        log_sum: FlexTensor,
        gradient: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let hidden_keys = hidden_keys.into_option();
        if query.dtype() != DType::F32 {
            let operands = stock::Operands {
                query,
                key,
                value,
                hidden_keys,
            };
            return stock::backward::<Self>(operands, output, log_sum, gradient);
        }
        let [query, key, value, output, log_sum, gradient] =
            [query, key, value, output, log_sum, gradient].map(readable);
        let hidden_keys = hidden_keys.map(|keys| keys.to_contiguous());
        let operands = operands([&query, &key, &value], &hidden_keys);
        let [query, key, value] =
            backward::backward(operands, view(&output), view(&log_sum), view(&gradient));
        let [queries, keys] = [operands.query.shape(), operands.key.shape()];
        (
            tensor(query, queries),
            tensor(key, keys),
            tensor(value, keys),
        )
    }
}

fn operands<'a>(
    [query, key, value]: [&'a FlexTensor; 3],
    hidden_keys: &'a Option<FlexTensor>,
) -> Operands<'a> {
    Operands {
        query: view(query),
        key: view(key),
        value: view(value),
        hidden_keys: hidden_keys.as_ref().map(|keys| keys.bytes()),
    }
}

/// The tensor itself if its heads are matrices whose rows or columns are without gaps, which is
/// what `swap_dims` and `narrow` leave; else a copy.
fn readable(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    let [rows, columns] = [layout.shape()[2], layout.shape()[3]];
    let [row_stride, column_stride] = [layout.strides()[2], layout.strides()[3]];
    let forward = layout.strides().iter().all(|&stride| stride > 0);
    let gapless = column_stride == 1 && row_stride >= columns as isize
        || row_stride == 1 && column_stride >= rows as isize;
    if forward && gapless {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

fn view(tensor: &FlexTensor) -> Matrices<'_> {
    let layout = tensor.layout();
    let shape = std::array::from_fn(|axis| layout.shape()[axis]);
    let strides = std::array::from_fn(|axis| layout.strides()[axis].unsigned_abs());
    let data: &[f32] = tensor.storage();
    let start = layout.start_offset().min(data.len());
    Matrices::new(&data[start..], shape, strides)
}
