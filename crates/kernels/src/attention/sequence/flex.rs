//! Attention within one sequence on the CPU backend.

use crate::attention::flex::bytes;
use crate::attention::heads::Operands;
use crate::attention::{backward, forward};
use crate::cpu::backend::{contiguous, tensor, values};
use crate::cpu::blocks::{block_of_rows, filled};
use crate::cpu::graph::Graph;
use crate::cpu::matrix::Matrices;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Bool, Tensor};
use std::ops::Range;

pub(super) fn self_attention(
    query_key_value: Tensor<3>,
    heads: usize,
    hidden_keys: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let [batch, tokens, features] = query_key_value.dims();
    let head_dim = features / 3 / heads;
    let sizes = Sizes([batch, tokens, heads, head_dim]);
    let (graph, [query_key_value]) = Graph::enter([query_key_value.into_dispatch()]);
    let hidden_keys = hidden_keys.map(bytes);
    let (output, log_sum) = {
        let query_key_value = contiguous(query_key_value.clone());
        forward::forward(sizes.operands(&query_key_value, &hidden_keys), heads)
    };
    let output = tensor(output, [batch, tokens, heads * head_dim]);
    let kept = output.clone();
    graph.leave(output, move |gradient, register| {
        let [query_key_value, output, gradient] = [query_key_value, kept, gradient].map(contiguous);
        let one_each = Sizes([batch, tokens, heads, 1]);
        let gradients = backward::backward(
            sizes.operands(&query_key_value, &hidden_keys),
            sizes.view(values(&output), 0, 1),
            one_each.view(&log_sum, 0, 1),
            sizes.view(values(&gradient), 0, 1),
        );
        let gradient = side_by_side(&gradients, sizes);
        register(0, tensor(gradient, [batch, tokens, features]));
    })
}

/// `[batch, tokens, heads, head_dim]`, the order of the axes in every tensor here.
#[derive(Clone, Copy)]
struct Sizes([usize; 4]);

impl Sizes {
    /// Part number `part` of the `parts` that each token's vector consists of, head by head.
    fn view(self, values: &[f32], part: usize, parts: usize) -> Matrices<'_> {
        let Self([batch, tokens, heads, head_dim]) = self;
        let width = heads * head_dim;
        Matrices::new(
            &values[part * width..],
            [batch, heads, tokens, head_dim],
            [tokens * parts * width, head_dim, parts * width, 1],
        )
    }

    fn operands<'a>(
        self,
        query_key_value: &'a FlexTensor,
        hidden_keys: &'a Option<FlexTensor>,
    ) -> Operands<'a> {
        let values = values(query_key_value);
        Operands {
            query: self.view(values, 0, 3),
            key: self.view(values, 1, 3),
            value: self.view(values, 2, 3),
            hidden_keys: hidden_keys.as_ref().map(|keys| keys.bytes()),
        }
    }
}

/// Three tensors `[batch, heads, tokens, head_dim]` as one of `[batch, tokens, 3, heads, head_dim]`.
fn side_by_side(parts: &[Vec<f32>; 3], Sizes([batch, tokens, heads, head_dim]): Sizes) -> Vec<f32> {
    let width = 3 * heads * head_dim;
    let block = block_of_rows(width);
    let write = |(): &mut (), range: Range<usize>, rows: &mut [f32]| {
        for (row, token) in rows.chunks_exact_mut(width).zip(range.start / width..) {
            let [item, token] = [token / tokens, token % tokens];
            let from = parts
                .iter()
                .flat_map(|part| (0..heads).map(move |head| (part, head)));
            for (to, (part, head)) in row.chunks_exact_mut(head_dim).zip(from) {
                let start = ((item * heads + head) * tokens + token) * head_dim;
                to.copy_from_slice(&part[start..][..head_dim]);
            }
        }
    };
    filled(batch * tokens * width, block, || (), write)
}
