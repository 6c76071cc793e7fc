//! Self-attention and cross-attention.

use crate::linear::{apply, init_linear, init_unbiased};
use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

/// Multi-head self-attention (Vaswani et al. 2017, section 3.2).
///
/// ```text
/// y = out([h_1 ... h_n])      h_i = softmax(q_i k_i^T / sqrt(head_dim)) v_i
/// ```
///
/// q, k and v are linear projections, each split into heads.
///
/// Differs from the paper: k has no bias, because it would add a constant to all scores of a query, which
/// the softmax cancels; there is no dropout on attention weights, because tiled attention never stores them.
#[derive(Module, Debug)]
pub(crate) struct SelfAttention {
    /// `[d_model, 3 * d_model]`: three projections in one matrix, for a single product.
    query_key_value: Param<Tensor<2>>,
    query_bias: Param<Tensor<1>>,
    value_bias: Param<Tensor<1>>,
    out: Linear,
    n_heads: usize,
}

impl SelfAttention {
    pub(crate) fn init(d_model: usize, n_heads: usize, device: &Device) -> Self {
        let bias = || Initializer::Zeros.init([d_model], device);
        Self {
            query_key_value: Initializer::XavierUniform { gain: 1.0 }.init_with(
                [d_model, 3 * d_model],
                Some(d_model),
                // Fan-out of each of the three projections.
                Some(d_model),
                device,
            ),
            query_bias: bias(),
            value_bias: bias(),
            out: init_linear([d_model, d_model], device),
            n_heads,
        }
    }

    /// # Shapes
    /// - x, output: `[batch, tokens, d_model]`
    /// - hidden_keys: `[batch, tokens]`, true = hidden
    pub(crate) fn forward(&self, x: Tensor<3>, hidden_keys: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let [query_bias, value_bias] = [&self.query_bias, &self.value_bias].map(Param::val);
        let key_bias = value_bias.zeros_like();
        let bias = Tensor::cat(vec![query_bias, key_bias, value_bias], 0);
        let query_key_value = kernels::linear(x, self.query_key_value.val(), Some(bias));
        let mixed = kernels::self_attention(query_key_value, self.n_heads, hidden_keys);
        apply(&self.out, mixed)
    }
}

/// Multi-head cross-attention: keys and values come from another sequence.
#[derive(Module, Debug)]
pub(crate) struct CrossAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    n_heads: usize,
}

impl CrossAttention {
    pub(crate) fn init(d_model: usize, n_heads: usize, device: &Device) -> Self {
        let linear = || init_linear([d_model, d_model], device);
        Self {
            query: linear(),
            key: init_unbiased([d_model, d_model], device),
            value: linear(),
            out: linear(),
            n_heads,
        }
    }

    /// # Shapes
    /// - x, output: `[batch, queries, d_model]`
    /// - memory: `[batch, keys, d_model]`
    /// - hidden_keys: `[batch, keys]`, true = hidden
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        memory: Tensor<3>,
        hidden_keys: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, queries, d_model] = x.dims();
        let heads = |x: Tensor<3>| {
            let [_, tokens, _] = x.dims();
            x.reshape([batch, tokens, self.n_heads, d_model / self.n_heads])
                .swap_dims(1, 2)
        };
        let mixed = kernels::attention(
            heads(apply(&self.query, x)),
            heads(apply(&self.key, memory.clone())),
            heads(apply(&self.value, memory)),
            hidden_keys,
        );
        let mixed = mixed.swap_dims(1, 2).reshape([batch, queries, d_model]);
        apply(&self.out, mixed)
    }
}
