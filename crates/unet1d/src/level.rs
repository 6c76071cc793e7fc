//! The blocks of one time resolution.

use crate::attention::SelfAttention;
use crate::block::ConvBlock;
use crate::config::UNet1dConfig;
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// A sequence of convolution blocks, each followed by self-attention if the level has it.
#[derive(Module, Debug)]
pub(crate) struct Level {
    blocks: Vec<ConvBlock>,
    /// One per block, or empty.
    attention: Vec<SelfAttention>,
}

impl Level {
    /// `n_blocks` blocks of level `index` of `config`. The first block takes `c_in` channels.
    pub(crate) fn init(
        config: &UNet1dConfig,
        index: usize,
        c_in: usize,
        n_blocks: usize,
        device: &Device,
    ) -> Self {
        let channels = config.level_channels()[index];
        let block = |i| {
            let c_in = if i == 0 { c_in } else { channels };
            ConvBlock::init(config.block, [c_in, channels], config.norm_groups, device)
        };
        let attention =
            |_| SelfAttention::init(channels, config.attention_heads, config.norm_groups, device);
        let has_attention = config.attention_levels.contains(&index);
        Self {
            blocks: (0..n_blocks).map(block).collect(),
            attention: (0..n_blocks)
                .filter(|_| has_attention)
                .map(attention)
                .collect(),
        }
    }

    /// # Shapes
    /// - x: `[batch, c_in, frames]`
    /// - output: `[batch, channels of the level, frames]`
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.blocks.iter().enumerate().fold(x, |x, (i, block)| {
            let x = block.forward(x);
            match self.attention.get(i) {
                Some(attention) => attention.forward(x),
                None => x,
            }
        })
    }
}
