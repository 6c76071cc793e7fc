//! Attention within one sequence, where each token's query, key and value lie side by side.

#[cfg(feature = "flex")]
mod flex;

use super::{attention, check_hidden_keys};
use burn::tensor::{Bool, Tensor};

/// Attention of the tokens of one sequence to each other, by several heads (Vaswani et al. 2017, section 3.2.2).
///
/// Each token's vector holds the queries of all heads, then their keys, then their values: what one linear map of three
/// times the width gives. The heads' outputs come side by side as well, so that nothing is rearranged on the way, and
/// what came from one linear map has one gradient. For each head it is [`attention()`].
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
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
///
/// // One head of one dimension. Queries of 0 like both tokens equally, whose values are 4 and 8.
/// let tokens = [[[0.0, 1.0, 4.0], [0.0, 3.0, 8.0]]];
/// let tokens = Tensor::<3>::from_data(tokens, &Device::flex());
/// let mixed = kernels::self_attention(tokens, 1, None);
/// assert_eq!(mixed.into_data().try_to_vec::<f32>().unwrap(), [6.0, 6.0]);
/// # }
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
    if query_key_value.shape().num_elements() > 0 && crate::backend::is_fused(&query_key_value) {
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
