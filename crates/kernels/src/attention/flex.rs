//! Attention on the CPU backend.

use super::heads::Operands;
use super::{backward, forward};
use crate::cpu::backend::tensor;
use crate::cpu::graph::Graph;
use crate::cpu::matrix::Matrices;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Bool, Tensor};

pub(super) fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    hidden_keys: Option<Tensor<2, Bool>>,
) -> Tensor<4> {
    let (graph, inputs) = Graph::enter([query, key, value].map(Tensor::into_dispatch));
    let hidden_keys = hidden_keys.map(bytes);
    let (output, log_sum) = {
        let inputs = inputs.clone().map(readable);
        let operands = operands(&inputs, &hidden_keys);
        let [batch, heads, queries, head_dim] = operands.query.shape();
        let (output, log_sum) = forward::forward(operands, 1);
        (
            tensor(output, [batch, heads, queries, head_dim]),
            tensor(log_sum, [batch, heads, queries, 1]),
        )
    };
    let results = [output.clone(), log_sum];
    graph.leave(output, move |gradient, register| {
        let inputs = inputs.map(readable);
        let operands = operands(&inputs, &hidden_keys);
        let [output, log_sum] = results.map(readable);
        let gradient = readable(gradient);
        let [query, key, value] =
            backward::backward(operands, view(&output), view(&log_sum), view(&gradient));
        let [queries, keys] = [operands.query.shape(), operands.key.shape()];
        register(0, tensor(query, queries));
        register(1, tensor(key, keys));
        register(2, tensor(value, keys));
    })
}

fn operands<'a>(
    [query, key, value]: &'a [FlexTensor; 3],
    hidden_keys: &'a Option<FlexTensor>,
) -> Operands<'a> {
    Operands {
        query: view(query),
        key: view(key),
        value: view(value),
        hidden_keys: hidden_keys.as_ref().map(|keys| keys.bytes()),
    }
}

/// A mask as a tensor whose bytes are its values, row after row.
pub(super) fn bytes(mask: Tensor<2, Bool>) -> FlexTensor {
    let mask = mask.inner().try_into_primitive::<Flex>();
    mask.expect("a mask on the CPU backend").to_contiguous()
}

/// The tensor itself if its heads are matrices whose rows or columns have no gaps, as `swap_dims` and
/// `narrow` leave them; else a copy.
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
