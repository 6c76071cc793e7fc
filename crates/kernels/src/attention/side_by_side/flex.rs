//! The CPU backend's version, and its place in the graph.

use crate::attention::heads::Operands;
use crate::attention::{HiddenKeys, backward, forward};
use crate::backend::{self, contiguous, values};
use crate::blocks::{block_of_rows, filled};
use crate::matrix::Matrices;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Bool, Tensor};

pub(super) fn self_attention(
    query_key_value: Tensor<3>,
    heads: usize,
    hidden_keys: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let (output, _) = <Dispatch as SelfAttentionOps>::self_attention_forward(
        query_key_value.into_dispatch(),
        heads,
        HiddenKeys::from(hidden_keys.map(Tensor::into_dispatch)),
    );
    Tensor::from_dispatch(output)
}

/// The operation, where it has a fused version.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait SelfAttentionOps: Backend {
    /// The output, and of each token and head the logarithm of the sum of exponentials, `[batch, tokens, heads]`.
    fn self_attention_forward(
        query_key_value: FloatTensor<Self>,
        heads: usize,
        #[extension_type] hidden_keys: HiddenKeys<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// The gradient of [`SelfAttentionOps::self_attention_forward`], which nothing differentiates once more.
pub(crate) trait SelfAttentionGradient: SelfAttentionOps {
    fn self_attention_backward(kept: Kept<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// What went in, and what came out.
#[derive(Clone, Debug)]
pub(crate) struct Kept<B: Backend> {
    query_key_value: FloatTensor<B>,
    heads: usize,
    hidden_keys: Option<BoolTensor<B>>,
    output: FloatTensor<B>,
    log_sum: FloatTensor<B>,
}

/// `[batch, tokens, heads, head_dim]`, which lie in this order in every tensor here.
#[derive(Clone, Copy)]
struct Sizes([usize; 4]);

impl Sizes {
    fn of(query_key_value: &FlexTensor, heads: usize) -> Self {
        let [batch, tokens, features] = backend::shape(query_key_value);
        Self([batch, tokens, heads, features / 3 / heads])
    }

    /// Number `part` of several parts that each token has, head by head.
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

impl SelfAttentionOps for Flex {
    fn self_attention_forward(
        query_key_value: FlexTensor,
        heads: usize,
        hidden_keys: HiddenKeys<Self>,
    ) -> (FlexTensor, FlexTensor) {
        let sizes = Sizes::of(&query_key_value, heads);
        let Sizes([batch, tokens, _, head_dim]) = sizes;
        let query_key_value = contiguous(query_key_value);
        let hidden_keys = hidden_keys.into_option().map(|keys| keys.to_contiguous());
        let operands = sizes.operands(&query_key_value, &hidden_keys);
        let (output, log_sum) = forward::forward(operands, heads);
        (
            backend::tensor(output, [batch, tokens, heads * head_dim]),
            backend::tensor(log_sum, [batch, tokens, heads]),
        )
    }
}

impl SelfAttentionGradient for Flex {
    fn self_attention_backward(kept: Kept<Self>, gradient: FlexTensor) -> FlexTensor {
        let sizes = Sizes::of(&kept.query_key_value, kept.heads);
        let Sizes([batch, tokens, heads, head_dim]) = sizes;
        let [query_key_value, output, log_sum, gradient] =
            [kept.query_key_value, kept.output, kept.log_sum, gradient].map(contiguous);
        let hidden_keys = kept.hidden_keys.map(|keys| keys.to_contiguous());
        let one_each = Sizes([batch, tokens, heads, 1]);
        let gradients = backward::backward(
            sizes.operands(&query_key_value, &hidden_keys),
            sizes.view(values(&output), 0, 1),
            one_each.view(values(&log_sum), 0, 1),
            sizes.view(values(&gradient), 0, 1),
        );
        let gradient = side_by_side(&gradients, sizes);
        backend::tensor(gradient, [batch, tokens, 3 * heads * head_dim])
    }
}

/// From `[batch, heads, tokens, head_dim]` each to `[batch, tokens, 3, heads, head_dim]`.
fn side_by_side(parts: &[Vec<f32>; 3], Sizes([batch, tokens, heads, head_dim]): Sizes) -> Vec<f32> {
    let width = 3 * heads * head_dim;
    let block = block_of_rows(width);
    let write = |(): &mut (), range: std::ops::Range<usize>, rows: &mut [f32]| {
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

impl<B: SelfAttentionGradient, C: CheckpointStrategy> SelfAttentionOps for Autodiff<B, C> {
    fn self_attention_forward(
        query_key_value: FloatTensor<Self>,
        heads: usize,
        hidden_keys: HiddenKeys<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let node = query_key_value.node();
        let query_key_value = query_key_value.into_primitive();
        let hidden_keys = hidden_keys.into_option();
        let (output, log_sum) =
            B::self_attention_forward(query_key_value.clone(), heads, hidden_keys.clone().into());
        let tracked = match Node.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let kept = Kept {
                    query_key_value,
                    heads,
                    hidden_keys,
                    output: output.clone(),
                    log_sum: log_sum.clone(),
                };
                prepared.finish(kept, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (tracked, <Self as AutodiffBackend>::from_inner(log_sum))
    }
}

/// The node in the graph.
#[derive(Debug)]
struct Node;

impl<B: SelfAttentionGradient> Backward<B, 1> for Node {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            let gradient = B::self_attention_backward(ops.state, gradient);
            grads.register::<B>(parent.id, gradient);
        }
    }
}
