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
mod sequence;
mod stock;

pub use sequence::self_attention;

use burn::backend::{Dispatch, DispatchTensorKind};
use burn::tensor::{Bool, Tensor};
use stock::AttentionOps;

/// `softmax(query key^T / sqrt(head_dim)) value` over the keys that are not hidden.
///
/// ```text
/// w_ij = exp(q_i · k_j / sqrt(d)),   o_i = sum_j w_ij v_j / sum_j w_ij      j over the visible keys
/// ```
///
/// Vaswani et al. 2017, section 3.2.1. The softmax is computed in f32 for every type of input. A query
/// without a visible key has an output of 0, and gradients of 0.
///
/// The scores of all queries and keys never exist at once, in forward or backward (Dao et al. 2022;
/// Rabe & Staats 2021): memory is linear in the number of tokens. The exception is training on a backend
/// whose feature is not enabled: there Burn keeps the scores.
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
/// use burn::tensor::{Device, Tensor};
///
/// let device = Device::flex();
/// let query = Tensor::<4>::zeros([1, 1, 1, 2], &device);
/// let value = Tensor::<4>::from_data([[[[1.0, 2.0], [3.0, 6.0]]]], &device);
/// // A query of zeros weights all keys equally: its output is the mean of the values.
/// let mean = kernels::attention(query, value.clone(), value, None);
/// assert_eq!(mean.into_data().try_to_vec::<f32>().unwrap(), [2.0, 4.0]);
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
    #[cfg(feature = "flex")]
    if [&query, &key, &value].map(crate::cpu::backend::is_fused) == [true; 3] {
        return flex::attention(query, key, value, hidden_keys);
    }
    let [query, key, value] = [query, key, value].map(Tensor::into_dispatch);
    let hidden_keys = hidden_keys.map(Tensor::into_dispatch);
    Tensor::from_dispatch(if is_listed(&query.kind) {
        <Dispatch as AttentionOps>::attention(query, key, value, hidden_keys.into())
    } else {
        let operands = stock::Operands::<Dispatch> {
            query,
            key,
            value,
            hidden_keys,
        };
        stock::forward(&operands).0
    })
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

/// Whether [`AttentionOps`] lists the backend. Burn may have backends for which this crate has no feature, or
/// whose feature is not enabled here.
fn is_listed(kind: &DispatchTensorKind) -> bool {
    match kind {
        DispatchTensorKind::Autodiff(inner) => is_listed(inner),
        #[cfg(feature = "flex")]
        DispatchTensorKind::Flex(_) => crate::cpu::backend::has_fused(),
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        DispatchTensorKind::Cube(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    }
}
