//! The Transformer block.

use crate::attention::{CrossAttention, SelfAttention};
use crate::linear::{apply, init_linear};
use crate::norm::{init_norm, normalize};
use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, LayerNorm, Linear};
use burn::tensor::{Bool, Device, Tensor};
use kernels::gelu;

/// Sizes of a block.
#[derive(Clone, Copy)]
pub(crate) struct BlockSize {
    pub(crate) d_model: usize,
    pub(crate) n_heads: usize,
    pub(crate) d_ff: usize,
    pub(crate) dropout: f64,
}

/// A pre-norm block (Xiong et al. 2020) with GELU (Hendrycks & Gimpel 2016, in its exact form).
///
/// ```text
/// x = x + drop(self_attention(norm(x)))
/// x = x + drop(cross_attention(norm(x), memory))      in a decoder
/// x = x + drop(ff_out(gelu(ff_in(norm(x)))))
/// ```
///
/// Dropout on each residual branch, as in Vaswani et al. 2017, section 5.4.
#[derive(Module, Debug)]
pub(crate) struct Block {
    self_norm: LayerNorm,
    self_attention: SelfAttention,
    cross: Option<Cross>,
    ff_norm: LayerNorm,
    ff_in: Linear,
    ff_out: Linear,
    dropout: Dropout,
}

#[derive(Module, Debug)]
pub(crate) struct Cross {
    norm: LayerNorm,
    attention: CrossAttention,
}

/// Input of cross-attention: what its keys and values are computed from.
#[derive(Clone)]
pub(crate) struct CrossInput {
    /// `[batch, keys, d_model]`
    pub(crate) values: Tensor<3>,
    /// `[batch, keys]`, true = hidden
    pub(crate) hidden: Option<Tensor<2, Bool>>,
}

impl Block {
    /// A block of an encoder: self-attention only.
    pub(crate) fn init(size: BlockSize, device: &Device) -> Self {
        let BlockSize { d_model, d_ff, .. } = size;
        Self {
            self_norm: init_norm(d_model, device),
            self_attention: SelfAttention::init(d_model, size.n_heads, device),
            cross: None,
            ff_norm: init_norm(d_model, device),
            ff_in: init_linear([d_model, d_ff], device),
            ff_out: init_linear([d_ff, d_model], device),
            dropout: DropoutConfig::new(size.dropout).init(),
        }
    }

    /// A block of a decoder: self-attention and cross-attention.
    pub(crate) fn init_with_cross_attention(size: BlockSize, device: &Device) -> Self {
        let cross = Cross {
            norm: init_norm(size.d_model, device),
            attention: CrossAttention::init(size.d_model, size.n_heads, device),
        };
        Self {
            cross: Some(cross),
            ..Self::init(size, device)
        }
    }

    /// # Shapes
    /// - x, output: `[batch, tokens, d_model]`
    /// - hidden_keys: `[batch, tokens]`, true at tokens that are not attended to
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        hidden_keys: Option<Tensor<2, Bool>>,
        memory: Option<CrossInput>,
    ) -> Tensor<3> {
        let h = normalize(&self.self_norm, x.clone());
        let h = self.self_attention.forward(h, hidden_keys);
        let mut x = x + self.dropout.forward(h);
        if let (Some(cross), Some(memory)) = (&self.cross, memory) {
            let h = normalize(&cross.norm, x.clone());
            let h = cross.attention.forward(h, memory.values, memory.hidden);
            x = x + self.dropout.forward(h);
        }
        let h = apply(&self.ff_in, normalize(&self.ff_norm, x.clone()));
        let h = apply(&self.ff_out, gelu(h));
        x + self.dropout.forward(h)
    }
}
