//! The memory of a training step.

use crate::block::BlockSize;
use crate::config::{EncoderTokens, TransformerConfig};

/// The size of one training step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepSize {
    /// Spectrograms in the batch.
    pub batch: usize,
    /// Frames of each.
    pub frames: usize,
    /// Share of hidden tokens, in 0..1. A visible-only encoder gets the others.
    pub hidden_ratio: f64,
}

/// # Estimates
///
/// Each method estimates the number of values (4 bytes each in f32) that one training step keeps from the
/// forward pass for the backward pass. Parameters, their gradients, the optimiser's state, the loss and the
/// temporary memory of single operations come on top.
///
/// Counted by operation, per token, as Burn's autodiff keeps them without gradient checkpointing:
///
/// ```text
/// linear, from d               d         its input
/// layer norm of d              2 d       centred, normalised
/// dropout on d                 d         its mask
/// GELU of f                    f         its input
/// self-attention, h heads      4 d + h   q, k, v and output; scale of the softmax
/// cross-attention, h heads     3 d + h   per query: q, output in two layouts, scale of the softmax
///                              2 d       per place of the memory: k and v
/// ```
///
/// Attention is tiled, so nothing grows with the square of the tokens. On the CPU backend, the bytes alive
/// after a forward pass were within 2 % of the estimate, and 2 % to 6 % above it for contrastive pretraining,
/// whose queries and keys are alive as well.
impl TransformerConfig {
    /// Contrastive pretraining: encoder, predictor and heads.
    pub fn contrastive_activation_elements(&self, step: StepSize) -> usize {
        let tokens = self.tokens(step);
        let d_model = self.encoder.d_model;
        let n_layers = self.contrastive.predictor_layers;
        let predictor = if n_layers == 0 {
            0
        } else {
            self.decoder_elements(self.encoder.block_size(), n_layers, step)
        };
        let patches = tokens * self.encoder.patch_len();
        self.encoder_elements(self.encoder_tokens(step))
            + predictor
            + patches
            + 2 * tokens * d_model
    }

    /// Reconstruction with a frozen encoder, which keeps nothing: the decoder alone.
    pub fn decoder_activation_elements(&self, step: StepSize) -> usize {
        self.decoder_elements(self.decoder.block_size(), self.decoder.n_layers, step)
    }

    /// Reconstruction by encoder and decoder.
    pub fn masked_activation_elements(&self, step: StepSize) -> usize {
        self.encoder_elements(self.encoder_tokens(step)) + self.decoder_activation_elements(step)
    }

    fn tokens(&self, step: StepSize) -> usize {
        step.batch * self.encoder.grid(step.frames).tokens()
    }

    /// Input tokens of the encoder.
    fn encoder_tokens(&self, step: StepSize) -> usize {
        let tokens = self.tokens(step);
        match self.encoder.tokens {
            EncoderTokens::All => tokens,
            EncoderTokens::Visible => (tokens as f64 * (1.0 - step.hidden_ratio)).ceil() as usize,
        }
    }

    fn encoder_elements(&self, tokens: usize) -> usize {
        let size = self.encoder.block_size();
        let ends = self.encoder.patch_len() + dropout(size) + norm(size.d_model);
        tokens * (ends + self.encoder.n_layers * block(size))
    }

    /// A decoder or predictor with blocks of this size.
    fn decoder_elements(&self, size: BlockSize, n_layers: usize, step: StepSize) -> usize {
        let d = size.d_model;
        let per_token = dropout(size) + n_layers * (block(size) + cross_query(size)) + norm(d) + d;
        let per_place = self.encoder.d_model + d + n_layers * 2 * d;
        self.tokens(step) * per_token + self.encoder_tokens(step) * per_place
    }
}

/// Self-attention and feed-forward network, per token.
fn block(size: BlockSize) -> usize {
    let d = size.d_model;
    let self_attention = norm(d) + d + 4 * d + size.n_heads + dropout(size);
    let feed_forward = norm(d) + d + 2 * size.d_ff + dropout(size);
    self_attention + feed_forward
}

/// Cross-attention, per query: norm, q, attention, output layer and dropout.
fn cross_query(size: BlockSize) -> usize {
    let d = size.d_model;
    norm(d) + d + d + 2 * d + size.n_heads + dropout(size)
}

fn norm(d_model: usize) -> usize {
    2 * d_model
}

fn dropout(size: BlockSize) -> usize {
    if size.dropout > 0.0 { size.d_model } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ContrastiveConfig, DecoderConfig, EncoderConfig};

    fn config() -> TransformerConfig {
        TransformerConfig {
            encoder: EncoderConfig {
                bins: 9,
                patch_bins: 2,
                patch_frames: 3,
                d_model: 16,
                n_heads: 2,
                d_ff: 20,
                n_layers: 1,
                ..EncoderConfig::default()
            },
            decoder: DecoderConfig {
                d_model: 12,
                n_heads: 3,
                d_ff: 14,
                n_layers: 1,
                ..DecoderConfig::default()
            },
            ..TransformerConfig::default()
        }
    }

    const STEP: StepSize = StepSize {
        batch: 3,
        frames: 10,
        hidden_ratio: 0.25,
    };

    #[test]
    fn the_count_agrees_with_one_made_by_hand() {
        // 5 rows and 4 columns for 3 items.
        let tokens = 3 * 20;
        let encoder = 6 + 16 // patches, dropout
            + (2 + 1 + 3 + 1 + 1) * 16 + 2 // norm, its output, q k v, attention, dropout; 2 heads
            + (2 + 1 + 1) * 16 + 2 * 20 // norm, its output, dropout; before and after GELU
            + 2 * 16; // norm
        let per_token = 12
            + (2 + 1 + 3 + 1 + 1) * 12 + 3
            + (2 + 1 + 1 + 2 + 1) * 12 + 3 // norm, its output, q, attention twice, dropout; 3 heads
            + (2 + 1 + 1) * 12 + 2 * 14
            + (2 + 1) * 12;
        let per_place = 16 + 12 + 2 * 12;
        let config = config();
        let decoder = tokens * (per_token + per_place);
        assert_eq!(config.decoder_activation_elements(STEP), decoder);
        let masked = tokens * encoder + decoder;
        assert_eq!(config.masked_activation_elements(STEP), masked);
        let contrastive = tokens * (encoder + 6 + 2 * 16);
        assert_eq!(config.contrastive_activation_elements(STEP), contrastive);

        let visible = TransformerConfig {
            encoder: EncoderConfig {
                tokens: EncoderTokens::Visible,
                ..config.encoder
            },
            ..config
        };
        let masked = 45 * encoder + tokens * per_token + 45 * per_place;
        assert_eq!(visible.masked_activation_elements(STEP), masked);
    }

    #[test]
    fn nothing_grows_with_the_square_of_the_tokens() {
        let config = TransformerConfig {
            contrastive: ContrastiveConfig {
                predictor_layers: 1,
                ..ContrastiveConfig::default()
            },
            ..config()
        };
        let long = StepSize {
            frames: 100 * STEP.frames + 200,
            ..STEP
        };
        for elements in [
            TransformerConfig::contrastive_activation_elements,
            TransformerConfig::masked_activation_elements,
        ] {
            // 4 columns become 400.
            assert_eq!(elements(&config, long), 100 * elements(&config, STEP));
        }
    }

    #[test]
    fn the_paper_preset_is_counted_in_gigabytes() {
        let mut config = TransformerConfig::default();
        config.encoder.bins = 513;
        let step = StepSize {
            batch: 1,
            frames: 345,
            hidden_ratio: 0.45,
        };
        let gib = |elements: usize| elements as f64 * 4.0 / f64::from(1 << 30);
        let contrastive = gib(config.contrastive_activation_elements(step));
        assert!((2.0..3.0).contains(&contrastive), "{contrastive}");
    }
}
