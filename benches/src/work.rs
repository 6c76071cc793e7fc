//! What is computed: sizes, and how they become something that can be called.

use std::hint::black_box;
use std::rc::Rc;

use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use losses::{
    ContrastiveTokens, InfoNce, MultiResolutionStftConfig, WaveformLoss, mean_over_batch,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use stft_data::{Spectrogram, Stft, StftConfig, log1p};
use trainer::OptimizerConfig;
use transformer::{
    ContrastiveConfig, ContrastiveTransformer, DecoderConfig, Encoder, EncoderConfig,
    MaskedTransformer, Patches, QueriesAndKeys, TransformerConfig,
};
use unet1d::UNet1dConfig;

use crate::layer::Layer;
use crate::noise::{magnitude, noise};
use crate::training;
use crate::weights::with_known_weights;

/// Something to compute, with its sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// The 1-D U-Net on spectrograms.
    #[serde(rename = "unet")]
    UNet(UNetSize),
    /// The encoder of the patch Transformer.
    Transformer(TransformerSize),
    /// Encoder and decoder of the patch Transformer, which reconstruct all patches.
    MaskedTraining(MaskedSize),
    /// A single layer.
    Layer(Layer),
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

/// A masked autoencoder and a batch of patches for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskedSize {
    /// Its encoder, and the batch.
    #[serde(flatten)]
    pub encoder: TransformerSize,
    /// What reads the encoder's memory.
    pub decoder: DecoderConfig,
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
    /// What comes out where both sides are given the same: the mean absolute value of the output, or of a step's gradient. Of a
    /// model, whose weights are drawn, it is the output or the loss of a tiny one with weights that both sides know.
    pub value: Box<dyn Fn() -> f64>,
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
            Self::MaskedTraining(size) => size.prepare(pass, &device),
            Self::Layer(layer) => without_parameters(layer.call(pass, &device), magnitude),
            Self::Attention(size) => without_parameters(size.call(pass, &device), magnitude),
            Self::Stft(size) => without_parameters(size.call(), mean_of_all),
            Self::InfoNce(size) => without_parameters(size.call(&device), magnitude),
            Self::MultiResolution(size) => without_parameters(size.call(&device), magnitude),
            Self::Product(size) => without_parameters(size.call(&device), magnitude),
        }
    }

    /// The same kind of work, so small that it takes neither time nor memory, but runs all code.
    pub fn tiny(&self) -> Self {
        match self.clone() {
            Self::UNet(size) => Self::UNet(size.tiny()),
            Self::Transformer(size) => Self::Transformer(size.tiny()),
            Self::ContrastiveTraining(size) => Self::ContrastiveTraining(size.tiny()),
            Self::MaskedTraining(size) => Self::MaskedTraining(size.tiny()),
            Self::Layer(layer) => Self::Layer(layer.tiny()),
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
                samples: 5000,
                ..size
            }),
            Self::Product(_) => Self::Product(Product { size: 32 }),
        }
    }
}

/// Work on data that both sides know, so that what comes out can be compared.
fn without_parameters<T: 'static>(run: impl Fn() -> T + 'static, value: fn(T) -> f64) -> Prepared {
    let run = Rc::new(run);
    let again = Rc::clone(&run);
    Prepared {
        parameters: 0,
        call: Box::new(move || drop(black_box(run()))),
        value: Box::new(move || value(again())),
    }
}

/// What comes of a model in small, whose weights both sides know.
fn of_tiny<T: 'static>(
    tiny: T,
    device: &Device,
    value: fn(&T, &Device) -> f64,
) -> Box<dyn Fn() -> f64> {
    let device = device.clone();
    Box::new(move || value(&tiny, &device))
}

/// Spectrograms' magnitudes are not negative.
fn mean_of_all(spectrograms: Vec<Spectrogram>) -> f64 {
    let values = || spectrograms.iter().flat_map(|one| &one.values);
    values().map(|&value| f64::from(value)).sum::<f64>() / values().count() as f64
}

impl UNetSize {
    fn prepare(&self, pass: Pass, device: &Device) -> Prepared {
        let model = self.model.init(&device.clone().autodiff());
        let x = noise([self.batch, self.model.in_channels, self.frames], 0, device);
        Prepared {
            parameters: model.num_params(),
            call: training::call(model, pass, &self.optimizer, x.clone(), move |model| {
                model.forward(x.clone())
            }),
            value: of_tiny(self.clone().tiny(), device, Self::known_output),
        }
    }

    fn tiny(mut self) -> Self {
        self.model.in_channels = 9;
        self.model.base_channels = self.model.norm_groups;
        (self.batch, self.frames) = (2, 17);
        self
    }

    fn known_output(&self, device: &Device) -> f64 {
        let model = with_known_weights(self.model.init(device));
        let shape = [self.batch, self.model.in_channels, self.frames];
        magnitude(model.forward(noise(shape, 0, device)))
    }
}

impl TransformerSize {
    fn prepare(&self, pass: Pass, device: &Device) -> Prepared {
        let encoder = self.alone(&device.clone().autodiff());
        let (patches, hidden) = self.batch(&encoder, device);
        let tokens = patches.grid.tokens();
        let shape = [self.batch, self.places(tokens), self.encoder.d_model];
        let target = noise(shape, 1, device);
        Prepared {
            parameters: encoder.num_params(),
            call: training::call(encoder, pass, &self.optimizer, target, move |encoder| {
                encoder.forward(&patches, hidden.clone()).values
            }),
            value: of_tiny(self.clone().tiny(), device, Self::known_output),
        }
    }

    fn known_output(&self, device: &Device) -> f64 {
        let encoder = with_known_weights(self.alone(device));
        let (patches, hidden) = self.batch(&encoder, device);
        magnitude(encoder.forward(&patches, hidden).values)
    }

    fn alone(&self, device: &Device) -> Encoder {
        let heads = ContrastiveConfig {
            // An encoder of visible tokens asks for a predictor, which is then left behind.
            predictor_layers: 1,
            ..ContrastiveConfig::default()
        };
        self.network(heads, device).encoder
    }

    fn network(&self, heads: ContrastiveConfig, device: &Device) -> ContrastiveTransformer {
        let config = TransformerConfig {
            encoder: self.encoder.clone(),
            contrastive: heads,
            ..TransformerConfig::default()
        };
        config.init_contrastive(device)
    }

    /// Patches of random spectrograms, and which tokens are hidden.
    fn batch(&self, encoder: &Encoder, device: &Device) -> (Patches, Tensor<2, Bool>) {
        let x = noise([self.batch, self.encoder.bins, self.frames], 0, device);
        let patches = encoder.patchify(x, &vec![self.frames; self.batch]);
        let tokens = patches.grid.tokens();
        let hidden = TensorData::new(self.hidden_tokens(tokens), [self.batch, tokens]);
        (patches, Tensor::from_data(hidden, device))
    }

    fn tiny(mut self) -> Self {
        let encoder = &mut self.encoder;
        // Two of four patches are hidden, each of which is a wrong answer for the other.
        (encoder.bins, encoder.max_frames) = (4 * encoder.patch_bins, encoder.patch_frames);
        (encoder.d_model, encoder.d_ff) = (8 * encoder.n_heads, 8 * encoder.n_heads);
        (self.batch, self.frames, self.hidden) = (2, encoder.patch_frames, 2);
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
        let network = self.network(&device.clone().autodiff());
        Prepared {
            parameters: network.num_params(),
            value: of_tiny(self.clone().tiny(), device, Self::known_loss),
            call: {
                let loss = self.loss(&network, device);
                training::step(network, &self.encoder.optimizer, loss)
            },
        }
    }

    fn tiny(self) -> Self {
        Self {
            encoder: self.encoder.tiny(),
            ..self
        }
    }

    fn known_loss(&self, device: &Device) -> f64 {
        let network = with_known_weights(self.network(device));
        magnitude(self.loss(&network, device)(&network))
    }

    fn network(&self, device: &Device) -> ContrastiveTransformer {
        self.encoder.network(self.heads.clone(), device)
    }

    /// The objective on a batch for such a network.
    fn loss(
        &self,
        network: &ContrastiveTransformer,
        device: &Device,
    ) -> impl Fn(&ContrastiveTransformer) -> Tensor<1> + use<> {
        let (patches, hidden) = self.encoder.batch(&network.encoder, device);
        let loss = self.loss;
        let all = hidden.clone().full_like(true);
        move |network| {
            let vectors = network.forward(&patches, hidden.clone());
            contrast(&loss, vectors, &patches.values, [&hidden, &all])
        }
    }
}

impl MaskedSize {
    fn prepare(&self, pass: Pass, device: &Device) -> Prepared {
        let model = self.network(&device.clone().autodiff());
        let (patches, hidden) = self.encoder.batch(&model.encoder, device);
        let target = patches.values.clone();
        let forward = move |model: &MaskedTransformer| model.forward(&patches, hidden.clone());
        Prepared {
            parameters: model.num_params(),
            call: training::call(model, pass, &self.encoder.optimizer, target, forward),
            value: of_tiny(self.clone().tiny(), device, Self::known_output),
        }
    }

    fn tiny(mut self) -> Self {
        self.encoder = self.encoder.tiny();
        self.decoder.d_model = 8 * self.decoder.n_heads;
        self.decoder.d_ff = self.decoder.d_model;
        self
    }

    fn known_output(&self, device: &Device) -> f64 {
        let model = with_known_weights(self.network(device));
        let (patches, hidden) = self.encoder.batch(&model.encoder, device);
        magnitude(model.forward(&patches, hidden))
    }

    fn network(&self, device: &Device) -> MaskedTransformer {
        let config = TransformerConfig {
            encoder: self.encoder.encoder.clone(),
            decoder: self.decoder.clone(),
            ..TransformerConfig::default()
        };
        config.init(device)
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
    /// What is mixed, or the gradient of its sum by the queries.
    fn call(&self, pass: Pass, device: &Device) -> impl Fn() -> Tensor<4> + use<> {
        let shape = [self.batch, self.heads, self.tokens, self.head_dim];
        let operands = [0, 1, 2].map(|stream| noise(shape, stream, device));
        move || {
            let [query, key, value] = match pass {
                Pass::Forward => operands.clone(),
                Pass::Step => operands.clone().map(|x| x.autodiff().require_grad()),
            };
            let mixed = kernels::attention(query.clone(), key, value, None);
            match pass {
                Pass::Forward => mixed,
                Pass::Step => gradient(&query, mixed.sum()),
            }
        }
    }
}

impl Transform {
    fn call(&self) -> impl Fn() -> Vec<Spectrogram> + use<> {
        let stft = Stft::new(&StftConfig {
            n_fft: self.n_fft,
            hop_length: self.hop_length,
            win_length: None,
        })
        .expect("the sizes are valid");
        let noise = noise([self.clips, self.samples], 0, &Device::flex()) * 2.0 - 1.0;
        let noise: Vec<f32> = noise.into_data().try_to_vec().expect("the values are f32");
        let samples = self.samples;
        move || {
            let clips = noise.par_chunks_exact(samples);
            let spectrograms = clips.map(|clip| {
                let mut spectrogram = stft.magnitude(clip);
                for value in &mut spectrogram.values {
                    *value = log1p(*value);
                }
                spectrogram
            });
            spectrograms.collect()
        }
    }
}

impl Contrast {
    /// The gradient of the queries.
    fn call(&self, device: &Device) -> impl Fn() -> Tensor<3> + use<> {
        let shape = [self.batch, self.tokens, self.features];
        let [queries, keys, content] = [0, 1, 2].map(|stream| noise(shape, stream, device));
        let all = Tensor::<2, Bool>::full([self.batch, self.tokens], true, device);
        let visible = [0..self.batch, self.hidden..self.tokens];
        let hidden = all.clone().slice_fill(visible, false);
        let loss = self.loss;
        move || {
            let vectors = QueriesAndKeys {
                queries: queries.clone().autodiff().require_grad(),
                keys: keys.clone(),
            };
            let queries = vectors.queries.clone();
            gradient(
                &queries,
                contrast(&loss, vectors, &content, [&hidden, &all]),
            )
        }
    }
}

impl Sounds {
    /// The gradient of the prediction.
    fn call(&self, device: &Device) -> impl Fn() -> Tensor<2> + use<> {
        let loss = self.loss.init(device).expect("the sizes are valid");
        let sounds = |stream| noise([self.batch, self.samples], stream, device) * 0.2 - 0.1;
        let [prediction, target] = [0, 1].map(sounds);
        let valid = vec![self.samples; self.batch];
        move || {
            let prediction = prediction.clone().autodiff().require_grad();
            let items = loss.per_item(prediction.clone(), target.clone(), &valid);
            gradient(&prediction, mean_over_batch(items))
        }
    }
}

impl Product {
    fn call(&self, device: &Device) -> impl Fn() -> Tensor<2> + use<> {
        let [a, b] = [0, 1].map(|stream| noise([self.size, self.size], stream, device));
        move || kernels::linear(a.clone(), b.clone(), None)
    }
}

/// The gradient of a loss by one of its operands.
pub(crate) fn gradient<const D: usize>(operand: &Tensor<D>, loss: Tensor<1>) -> Tensor<D> {
    let gradient = operand.grad(&loss.backward());
    gradient.expect("the operand is on the loss's graph")
}

#[cfg(test)]
mod tests {
    use crate::{cases, sweeps};

    #[test]
    fn every_kind_of_work_runs_in_its_tiny_form() {
        let all = [cases().unwrap(), sweeps().unwrap()].concat();
        for case in &all {
            let mut prepared = case.work.tiny().prepare(case.pass);
            (prepared.call)();
            let value = (prepared.value)();
            assert!(value > 0.0 && value.is_finite(), "{}: {value}", case.name);
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
