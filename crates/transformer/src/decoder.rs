//! The decoder: the encoder's memory to an output at every token.

use crate::block::{Block, BlockSize, CrossInput};
use crate::config::{DecoderConfig, EncoderConfig};
use crate::encoder::Memory;
use crate::linear::{apply, init_linear, init_vectors};
use crate::norm::{init_norm, normalize};
use crate::patchify::Patches;
use crate::position::Positions;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, Linear};
use burn::tensor::{Device, Tensor};

/// Predicts every token from the encoder's memory.
///
/// ```text
/// x_i = drop(mask vector + position_i)                every token, hidden or not
/// y   = head(norm(blocks(x, embed(memory))))          self-attention, cross-attention, feed-forward
/// ```
///
/// Differs from He et al. 2022: the decoder attends to visible tokens by cross-attention instead of
/// having them in its own sequence (as in Fu et al. 2024, "Rethinking Patch Dependence for Masked
/// Autoencoders"). It therefore predicts visible tokens as well, and works with a memory of all tokens or
/// of the visible ones.
#[derive(Module, Debug)]
pub struct Decoder {
    embed: Linear,
    mask_token: Param<Tensor<1>>,
    positions: Positions,
    dropout: Dropout,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

/// Sizes of a decoder.
pub(crate) struct DecoderSize {
    pub(crate) block: BlockSize,
    pub(crate) n_layers: usize,
    /// Output values per token.
    pub(crate) d_out: usize,
}

impl DecoderConfig {
    /// Initialises a decoder that predicts patches from the memory of an encoder of configuration
    /// `encoder`. Burn draws each parameter when it is first used.
    ///
    /// # Panics
    /// If [`validate`](DecoderConfig::validate) returns an error.
    pub fn init(&self, encoder: &EncoderConfig, device: &Device) -> Decoder {
        if let Err(error) = self.validate(encoder) {
            panic!("{error}");
        }
        let size = DecoderSize {
            block: self.block_size(),
            n_layers: self.n_layers,
            d_out: encoder.patch_len(),
        };
        Decoder::init(size, encoder, device)
    }
}

impl Decoder {
    /// A decoder for the memory of an encoder of this configuration.
    pub(crate) fn init(size: DecoderSize, encoder: &EncoderConfig, device: &Device) -> Self {
        let d_model = size.block.d_model;
        let largest = encoder.grid(encoder.max_frames);
        Self {
            embed: init_linear([encoder.d_model, d_model], device),
            mask_token: init_vectors([d_model], device),
            positions: Positions::init(encoder.position, largest, d_model, device),
            dropout: DropoutConfig::new(size.block.dropout).init(),
            blocks: (0..size.n_layers)
                .map(|_| Block::init_with_cross_attention(size.block, device))
                .collect(),
            norm: init_norm(d_model, device),
            head: init_linear([d_model, size.d_out], device),
        }
    }

    /// Predicts every patch from the memory.
    ///
    /// # Shapes
    /// - memory: with any number of places
    /// - patches: only their grid and padding are used
    /// - output: `[batch, tokens, patch_len]`; of a predictor, `[batch, tokens, d_model]`
    pub fn forward(&self, memory: &Memory, patches: &Patches) -> Tensor<3> {
        let [batch, _, _] = memory.values.dims();
        let device = memory.values.device();
        let input = CrossInput {
            values: apply(&self.embed, memory.values.clone()),
            hidden: memory.hidden.clone(),
        };
        let queries =
            self.positions.forward(patches.grid, &device) + self.mask_token.val().unsqueeze::<2>();
        let [tokens, d_model] = queries.dims();
        let x = queries.unsqueeze::<3>().expand([batch, tokens, d_model]);
        let mut x = self.dropout.forward(x);
        for block in &self.blocks {
            x = block.forward(x, patches.padding.clone(), Some(input.clone()));
        }
        apply(&self.head, normalize(&self.norm, x))
    }

    /// Name and number of parameters of each part, in the order of the forward pass.
    pub(crate) fn parameters_per_part(&self, name: &str) -> Vec<(String, usize)> {
        let input =
            self.embed.num_params() + self.mask_token.num_params() + self.positions.num_params();
        let mut rows = vec![(format!("{name}.embed"), input)];
        for (i, block) in self.blocks.iter().enumerate() {
            rows.push((format!("{name}.blocks.{i}"), block.num_params()));
        }
        let head = self.norm.num_params() + self.head.num_params();
        rows.push((format!("{name}.head"), head));
        rows
    }
}
