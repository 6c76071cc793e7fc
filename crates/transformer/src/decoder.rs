//! The decoder: a memory to what was at every place.

use crate::block::{Block, BlockSize, Read};
use crate::config::EncoderConfig;
use crate::encoder::Memory;
use crate::linear::{apply, init_linear, init_vectors};
use crate::norm::{init_norm, normalize};
use crate::patchify::Patches;
use crate::position::Positions;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, Linear};
use burn::tensor::{Device, Tensor};

/// Asks a memory about every place.
///
/// ```text
/// x_i = drop(mask vector + position_i)                every place, hidden or not
/// y   = head(norm(blocks(x, read = embed(memory))))   self-attention, cross-attention, feed-forward
/// ```
///
/// Differs from He et al. 2022: visible tokens are read by cross-attention rather than put at their
/// places (as in Fu et al. 2024, "Rethinking Patch Dependence for Masked Autoencoders"), so the decoder
/// predicts what is visible as well, and takes a memory of all tokens or of the visible ones alike.
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

/// What a decoder is made of.
pub(crate) struct DecoderSize {
    pub(crate) block: BlockSize,
    pub(crate) n_layers: usize,
    /// Values for each place.
    pub(crate) d_out: usize,
}

impl Decoder {
    /// A decoder for the memory of such an encoder.
    pub(crate) fn init(size: DecoderSize, encoder: &EncoderConfig, device: &Device) -> Self {
        let d_model = size.block.d_model;
        let largest = encoder.grid(encoder.max_frames);
        Self {
            embed: init_linear([encoder.d_model, d_model], device),
            mask_token: init_vectors([d_model], device),
            positions: Positions::init(encoder.position, largest, d_model, device),
            dropout: DropoutConfig::new(size.block.dropout).init(),
            blocks: (0..size.n_layers)
                .map(|_| Block::init_reading(size.block, device))
                .collect(),
            norm: init_norm(d_model, device),
            head: init_linear([d_model, size.d_out], device),
        }
    }

    /// # Shapes
    /// - memory: of any number of places
    /// - patches: only their grid and padding are looked at
    /// - output: `[batch, tokens, d_out]`
    pub(crate) fn forward(&self, memory: &Memory, patches: &Patches) -> Tensor<3> {
        let [batch, _, _] = memory.values.dims();
        let device = memory.values.device();
        let read = Read {
            values: apply(&self.embed, memory.values.clone()),
            hidden: memory.hidden.clone(),
        };
        let places =
            self.positions.forward(patches.grid, &device) + self.mask_token.val().unsqueeze::<2>();
        let [tokens, d_model] = places.dims();
        let x = places.unsqueeze::<3>().expand([batch, tokens, d_model]);
        let mut x = self.dropout.forward(x);
        for block in &self.blocks {
            x = block.forward(x, patches.padding.clone(), Some(read.clone()));
        }
        apply(&self.head, normalize(&self.norm, x))
    }

    /// Parameters of each part, in order.
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
