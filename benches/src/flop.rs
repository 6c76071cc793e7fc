//! Floating-point operations, counted from shapes.
//!
//! A multiply-add is two operations. Only products and transforms are counted: norms, activations and the
//! optimizer cost time and next to no operations. Zeros of padding are counted as any other value.

use losses::{InfoNce, Negatives, Resolution};
use transformer::EncoderTokens;
use unet1d::{BlockKind, UNet1dConfig};

use crate::work::{Pass, TransformerSize, UNetSize, Work};

impl Work {
    /// Operations of one call.
    pub(crate) fn flop(&self, pass: Pass) -> f64 {
        match self {
            Self::UNet(size) => size.batch as f64 * of_layers(&unet_layers(size), pass),
            Self::Transformer(size) => of_encoder(size, pass),
            // The keys' embedding, both heads, and similarities with the gradients of both sides.
            Self::ContrastiveTraining(size) => {
                let encoder = &size.encoder;
                let (batch, d) = (encoder.batch as f64, encoder.encoder.d_model);
                let tokens = encoder.encoder.grid(encoder.frames).tokens();
                let embed = encoder.encoder.patch_len() * d;
                let keys = Layer {
                    weights: embed,
                    columns: tokens,
                };
                let head = Layer {
                    weights: d * size.heads.proj_dim,
                    columns: tokens,
                };
                // The head of the keys hands no gradient on.
                let heads = (3.0 + 2.0) * of_layers(&[head], Pass::Forward);
                let asked = encoder.batch * encoder.hidden;
                let pairs =
                    asked as f64 * candidates(&size.loss, encoder.batch, tokens, encoder.hidden);
                of_encoder(encoder, pass)
                    + batch * (of_layers(&[keys], Pass::Forward) + heads)
                    + 3.0 * 2.0 * pairs * size.heads.proj_dim as f64
            }
            Self::MaskedTraining(size) => {
                let encoder = &size.encoder;
                let tokens = encoder.encoder.grid(encoder.frames).tokens();
                let places = encoder.places(tokens);
                let d = size.decoder.d_model;
                let layer = |weights, columns| Layer { weights, columns };
                let mut layers = vec![layer(encoder.encoder.d_model * d, places)];
                for _ in 0..size.decoder.n_layers {
                    // Its own queries, keys, values and output; queries and output of what it reads; feed-forward.
                    layers.push(layer(
                        4 * d * d + 2 * d * d + 2 * d * size.decoder.d_ff,
                        tokens,
                    ));
                    layers.push(layer(2 * d * d, places));
                }
                layers.push(layer(d * encoder.encoder.patch_len(), tokens));
                let products = passes(pass) * of_layers(&layers, Pass::Forward);
                let mixed = size.decoder.n_layers as f64
                    * (of_attention(tokens, d) + 4.0 * (tokens * places * d) as f64)
                    * passes(pass);
                of_encoder(encoder, pass) + encoder.batch as f64 * (products + mixed)
            }
            Self::Layer(layer) => layer.flop(pass),
            Self::Attention(size) => {
                let features = size.heads * size.head_dim;
                size.batch as f64 * of_attention(size.tokens, features) * passes(pass)
            }
            Self::Stft(size) => {
                let frames = size.clips * (1 + size.samples / size.hop_length);
                of_transform(frames, size.n_fft)
            }
            // Similarities, and the gradient of the queries.
            Self::InfoNce(size) => {
                let asked = (size.batch * size.hidden) as f64;
                let pairs = asked * candidates(&size.loss, size.batch, size.tokens, size.hidden);
                2.0 * 2.0 * pairs * size.features as f64
            }
            // Of three transforms: both sounds', and the gradient of one.
            Self::MultiResolution(size) => {
                let of = |resolution: &Resolution| {
                    let frames = resolution.frames(size.samples);
                    of_transform(size.batch * frames, resolution.n_fft)
                };
                3.0 * size.loss.resolutions.iter().map(of).sum::<f64>()
            }
            Self::Product(size) => 2.0 * (size.size as f64).powi(3),
        }
    }
}

/// A matrix of weights, and the columns that it is multiplied with for each item.
struct Layer {
    weights: usize,
    columns: usize,
}

/// Layers in the order of the network. The first one's input needs no gradient.
fn of_layers(layers: &[Layer], pass: Pass) -> f64 {
    let of = |layer: &Layer| 2.0 * layer.weights as f64 * layer.columns as f64;
    let forward: f64 = layers.iter().map(of).sum();
    match pass {
        Pass::Forward => forward,
        Pass::Step => 3.0 * forward - layers.first().map_or(0.0, of),
    }
}

fn of_encoder(size: &TransformerSize, pass: Pass) -> f64 {
    let encoder = &size.encoder;
    let places = size.places(encoder.grid(size.frames).tokens());
    let mixed = encoder.n_layers as f64 * of_attention(places, encoder.d_model) * passes(pass);
    size.batch as f64 * (of_layers(&encoder_layers(size), pass) + mixed)
}

/// Keys that each query is compared with, its own among them.
fn candidates(loss: &InfoNce, batch: usize, tokens: usize, hidden: usize) -> f64 {
    match loss.negatives {
        Negatives::Batch => (batch * tokens) as f64,
        Negatives::Clip { .. } => hidden as f64,
    }
}

/// Half of a complex transform's 5 n log2 n (Cooley & Tukey 1965) for each frame.
fn of_transform(frames: usize, n_fft: usize) -> f64 {
    let n = n_fft as f64;
    frames as f64 * 2.5 * n * n.log2()
}

/// Scores, and the sum of values by them.
fn of_attention(tokens: usize, features: usize) -> f64 {
    2.0 * 2.0 * (tokens as f64).powi(2) * features as f64
}

/// A product's gradients are two products of its size. What is computed again to save memory isn't counted.
fn passes(pass: Pass) -> f64 {
    match pass {
        Pass::Forward => 1.0,
        Pass::Step => 3.0,
    }
}

fn encoder_layers(size: &TransformerSize) -> Vec<Layer> {
    let encoder = &size.encoder;
    let tokens = encoder.grid(size.frames).tokens();
    let places = size.places(tokens);
    let embedded = match encoder.tokens {
        EncoderTokens::All => tokens,
        EncoderTokens::Visible => places,
    };
    let d = encoder.d_model;
    let embed = Layer {
        weights: encoder.patch_bins * encoder.patch_frames * d,
        columns: embedded,
    };
    let blocks = (0..encoder.n_layers).map(|_| Layer {
        weights: 4 * d * d + 2 * d * encoder.d_ff,
        columns: places,
    });
    std::iter::once(embed).chain(blocks).collect()
}

fn unet_layers(size: &UNetSize) -> Vec<Layer> {
    let config = &size.model;
    let channels = config.level_channels();
    let frames = config.level_frames(size.frames);
    let deepest = channels.len() - 1;
    let conv = |c_in: usize, c_out: usize, taps: usize, level: usize| Layer {
        weights: c_in * c_out * taps,
        columns: frames[level],
    };
    let mut layers = vec![conv(config.in_channels, config.base_channels, 3, 0)];
    let mut c_in = config.base_channels;
    for (level, &c_out) in channels.iter().enumerate() {
        layers.extend(blocks(
            config,
            config.blocks_per_level,
            c_in,
            level,
            &frames,
        ));
        c_in = c_out;
        if level < deepest {
            layers.push(conv(c_in, c_in, 4, level + 1));
        }
    }
    layers.extend(blocks(
        config,
        MIDDLE_BLOCKS,
        channels[deepest],
        deepest,
        &frames,
    ));
    for level in (0..=deepest).rev() {
        let below = channels[deepest.min(level + 1)];
        if level < deepest {
            // Transposed: a column for each frame that goes in.
            layers.push(conv(below, below, 4, level + 1));
        }
        let c_in = below + channels[level];
        layers.extend(blocks(
            config,
            config.blocks_per_level,
            c_in,
            level,
            &frames,
        ));
    }
    layers.push(conv(channels[0], config.in_channels, 3, 0));
    layers
}

/// Between encoder and decoder, however many blocks a level has.
const MIDDLE_BLOCKS: usize = 2;

/// The convolutions of so many blocks at a level.
fn blocks(
    config: &UNet1dConfig,
    n_blocks: usize,
    c_in: usize,
    level: usize,
    frames: &[usize],
) -> Vec<Layer> {
    assert!(
        config.attention_levels.is_empty(),
        "operations of a U-Net with attention aren't counted, got attention at levels {:?}",
        config.attention_levels
    );
    let c_out = config.level_channels()[level];
    let block = |i: usize| {
        let c_in = if i == 0 { c_in } else { c_out };
        let shortcut = config.block == BlockKind::Residual && c_in != c_out;
        Layer {
            weights: 3 * (c_in + c_out) * c_out + if shortcut { c_in * c_out } else { 0 },
            columns: frames[level],
        }
    };
    (0..n_blocks).map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::{Device, Tensor};

    /// Weights that are multiplied with: everything but biases, norms, mask vectors and positions.
    #[derive(Default)]
    struct Weights(usize);
    impl ModuleVisitor for Weights {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D > 1 {
                self.0 += param.lazy_shape().num_elements();
            }
        }
    }

    #[test]
    fn no_weight_of_a_network_is_left_out_of_the_count() {
        let mut networks = 0;
        for case in cases().unwrap() {
            let mut weights = Weights::default();
            let layers = match &case.work {
                Work::UNet(size) => {
                    size.model.init(&Device::flex()).visit(&mut weights);
                    unet_layers(size)
                }
                Work::Transformer(size) => {
                    let config = transformer::TransformerConfig {
                        encoder: size.encoder.clone(),
                        ..Default::default()
                    };
                    let network = config.init_contrastive(&Device::flex());
                    network.encoder.visit(&mut weights);
                    encoder_layers(size)
                }
                _ => continue,
            };
            let counted: usize = layers.iter().map(|layer| layer.weights).sum();
            assert_eq!(counted, weights.0, "{}", case.name);
            networks += 1;
        }
        assert_eq!(networks, 8);
    }

    #[test]
    fn one_frame_through_a_convolution_is_two_operations_for_each_weight() {
        let layer = || Layer {
            weights: 5 * 7 * 3,
            columns: 11,
        };
        let forward = 2.0 * 105.0 * 11.0;
        assert_eq!(of_layers(&[layer()], Pass::Forward), forward);
        assert_eq!(of_layers(&[layer()], Pass::Step), 2.0 * forward);
        assert_eq!(of_layers(&[layer(), layer()], Pass::Step), 5.0 * forward);
    }
}
