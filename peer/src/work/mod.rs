//! Kinds of work with their sizes, made ready to be called.

mod layer;
mod network;
mod plain;

use std::hint::black_box;

use burn::tensor::{Device, Tensor};
use losses::{InfoNce, MultiResolutionStftConfig};
use serde::Serialize;
use transformer::{ContrastiveConfig, DecoderConfig};

use crate::formula::magnitude;

pub use layer::LayerKind;
pub use network::{TransformerSize, UNetSize};

use network::Weights;

/// Something to compute, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// The 1-D U-Net on spectrograms.
    #[serde(rename = "unet")]
    UNet(UNetSize),
    /// The encoder of the patch Transformer.
    Transformer(TransformerSize),
    /// Encoder and decoder of the patch Transformer, which reconstruct all patches.
    MaskedTraining {
        /// Its encoder, and the batch.
        #[serde(flatten)]
        size: TransformerSize,
        /// The decoder.
        decoder: DecoderConfig,
    },
    /// Contrastive pretraining of the patch Transformer: encoder, heads and InfoNCE.
    ContrastiveTraining {
        /// Its encoder, and the batch.
        #[serde(flatten)]
        size: TransformerSize,
        /// What is added to the encoder. The peer has no predictor.
        heads: ContrastiveConfig,
        /// The objective.
        loss: InfoNce,
    },
    /// A single layer.
    Layer {
        /// Its kind.
        layer: LayerKind,
        /// `[batch, channels, frames]` of convolutions and group norms, `[batch, tokens, features]` of the others.
        shape: [usize; 3],
    },
    /// Self-attention.
    Attention {
        /// Sequences.
        batch: usize,
        /// Heads of each.
        heads: usize,
        /// Tokens of each.
        tokens: usize,
        /// Features of a token in a head.
        head_dim: usize,
    },
    /// `log1p` of the magnitudes of short-time spectra.
    Stft {
        /// Clips in a batch.
        clips: usize,
        /// Samples of each.
        samples: usize,
        /// Samples in a frame.
        n_fft: usize,
        /// Samples from one frame to the next.
        hop_length: usize,
    },
    /// InfoNCE on queries and detached keys.
    #[serde(rename = "infonce")]
    InfoNce {
        /// Spectrograms in a batch.
        batch: usize,
        /// Tokens of each, all of which are keys.
        tokens: usize,
        /// Tokens of each that are queries.
        hidden: usize,
        /// Features of a token.
        features: usize,
        /// The objective.
        loss: InfoNce,
    },
    /// The multi-resolution STFT loss of two batches of sounds, one of which has a gradient.
    MultiResolution {
        /// Sounds in a batch.
        batch: usize,
        /// Samples of each.
        samples: usize,
        /// The objective.
        loss: MultiResolutionStftConfig,
    },
    /// A product of two square matrices.
    Product {
        /// Rows and columns.
        size: usize,
    },
}

/// How far a computation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// The values, with nothing kept for gradients.
    Forward,
    /// The values and the gradients; for a network, an optimizer step as well.
    Step,
}

/// Work with its model and data in memory.
pub struct Prepared {
    /// Trainable values of the model, 0 where there is none.
    pub parameters: usize,
    /// Does the work once.
    pub call: Box<dyn FnMut() -> Outcome>,
}

/// The mean absolute value of what a call computed: of its output or gradient, or its loss. It is summed up when this
/// is called, so that it takes no part in a measurement.
pub type Outcome = Box<dyn FnOnce() -> f64>;

impl Work {
    /// Makes model and data, on the CPU.
    pub fn prepare(&self, pass: Pass) -> Prepared {
        self.build(pass, Weights::Drawn)
    }

    /// The value by which both sides check that they do the same work: the outcome on data that both compute. For a
    /// network it is the output (or the contrastive loss) of a tiny one with weights that both compute.
    pub fn value(&self, pass: Pass) -> f64 {
        let mut prepared = match self.is_network() {
            true => self.tiny().build(Pass::Forward, Weights::Formula),
            false => self.prepare(pass),
        };
        (prepared.call)()()
    }

    /// Whether there are weights to train.
    pub fn is_network(&self) -> bool {
        matches!(
            self,
            Self::UNet(_)
                | Self::Transformer(_)
                | Self::MaskedTraining { .. }
                | Self::ContrastiveTraining { .. }
        )
    }

    fn build(&self, pass: Pass, weights: Weights) -> Prepared {
        let device = Device::flex();
        device.seed(0);
        match self {
            Self::UNet(size) => size.prepare(pass, weights, &device),
            Self::Transformer(size) => size.prepare(pass, weights, &device),
            Self::MaskedTraining { size, decoder } => {
                size.prepare_masked(decoder, pass, weights, &device)
            }
            Self::ContrastiveTraining { size, heads, loss } => {
                size.prepare_contrastive((heads, *loss), pass, weights, &device)
            }
            Self::Layer { layer, shape } => plain_work(layer.call(*shape, pass, &device)),
            Self::Attention {
                batch,
                heads,
                tokens,
                head_dim,
            } => plain_work(plain::attention(
                [*batch, *heads, *tokens, *head_dim],
                pass,
                &device,
            )),
            Self::Stft {
                clips,
                samples,
                n_fft,
                hop_length,
            } => plain::stft([*clips, *samples], [*n_fft, *hop_length], &device),
            Self::InfoNce {
                batch,
                tokens,
                hidden,
                features,
                loss,
            } => plain_work(plain::info_nce(
                [*batch, *tokens, *features],
                *hidden,
                *loss,
                &device,
            )),
            Self::MultiResolution {
                batch,
                samples,
                loss,
            } => plain_work(plain::multi_resolution([*batch, *samples], loss, &device)),
            Self::Product { size } => plain_work(plain::product(*size, &device)),
        }
    }

    /// The same kind of work, so small that it takes neither time nor memory, but runs all code.
    pub fn tiny(&self) -> Self {
        let mut tiny = self.clone();
        match &mut tiny {
            Self::UNet(size) => size.shrink(),
            Self::Transformer(size) | Self::ContrastiveTraining { size, .. } => size.shrink(),
            Self::MaskedTraining { size, decoder } => {
                size.shrink();
                decoder.d_model = 8 * decoder.n_heads;
                decoder.d_ff = decoder.d_model;
            }
            Self::Layer { layer, shape } => layer.shrink(shape),
            Self::Attention { batch, tokens, .. } => (*batch, *tokens) = (1, 4),
            Self::Stft {
                clips,
                samples,
                n_fft,
                ..
            } => (*clips, *samples) = (2, 2 * *n_fft),
            Self::InfoNce {
                batch,
                tokens,
                hidden,
                ..
            } => (*batch, *tokens, *hidden) = (2, 4, 2),
            Self::MultiResolution { batch, samples, .. } => (*batch, *samples) = (2, 5000),
            Self::Product { size } => *size = 32,
        }
        tiny
    }
}

/// Work without parameters.
fn plain_work<const D: usize>(run: impl Fn() -> Tensor<D> + 'static) -> Prepared {
    Prepared {
        parameters: 0,
        call: Box::new(move || outcome(run())),
    }
}

fn outcome<const D: usize>(tensor: Tensor<D>) -> Outcome {
    let tensor = black_box(tensor);
    Box::new(move || magnitude(tensor))
}

/// The gradient of a loss with respect to one of its operands.
fn gradient<const D: usize>(operand: &Tensor<D>, loss: Tensor<1>) -> Tensor<D> {
    let gradient = operand.grad(&loss.backward());
    gradient.expect("the operand is on the loss's graph")
}

/// The tensor as an operand of such a pass.
fn on_graph<const D: usize>(tensor: &Tensor<D>, pass: Pass) -> Tensor<D> {
    match pass {
        Pass::Forward => tensor.clone(),
        Pass::Step => tensor.clone().autodiff().require_grad(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{cases, sweeps};

    #[test]
    fn every_kind_of_work_runs_in_its_tiny_form() {
        let all = [cases().unwrap(), sweeps().unwrap()].concat();
        for case in &all {
            let tiny = case.work.tiny();
            drop((tiny.prepare(case.pass).call)());
            let value = tiny.value(case.pass);
            assert!(value > 0.0 && value.is_finite(), "{}: {value}", case.name);
        }
        assert!(all.len() > 30);
    }
}
