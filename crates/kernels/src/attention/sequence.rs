//! Attention within one sequence. The query, key and value of a token lie side by side.

#[cfg(feature = "flex")]
mod flex;

use super::{attention, check_hidden_keys};
use burn::tensor::{Bool, Tensor};

/// Multi-head self-attention without its linear maps (Vaswani et al. 2017, section 3.2.2).
///
/// The vector of a token holds the queries of all heads, then their keys, then their values: the output of one
/// linear map to three times the width. The outputs of the heads also lie side by side, so that no tensor is
/// rearranged, and the linear map gets one gradient. For each head it computes [`attention()`].
///
/// # Shapes
/// - query_key_value: `[batch, tokens, 3 * heads * head_dim]`
/// - hidden_keys: `[batch, tokens]`, true = hidden
/// - output: `[batch, tokens, heads * head_dim]`
///
/// # Panics
/// If the shapes don't fit together.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
///
/// // One head of one dimension. Queries of 0 weight both tokens equally; their values are 4 and 8.
/// let tokens = [[[0.0, 1.0, 4.0], [0.0, 3.0, 8.0]]];
/// let tokens = Tensor::<3>::from_data(tokens, &Device::flex());
/// let mixed = kernels::self_attention(tokens, 1, None);
/// assert_eq!(mixed.into_data().try_to_vec::<f32>().unwrap(), [6.0, 6.0]);
/// ```
pub fn self_attention(
    query_key_value: Tensor<3>,
    heads: usize,
    hidden_keys: Option<Tensor<2, Bool>>,
) -> Tensor<3> {
    let [batch, tokens, features] = query_key_value.dims();
    assert!(
        heads > 0 && features.is_multiple_of(3 * heads),
        "three vectors for each of {heads} heads expected, got {features} values"
    );
    check_hidden_keys(&hidden_keys, [batch, tokens]);
    #[cfg(feature = "flex")]
    if query_key_value.shape().num_elements() > 0 && crate::cpu::backend::is_fused(&query_key_value)
    {
        return flex::self_attention(query_key_value, heads, hidden_keys);
    }
    let head_dim = features / 3 / heads;
    let vectors = query_key_value
        .reshape([batch, tokens, 3 * heads, head_dim])
        .swap_dims(1, 2);
    let [query, key, value] = [0, 1, 2].map(|part| vectors.clone().narrow(1, part * heads, heads));
    attention(query, key, value, hidden_keys)
        .swap_dims(1, 2)
        .reshape([batch, tokens, features / 3])
}
