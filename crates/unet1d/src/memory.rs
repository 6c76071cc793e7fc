//! The memory of a training step.

use crate::block::BlockKind;
use crate::config::UNet1dConfig;
use crate::unet::MIDDLE_BLOCKS;

impl UNet1dConfig {
    /// Estimates the number of values (4 bytes each in f32) that one training step keeps from the
    /// forward pass for the backward pass. Parameters, their gradients, the optimiser's state, the loss
    /// and the temporary memory of single operations come on top.
    ///
    /// Counted by operation, for `B` items of `T` frames, as Burn's autodiff keeps them without
    /// gradient checkpointing:
    ///
    /// ```text
    /// convolution of c             B c T        its input, unless a preceding norm keeps it
    /// group norm of c, with SiLU   B c T        its input
    /// halve, double c              B c T        its input
    /// attention of c, h heads      norm and two convolutions as above, and
    ///                              4 B c T      q, k, v, output
    ///                              B h T        logarithms of sums
    /// ```
    ///
    /// Without the [`kernels`] feature of the backend, Burn's attention keeps the scores instead: `3 B h T^2`.
    pub fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        let channels = self.level_channels();
        let frames = self.level_frames(frames);
        let deepest = channels.len() - 1;
        let kept = Kept {
            config: self,
            batch,
        };
        let mut sum = kept.input(self.in_channels, frames[0]);
        for i in 0..=deepest {
            let above = if i == 0 {
                self.base_channels
            } else {
                channels[i - 1]
            };
            let below = channels[(i + 1).min(deepest)];
            sum += kept.level(i, above, self.blocks_per_level, frames[i]);
            sum += kept.level(i, below + channels[i], self.blocks_per_level, frames[i]);
            if i < deepest {
                sum += kept.input(channels[i], frames[i]);
                sum += kept.input(below, frames[i + 1]);
            }
        }
        sum += kept.level(deepest, channels[deepest], MIDDLE_BLOCKS, frames[deepest]);
        sum += kept.input(channels[0], frames[0]);
        sum + kept.input(channels[0], frames[0])
    }
}

struct Kept<'a> {
    config: &'a UNet1dConfig,
    batch: usize,
}

impl Kept<'_> {
    fn level(&self, index: usize, c_in: usize, n_blocks: usize, frames: usize) -> usize {
        let channels = self.config.level_channels()[index];
        let first = self.block([c_in, channels], frames);
        let others = (n_blocks - 1) * self.block([channels, channels], frames);
        let attention = if self.config.attention_levels.contains(&index) {
            n_blocks * self.attention(channels, frames)
        } else {
            0
        };
        first + others + attention
    }

    fn block(&self, [c_in, c_out]: [usize; 2], frames: usize) -> usize {
        // Two convolutions and the second norm. The first norm already keeps the shortcut's input.
        let common = self.input(c_in, frames) + 2 * self.input(c_out, frames);
        let first_norm = match self.config.block {
            BlockKind::Plain => c_out,
            BlockKind::Residual => c_in,
        };
        common + self.input(first_norm, frames)
    }

    fn attention(&self, channels: usize, frames: usize) -> usize {
        let heads = self.config.attention_heads;
        7 * self.input(channels, frames) + self.input(heads, frames)
    }

    /// The input of one convolution or norm.
    fn input(&self, channels: usize, frames: usize) -> usize {
        self.batch * channels * frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_agrees_with_one_made_by_hand() {
        let config = UNet1dConfig {
            in_channels: 10,
            base_channels: 8,
            channel_mults: vec![1],
            blocks_per_level: 1,
            ..UNet1dConfig::default()
        };
        // 6 frames: stem 10 -> 8; blocks 8 -> 8 (encoder, twice in the middle), 16 -> 8; head 8 -> 10.
        let per_item =
            10 * 6 + 3 * (2 * 8 * 6 + 2 * 8 * 6) + (16 * 6 + 8 * 6 + 2 * 8 * 6) + (8 * 6 + 8 * 6);
        for batch in [1, 5] {
            assert_eq!(config.activation_elements(batch, 6), batch * per_item);
        }
    }

    #[test]
    fn attention_grows_with_the_frames_as_convolutions_do() {
        let plain = UNet1dConfig {
            in_channels: 10,
            channel_mults: vec![1, 2],
            ..UNet1dConfig::default()
        };
        let with = UNet1dConfig {
            attention_levels: vec![0],
            ..plain.clone()
        };
        let extra =
            |frames| with.activation_elements(1, frames) - plain.activation_elements(1, frames);
        // Two blocks in the encoder and two in the decoder, 128 channels, 4 heads.
        let (c, t) = (128, 100);
        assert_eq!(extra(t), 4 * (7 * c * t + 4 * t));
    }
}
