//! Floating-point operations, counted from shapes.
//!
//! A multiply-add is two operations. Only products and transforms are counted: norms, activations and the optimizer
//! take time but next to no operations. Zeros of padding count as any other value. What is computed again to save
//! memory counts once.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use losses::{InfoNce, NegativeSource, Resolution};
use transformer::{ContrastiveConfig, DecoderConfig};

use crate::work::{LayerKind, Pass, TransformerSize, UNetSize, Work};

impl Work {
    /// Operations of one call.
    pub(crate) fn flop(&self, pass: Pass) -> f64 {
        match self {
            Self::UNet(size) => unet(size, pass),
            Self::Transformer(size) => encoder(size, pass),
            Self::MaskedTraining { size, decoder } => masked(size, decoder, pass),
            Self::ContrastiveTraining { size, heads, loss } => contrastive(size, heads, loss, pass),
            Self::Layer { layer, shape } => {
                let [batch, channels, features] = *shape;
                let multiply_adds = match *layer {
                    LayerKind::Conv1d { out, taps } => out * channels * taps * features,
                    LayerKind::Linear { out } => channels * features * out,
                    _ => 0,
                };
                2.0 * (batch * multiply_adds) as f64 * passes(pass)
            }
            Self::Attention {
                batch,
                heads,
                tokens,
                head_dim,
            } => *batch as f64 * attention([*tokens; 2], heads * head_dim) * passes(pass),
            Self::Stft {
                clips,
                samples,
                n_fft,
                hop_length,
            } => transforms(clips * (1 + samples / hop_length), *n_fft),
            // Similarities, and the gradient of the queries.
            Self::InfoNce {
                batch,
                tokens,
                hidden,
                features,
                loss,
            } => 2.0 * similarities(loss, [*batch, *tokens, *hidden], *features),
            // Three transforms: of both sounds, and back for the gradient of one.
            Self::MultiResolution {
                batch,
                samples,
                loss,
            } => {
                let of = |resolution: &Resolution| {
                    transforms(batch * resolution.frames(*samples), resolution.n_fft)
                };
                3.0 * loss.resolutions.iter().map(of).sum::<f64>()
            }
            Self::Product { size } => 2.0 * (*size as f64).powi(3),
        }
    }
}

/// Products of a layer: its output, and in a step the gradients of its input and of its weights.
fn passes(pass: Pass) -> f64 {
    match pass {
        Pass::Forward => 1.0,
        Pass::Step => 3.0,
    }
}

/// The same of a layer whose input needs no gradient.
fn passes_of_first(pass: Pass) -> f64 {
    match pass {
        Pass::Forward => 1.0,
        Pass::Step => 2.0,
    }
}

fn unet(size: &UNetSize, pass: Pass) -> f64 {
    let config = &size.model;
    assert!(
        config.attention_levels.is_empty(),
        "operations of a U-Net with attention aren't counted, got attention at levels {:?}",
        config.attention_levels
    );
    let frames = config.level_frames(size.frames);
    let columns = |path: &str| {
        let (part, rest) = path.split_once('.').unwrap_or((path, ""));
        let level: Option<usize> = rest.split('.').next().and_then(|index| index.parse().ok());
        match (part, level) {
            ("stem", _) => frames[0] as f64 * passes_of_first(pass),
            ("head", _) => frames[0] as f64 * passes(pass),
            ("middle", _) => frames[frames.len() - 1] as f64 * passes(pass),
            ("encoder" | "decoder", Some(level)) => frames[level] as f64 * passes(pass),
            // The transposed convolution has a column for each frame of its input.
            ("halve" | "double", Some(level)) => frames[level + 1] as f64 * passes(pass),
            _ => panic!("it isn't known how often {path} is multiplied with"),
        }
    };
    size.batch as f64 * products(&config.init(&Device::flex()), columns)
}

fn encoder(size: &TransformerSize, pass: Pass) -> f64 {
    let network = size.encoder.init(&Device::flex());
    let products = products(&network, |path| encoder_columns(size, path, pass));
    size.batch as f64 * (products + encoder_attention(size, pass))
}

fn masked(size: &TransformerSize, decoder: &DecoderConfig, pass: Pass) -> f64 {
    let columns = |path: &str| match path.strip_prefix("encoder.") {
        Some(path) => encoder_columns(size, path, pass),
        // What is computed from the encoder's output.
        None if ["decoder.embed.", ".key.", ".value."]
            .iter()
            .any(|part| path.contains(part)) =>
        {
            size.places() as f64 * passes(pass)
        }
        None => size.tokens() as f64 * passes(pass),
    };
    let products = products(&size.masked(decoder, &Device::flex()), columns);
    let [tokens, places] = [size.tokens(), size.places()];
    let mixed = [[tokens, tokens], [tokens, places]].map(|size| attention(size, decoder.d_model));
    let mixed = decoder.n_layers as f64 * mixed.iter().sum::<f64>() * passes(pass);
    size.batch as f64 * (products + encoder_attention(size, pass) + mixed)
}

fn contrastive(
    size: &TransformerSize,
    heads: &ContrastiveConfig,
    loss: &InfoNce,
    pass: Pass,
) -> f64 {
    let tokens = size.tokens();
    let columns = |path: &str| match path.strip_prefix("encoder.") {
        Some(path) => encoder_columns(size, path, pass),
        None if path.starts_with("query_head.") => tokens as f64 * passes(pass),
        // No gradient reaches the patches' embedding through it.
        None if path.starts_with("key_head.") => tokens as f64 * passes_of_first(pass),
        None => panic!("it isn't known how often {path} is multiplied with"),
    };
    let products = products(&heads.init(&size.encoder, &Device::flex()), columns);
    // The embedding of the keys, without a gradient.
    let keys = 2.0 * (tokens * size.encoder.patch_len() * size.encoder.d_model) as f64;
    let pairs = similarities(loss, [size.batch, tokens, size.hidden], heads.proj_dim);
    size.batch as f64 * (products + encoder_attention(size, pass) + keys) + passes(pass) * pairs
}

/// Columns that an encoder's weight is multiplied with for each item, in all passes.
fn encoder_columns(size: &TransformerSize, path: &str, pass: Pass) -> f64 {
    match path.split('.').next() {
        Some("embed") => size.places() as f64 * passes_of_first(pass),
        Some("blocks") => size.places() as f64 * passes(pass),
        Some("positions") => 0.0,
        _ => panic!("it isn't known how often {path} is multiplied with"),
    }
}

/// Of one item.
fn encoder_attention(size: &TransformerSize, pass: Pass) -> f64 {
    let config = &size.encoder;
    config.n_layers as f64 * attention([size.places(); 2], config.d_model) * passes(pass)
}

/// Scores, and the sum of values weighted by them.
fn attention([queries, keys]: [usize; 2], features: usize) -> f64 {
    2.0 * 2.0 * queries as f64 * keys as f64 * features as f64
}

/// The similarities of queries with their positives and all negatives, drawn or not, of `[batch, tokens, hidden]`.
fn similarities(loss: &InfoNce, [batch, tokens, hidden]: [usize; 3], features: usize) -> f64 {
    let keys = match loss.negatives.from {
        NegativeSource::Batch => batch * tokens,
        NegativeSource::Clip => hidden,
    };
    2.0 * (batch * hidden) as f64 * keys as f64 * features as f64
}

/// Half of a complex transform's 5 n log2 n (Cooley & Tukey 1965) for each frame.
fn transforms(frames: usize, n_fft: usize) -> f64 {
    let n = n_fft as f64;
    frames as f64 * 2.5 * n * n.log2()
}

/// The operations of a network's matrices and kernels, each of which is multiplied with so many `columns` by its path.
/// Vectors (biases, gains of norms, mask vectors) aren't counted.
fn products<M: Module>(network: &M, columns: impl Fn(&str) -> f64) -> f64 {
    struct Products<F> {
        path: Vec<String>,
        columns: F,
        sum: f64,
    }

    impl<F: Fn(&str) -> f64> ModuleVisitor for Products<F> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D > 1 {
                let columns = (self.columns)(&self.path.join("."));
                self.sum += 2.0 * param.lazy_shape().num_elements() as f64 * columns;
            }
        }
    }

    let mut visitor = Products {
        path: Vec::new(),
        columns,
        sum: 0.0,
    };
    network.visit(&mut visitor);
    visitor.sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cases, sweeps};
    use burn::nn::conv::Conv1dConfig;

    #[test]
    fn a_column_through_a_convolution_is_two_operations_for_each_weight() {
        let conv = Conv1dConfig::new(7, 5, 3).init(&Device::flex());
        let columns = |path: &str| {
            assert_eq!(path, "weight");
            11.0
        };
        assert_eq!(products(&conv, columns), 2.0 * (5 * 7 * 3 * 11) as f64);
        assert_eq!([Pass::Forward, Pass::Step].map(passes), [1.0, 3.0]);
        assert_eq!([Pass::Forward, Pass::Step].map(passes_of_first), [1.0, 2.0]);
    }

    /// The expected values are sums over layers that were written down one by one, independently of module paths.
    #[test]
    fn networks_have_the_operations_of_all_their_layers() {
        let all = [cases().unwrap(), sweeps().unwrap()].concat();
        for (name, gflop) in [
            ("unet_step_paper", 159.934_691_328),
            ("unet_forward_paper", 53.674_029_056),
            ("unet_step_default", 4.123_769_856),
            ("transformer_step", 155.692_564_48),
            ("transformer_forward", 52.076_478_464),
            ("transformer_step_default", 30.332_256_256),
            ("transformer_step_45_percent_hidden", 76.188_549_12),
            ("masked_step_default", 53.997_666_304),
            ("contrastive_step_default", 31.449_038_848),
        ] {
            let case = all.iter().find(|case| case.name == name).unwrap();
            let got = case.gflop();
            assert!((got / gflop - 1.0).abs() < 1e-9, "{name}: {got}");
        }
    }
}
