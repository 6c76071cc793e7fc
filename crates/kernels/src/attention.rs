//! Scaled dot-product attention.

#[cfg(feature = "flex")]
mod backward;
#[cfg(feature = "flex")]
mod columns;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod forward;
#[cfg(feature = "flex")]
mod heads;
mod side_by_side;
mod stock;

pub use side_by_side::self_attention;

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{
    AutodiffBackend, Backend, Dispatch, DispatchTensorKind, ExtensionType, backend_extension,
};
use burn::tensor::{Bool, Tensor};

/// `softmax(query key^T / sqrt(head_dim)) value` over the keys that are not hidden.
///
/// ```text
/// w_ij = exp(q_i · k_j / sqrt(d)),   o_i = sum_j w_ij v_j / sum_j w_ij      j over the visible keys
/// ```
///
/// Vaswani et al. 2017, section 3.2.1. The softmax is computed in f32 whatever the inputs are. A query
/// for which every key is hidden gets 0, and gives gradients of 0.
///
/// The scores of all queries and keys never exist at once, in forward or backward (Dao et al. 2022;
/// Rabe & Staats 2021): memory is linear in the number of tokens. On a backend whose feature is not
/// enabled, training is the exception: Burn keeps the scores there.
///
/// # Shapes
/// - query, output: `[batch, heads, queries, head_dim]`
/// - key, value: `[batch, heads, keys, head_dim]`
/// - hidden_keys: `[batch, keys]`, true = hidden
///
/// # Panics
/// If the shapes don't fit together, or the types of floats differ.
///
/// # Example
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let query = Tensor::<4>::zeros([1, 1, 1, 2], &device);
/// let value = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 6.0]]]], &device);
/// // A query that likes all keys equally gets the mean of the values.
/// let mean = kernels::attention(query, value.clone(), value, None);
/// assert_eq!(mean.into_data().try_to_vec::<f32>().unwrap(), [2.0, 4.0]);
/// # }
/// ```
pub fn attention(
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    hidden_keys: Option<Tensor<2, Bool>>,
) -> Tensor<4> {
    let [batch, heads, _, head_dim] = query.dims();
    let [_, _, keys, _] = key.dims();
    for (name, tensor) in [("key", &key), ("value", &value)] {
        let expected = [batch, heads, keys, head_dim];
        let dims = tensor.dims();
        assert_eq!(expected, dims, "the shape of {name} must be as expected");
        let types = [query.dtype(), tensor.dtype()];
        assert_eq!(
            types[0], types[1],
            "the floats of {name} must be the query's"
        );
    }
    check_hidden_keys(&hidden_keys, [batch, keys]);
    if keys == 0 {
        return query.zeros_like();
    }
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    let hidden_keys = hidden_keys.map(Tensor::into_dispatch);
    let output = if is_listed(&query.kind) {
        let hidden_keys = HiddenKeys::from(hidden_keys);
        <Dispatch as AttentionOps>::attention_forward(query, key, value, hidden_keys).0
    } else {
        stock::forward::<Dispatch>(query, key, value, hidden_keys).0
    };
    Tensor::from_dispatch(output)
}

fn check_hidden_keys(hidden_keys: &Option<Tensor<2, Bool>>, expected: [usize; 2]) {
    if let Some(hidden_keys) = hidden_keys {
        assert_eq!(
            expected,
            hidden_keys.dims(),
            "the shape of hidden_keys must be as expected"
        );
    }
}

/// Whether [`AttentionOps`] lists the backend: Burn may have backends that this crate has no feature
/// for, or whose feature is not enabled here.
fn is_listed(kind: &DispatchTensorKind) -> bool {
    match kind {
        DispatchTensorKind::Autodiff(inner) => is_listed(inner),
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => crate::backend::has_fused(),
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        DispatchTensorKind::Cube(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// Which keys nobody attends to: a tensor `[batch, keys]`, true = hidden.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum HiddenKeys<B: Backend> {
    None,
    Some(BoolTensor<B>),
}

impl<B: Backend> From<Option<BoolTensor<B>>> for HiddenKeys<B> {
    fn from(keys: Option<BoolTensor<B>>) -> Self {
        keys.map_or(Self::None, Self::Some)
    }
}

impl<B: Backend> HiddenKeys<B> {
    fn into_option(self) -> Option<BoolTensor<B>> {
        match self {
            Self::None => None,
            Self::Some(keys) => Some(keys),
        }
    }
}

/// The operation and its gradient, for a backend. What a backend doesn't write itself is made of
/// Burn's operations, a tile of queries at a time.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
)]
pub(crate) trait AttentionOps: Backend {
    /// The output, and what [`AttentionOps::attention_backward`] of the same backend wants of each
    /// query: the logarithm of its sum of exponentials, `[batch, heads, queries, 1]` in f32.
    fn attention_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        #[extension_type] hidden_keys: HiddenKeys<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        stock::forward::<Self>(query, key, value, hidden_keys.into_option())
    }

    /// The gradients of query, key and value, from the output's.
    #[allow(clippy::too_many_arguments)]
    fn attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        #[extension_type] hidden_keys: HiddenKeys<Self>,
        output: FloatTensor<Self>,
        log_sum: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let operands = stock::Operands {
            query,
            key,
            value,
            hidden_keys: hidden_keys.into_option(),
        };
        stock::backward::<Self>(operands, output, log_sum, gradient)
    }
}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl AttentionOps for burn::backend::Cube {}

impl<B: AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attention_forward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        hidden_keys: HiddenKeys<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [query.node(), key.node(), value.node()];
        let operands = stock::Operands::<B> {
            query: query.into_primitive(),
            key: key.into_primitive(),
            value: value.into_primitive(),
            hidden_keys: hidden_keys.into_option(),
        };
        let kept = operands.clone();
        let (output, log_sum) = B::attention_forward(
            operands.query,
            operands.key,
            operands.value,
            operands.hidden_keys.into(),
        );
        let tracked = match Attention.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let state = (kept, output.clone(), log_sum.clone());
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        (tracked, <Self as AutodiffBackend>::from_inner(log_sum))
    }
}

/// The node in the graph.
#[derive(Debug)]
struct Attention;

impl<B: AttentionOps> Backward<B, 3> for Attention {
    /// Operands, output, and logarithms of sums.
    type State = (stock::Operands<B>, FloatTensor<B>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (operands, output, log_sum) = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let (query, key, value) = B::attention_backward(
            operands.query,
            operands.key,
            operands.value,
            operands.hidden_keys.into(),
            output,
            log_sum,
            gradient,
        );
        for (parent, gradient) in ops.parents.into_iter().zip([query, key, value]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}
