//! What is computed: sizes, and how they become something that can be called.

use std::hint::black_box;

use burn::module::Module;
use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use losses::{
    ContrastiveTokens, InfoNce, MultiResolutionStftConfig, WaveformLoss, mean_over_batch,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use stft_data::{Stft, StftConfig, log1p};
use trainer::OptimizerConfig;
use transformer::{
    ContrastiveConfig, ContrastiveTransformer, Encoder, EncoderConfig, Patches, QueriesAndKeys,
    TransformerConfig,
};
use unet1d::UNet1dConfig;

use crate::training;

/// Something to compute, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// The 1-D U-Net on spectrograms.
    #[serde(rename = "unet")]
    UNet(UNetSize),
    /// The encoder of the patch Transformer.
    Transformer(TransformerSize),
    /// Attention of a sequence to itself.
    Attention(Attention),
    /// `log1p` of the magnitudes of short-time spectra.
    Stft(Transform),
    /// Contrastive pretraining of the patch Transformer: encoder, heads and InfoNCE.
    ContrastiveTraining(ContrastiveSize),
    /// InfoNCE.
    #[serde(rename = "infonce")]
    InfoNce(Contrast),
    /// The multi-resolution STFT loss of two batches of sounds.
    MultiResolution(Sounds),
    /// A product of two square matrices.
    Product(Product),
}

/// How far a computation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// The values, without anything kept for gradients.
    Forward,
    /// The values and the gradients; of a model, an optimizer step as well.
    Step,
}

/// A U-Net and a batch for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UNetSize {
    /// The network.
    pub model: UNet1dConfig,
    /// Spectrograms in a batch.
    pub batch: usize,
    /// Frames of each.
    pub frames: usize,
    /// Who makes the step. Its clipping is left out here and in the peer.
    pub optimizer: OptimizerConfig,
}

/// An encoder and a batch of patches for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransformerSize {
    /// The network.
    pub encoder: EncoderConfig,
    /// Spectrograms in a batch.
    pub batch: usize,
    /// Frames of each.
    pub frames: usize,
    /// Tokens of each that are hidden.
    pub hidden: usize,
    /// Who makes the step. Its clipping is left out here and in the peer.
    pub optimizer: OptimizerConfig,
}

/// A contrastive network and a batch of patches for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ContrastiveSize {
    /// Its encoder, and the batch.
    #[serde(flatten)]
    pub encoder: TransformerSize,
    /// What is added to the encoder. The peer has no predictor.
    pub heads: ContrastiveConfig,
    /// What is minimised.
    pub loss: InfoNce,
}

/// Queries, keys and values of one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// Sequences.
    pub batch: usize,
    /// Heads of each.
    pub heads: usize,
    /// Tokens of each.
    pub tokens: usize,
    /// Features of a token in a head.
    pub head_dim: usize,
}

/// Clips to transform.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transform {
    /// Clips in a batch.
    pub clips: usize,
    /// Samples of each.
    pub samples: usize,
    /// Samples in a frame.
    pub n_fft: usize,
    /// Samples from one frame to the next.
    pub hop_length: usize,
}

/// Queries and keys; the keys are off the graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// Spectrograms in a batch.
    pub batch: usize,
    /// Tokens of each, all of which are keys.
    pub tokens: usize,
    /// Tokens of each that are queries.
    pub hidden: usize,
    /// Features of a token.
    pub features: usize,
    /// What is minimised.
    pub loss: InfoNce,
}

/// Two batches of sounds, of which one has a gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sounds {
    /// Sounds in a batch.
    pub batch: usize,
    /// Samples of each.
    pub samples: usize,
    /// What is minimised.
    pub loss: MultiResolutionStftConfig,
}

/// Square matrices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Rows and columns.
    pub size: usize,
}

/// Work that is ready to be done, over and over.
pub struct Prepared {
    /// Trainable values of the model, 0 where there is none.
    pub parameters: usize,
    /// Does it once.
    pub call: Box<dyn FnMut()>,
}

impl Work {
    /// Makes model and data, on the CPU.
    pub fn prepare(&self, pass: Pass) -> Prepared {
        let device = Device::flex();
        device.seed(0);
        match self {
            Self::UNet(size) => size.prepare(pass, &device),
            Self::Transformer(size) => size.prepare(pass, &device),
            Self::ContrastiveTraining(size) => size.prepare(pass, &device),
            Self::Attention(size) => without_parameters(size.call(pass, &device)),
            Self::Stft(size) => without_parameters(size.call()),
            Self::InfoNce(size) => without_parameters(size.call(&device)),
            Self::MultiResolution(size) => without_parameters(size.call(&device)),
            Self::Product(size) => without_parameters(size.call(&device)),
        }
    }

    /// The same kind of work, so small that it takes neither time nor memory, but runs all code.
    pub fn tiny(&self) -> Self {
        match self.clone() {
            Self::UNet(mut size) => {
                size.model.in_channels = 9;
                size.model.base_channels = size.model.norm_groups;
                (size.batch, size.frames) = (2, 17);
                Self::UNet(size)
            }
            Self::Transformer(size) => Self::Transformer(size.tiny()),
            Self::ContrastiveTraining(mut size) => {
                size.encoder = size.encoder.tiny();
                Self::ContrastiveTraining(size)
            }
            Self::Attention(size) => Self::Attention(Attention {
                batch: 1,
                tokens: 4,
                ..size
            }),
            Self::Stft(size) => Self::Stft(Transform {
                clips: 2,
                samples: 2 * size.n_fft,
                ..size
            }),
            Self::InfoNce(size) => Self::InfoNce(Contrast {
                batch: 2,
                tokens: 4,
                hidden: 2,
                ..size
            }),
            Self::MultiResolution(size) => Self::MultiResolution(Sounds {
                batch: 2,
                samples: 500,
                ..size
            }),
            Self::Product(_) => Self::Product(Product { size: 32 }),
        }
    }
}

fn without_parameters(call: Box<dyn FnMut()>) -> Prepared {
    Prepared {
        parameters: 0,
        call,
    }
}

/// Uniform in 0..1.
fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Default, device)
}

impl UNetSize {
    fn prepare(&self, pass: Pass, device: &Device) -> Prepared {
        let model = self.model.init(&device.clone().autodiff());
        let x = random([self.batch, self.model.in_channels, self.frames], device);
        Prepared {
            parameters: model.num_params(),
            call: training::call(model, pass, &self.optimizer, x.clone(), move |model| {
                model.forward(x.clone())
            }),
        }
    }
}

impl TransformerSize {
    fn prepare(&self, pass: Pass, device: &Device) -> Prepared {
        let heads = ContrastiveConfig {
            // An encoder of visible tokens asks for a predictor, which is then left behind.
            predictor_layers: 1,
            ..ContrastiveConfig::default()
        };
        let encoder = self.network(heads, device).encoder;
        let (patches, hidden) = self.batch(&encoder, device);
        let tokens = patches.grid.tokens();
        let target = random(
            [self.batch, self.places(tokens), self.encoder.d_model],
            device,
        );
        Prepared {
            parameters: encoder.num_params(),
            call: training::call(encoder, pass, &self.optimizer, target, move |encoder| {
                encoder.forward(&patches, hidden.clone()).values
            }),
        }
    }

    fn network(&self, heads: ContrastiveConfig, device: &Device) -> ContrastiveTransformer {
        let config = TransformerConfig {
            encoder: self.encoder.clone(),
            contrastive: heads,
            ..TransformerConfig::default()
        };
        config.init_contrastive(&device.clone().autodiff())
    }

    /// Patches of random spectrograms, and which tokens are hidden.
    fn batch(&self, encoder: &Encoder, device: &Device) -> (Patches, Tensor<2, Bool>) {
        let x = random([self.batch, self.encoder.bins, self.frames], device);
        let patches = encoder.patchify(x, &vec![self.frames; self.batch]);
        let tokens = patches.grid.tokens();
        let hidden = TensorData::new(self.hidden_tokens(tokens), [self.batch, tokens]);
        (patches, Tensor::from_data(hidden, device))
    }

    fn tiny(mut self) -> Self {
        let encoder = &mut self.encoder;
        (encoder.bins, encoder.max_frames) = (2 * encoder.patch_bins, encoder.patch_frames);
        (encoder.d_model, encoder.d_ff) = (8 * encoder.n_heads, 8 * encoder.n_heads);
        (self.batch, self.frames, self.hidden) = (2, encoder.patch_frames, 1);
        self
    }

    /// Tokens that the encoder is given.
    pub(crate) fn places(&self, tokens: usize) -> usize {
        match self.encoder.tokens {
            transformer::EncoderTokens::All => tokens,
            transformer::EncoderTokens::Visible => tokens - self.hidden,
        }
    }

    /// `hidden` tokens of each item, evenly spread, in each item at other places. The peer hides the same.
    fn hidden_tokens(&self, tokens: usize) -> Vec<bool> {
        let hides = |item: usize, token: usize| (token + item) * self.hidden % tokens < self.hidden;
        (0..self.batch)
            .flat_map(|item| (0..tokens).map(move |token| hides(item, token)))
            .collect()
    }
}

impl ContrastiveSize {
    /// # Panics
    /// If only the forward pass is asked for: the loss's slopes come out of it, so that it is no part of a step.
    fn prepare(&self, pass: Pass, device: &Device) -> Prepared {
        assert_eq!(pass, Pass::Step, "contrast is measured by whole steps");
        let network = self.encoder.network(self.heads.clone(), device);
        let (patches, hidden) = self.encoder.batch(&network.encoder, device);
        let loss = self.loss;
        let parameters = network.num_params();
        let all = hidden.clone().full_like(true);
        let step = move |network: &ContrastiveTransformer| {
            let vectors = network.forward(&patches, hidden.clone());
            contrast(&loss, vectors, &patches.values, [&hidden, &all])
        };
        Prepared {
            parameters,
            call: training::step(network, &self.encoder.optimizer, step),
        }
    }
}

/// The mean loss of the tokens at `hidden`, none of which is padding or silent as `all` says.
fn contrast(
    loss: &InfoNce,
    QueriesAndKeys { queries, keys }: QueriesAndKeys,
    content: &Tensor<3>,
    [hidden, all]: [&Tensor<2, Bool>; 2],
) -> Tensor<1> {
    let scores = loss.per_item(ContrastiveTokens {
        queries,
        keys,
        content: content.clone(),
        hidden: hidden.clone(),
        valid: all.clone(),
        scored: all.clone(),
        draw_keys: Vec::new(),
    });
    mean_over_batch(scores.loss)
}

impl Attention {
    fn call(&self, pass: Pass, device: &Device) -> Box<dyn FnMut()> {
        let shape = [self.batch, self.heads, self.tokens, self.head_dim];
        let operands = [(); 3].map(|()| random(shape, device));
        Box::new(move || {
            let [query, key, value] = match pass {
                Pass::Forward => operands.clone(),
                Pass::Step => operands.clone().map(|x| x.autodiff().require_grad()),
            };
            let mixed = kernels::attention(query, key, value, None);
            match pass {
                Pass::Forward => drop(black_box(mixed)),
                Pass::Step => drop(black_box(mixed.sum().backward())),
            }
        })
    }
}

impl Transform {
    fn call(&self) -> Box<dyn FnMut()> {
        let stft = Stft::new(&StftConfig {
            n_fft: self.n_fft,
            hop_length: self.hop_length,
            win_length: None,
        })
        .expect("the sizes are valid");
        let device = Device::flex();
        let clips: Vec<Vec<f32>> = (0..self.clips)
            .map(|_| {
                let noise = random([self.samples], &device) * 2.0 - 1.0;
                noise.into_data().try_to_vec().expect("the values are f32")
            })
            .collect();
        Box::new(move || {
            let spectrograms: Vec<_> = clips
                .par_iter()
                .map(|clip| {
                    let mut spectrogram = stft.magnitude(clip);
                    for value in &mut spectrogram.values {
                        *value = log1p(*value);
                    }
                    spectrogram
                })
                .collect();
            black_box(spectrograms);
        })
    }
}

impl Contrast {
    fn call(&self, device: &Device) -> Box<dyn FnMut()> {
        let shape = [self.batch, self.tokens, self.features];
        let [queries, keys, content] = [(); 3].map(|()| random(shape, device));
        let all = Tensor::<2, Bool>::full([self.batch, self.tokens], true, device);
        let visible = [0..self.batch, self.hidden..self.tokens];
        let hidden = all.clone().slice_fill(visible, false);
        let loss = self.loss;
        Box::new(move || {
            let vectors = QueriesAndKeys {
                queries: queries.clone().autodiff().require_grad(),
                keys: keys.clone(),
            };
            let loss = contrast(&loss, vectors, &content, [&hidden, &all]);
            drop(black_box(loss.backward()));
        })
    }
}

impl Sounds {
    fn call(&self, device: &Device) -> Box<dyn FnMut()> {
        let loss = self.loss.init(device).expect("the sizes are valid");
        let [prediction, target] =
            [(); 2].map(|()| random([self.batch, self.samples], device) * 0.2 - 0.1);
        let valid = vec![self.samples; self.batch];
        Box::new(move || {
            let prediction = prediction.clone().autodiff().require_grad();
            let items = loss.per_item(prediction, target.clone(), &valid);
            drop(black_box(mean_over_batch(items).backward()));
        })
    }
}

impl Product {
    fn call(&self, device: &Device) -> Box<dyn FnMut()> {
        let [a, b] = [(); 2].map(|()| random([self.size, self.size], device));
        Box::new(move || drop(black_box(a.clone().matmul(b.clone()))))
    }
}

#[cfg(test)]
mod tests {
    use crate::{cases, sweeps};

    #[test]
    fn every_kind_of_work_runs_in_its_tiny_form() {
        let all = [cases().unwrap(), sweeps().unwrap()].concat();
        for case in &all {
            (case.work.tiny().prepare(case.pass).call)();
        }
        assert!(all.len() > 30);
    }

    #[test]
    fn as_many_tokens_are_hidden_in_each_item_as_asked_for() {
        let mut size = crate::case::small_encoder();
        let mut counted = 0;
        for tokens in [1, 6, 289, 512] {
            for hidden in (0..tokens).step_by(5) {
                size.hidden = hidden;
                for item in size.hidden_tokens(tokens).chunks(tokens) {
                    assert_eq!(item.iter().filter(|&&is_hidden| is_hidden).count(), hidden);
                    counted += 1;
                }
            }
        }
        assert_eq!(counted, 8 * (1 + 2 + 58 + 103));
    }
}
