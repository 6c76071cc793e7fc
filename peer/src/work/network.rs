//! Networks: their inference and their training step, as the trainer does them.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use losses::InfoNce;
use serde::Serialize;
use trainer::{LrScale, OptimizerConfig};
use transformer::{
    ContrastiveConfig, ContrastiveTransformer, DecoderConfig, Encoder, EncoderConfig,
    EncoderTokens, MaskedTransformer, Patches, TransformerConfig,
};
use unet1d::{UNet1d, UNet1dConfig};

use super::plain::contrastive_loss;
use super::{Pass, Prepared, outcome};
use crate::formula::{noise, with_formula_weights};

/// Any learning rate: speed doesn't depend on it.
const LR: f64 = 1e-4;

/// A U-Net and a batch for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UNetSize {
    /// The network.
    pub model: UNet1dConfig,
    /// Spectrograms in a batch.
    pub batch: usize,
    /// Frames of each.
    pub frames: usize,
    /// The optimizer. Its gradient clipping is left out on both sides.
    pub optimizer: OptimizerConfig,
}

/// An encoder and a batch of patches for it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TransformerSize {
    /// The network.
    pub encoder: EncoderConfig,
    /// Spectrograms in a batch.
    pub batch: usize,
    /// Frames of each.
    pub frames: usize,
    /// Tokens of each that are hidden.
    pub hidden: usize,
    /// The optimizer. Its gradient clipping is left out on both sides.
    pub optimizer: OptimizerConfig,
}

/// Where a network's weights come from.
#[derive(Clone, Copy)]
pub(super) enum Weights {
    /// The network's own initialisation.
    Drawn,
    /// [`with_formula_weights`].
    Formula,
}

impl Weights {
    fn of<M: Module>(self, model: M) -> M {
        match self {
            Self::Drawn => model,
            Self::Formula => with_formula_weights(model),
        }
    }
}

/// Inference; or a training step: the loss of the output, its gradients and AdamW.
fn prepare<M: Module + 'static, const D: usize>(
    model: M,
    pass: Pass,
    optimizer: &OptimizerConfig,
    forward: impl Fn(&M) -> Tensor<D> + 'static,
    loss: impl Fn(Tensor<D>) -> Tensor<1> + 'static,
) -> Prepared {
    let parameters = model.num_params();
    if pass == Pass::Forward {
        let model = model.valid();
        return Prepared {
            parameters,
            call: Box::new(move || outcome(forward(&model))),
        };
    }
    let mut optimizer = optimizer.init(&model, LrScale::default());
    let mut trained = Some(model);
    Prepared {
        parameters,
        call: Box::new(move || {
            let model = trained.take().expect("each step puts a model back");
            let loss = loss(forward(&model));
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            trained = Some(optimizer.step(LR, model, gradients));
            let loss: f32 = loss.into_scalar();
            assert!(loss.is_finite(), "the loss is {loss}");
            let loss = f64::from(loss);
            Box::new(move || loss)
        }),
    }
}

/// The mean squared error of an output.
fn squared_error<const D: usize>(target: Tensor<D>) -> impl Fn(Tensor<D>) -> Tensor<1> {
    move |output: Tensor<D>| (output - target.clone()).square().mean()
}

impl UNetSize {
    pub(super) fn prepare(&self, pass: Pass, weights: Weights, device: &Device) -> Prepared {
        let model = weights.of(self.model.init(&device.clone().autodiff()));
        let x = noise([self.batch, self.model.in_channels, self.frames], 0, device);
        let loss = squared_error(x.clone());
        let forward = move |model: &UNet1d| model.forward(x.clone());
        prepare(model, pass, &self.optimizer, forward, loss)
    }

    pub(super) fn shrink(&mut self) {
        self.model.in_channels = 9;
        self.model.base_channels = self.model.norm_groups;
        (self.batch, self.frames) = (2, 17);
    }
}

impl TransformerSize {
    /// The encoder alone.
    pub(super) fn prepare(&self, pass: Pass, weights: Weights, device: &Device) -> Prepared {
        let encoder = weights.of(self.encoder.init(&device.clone().autodiff()));
        let (patches, hidden) = self.batch(&encoder, device);
        let shape = [self.batch, self.places(), self.encoder.d_model];
        let loss = squared_error(noise(shape, 1, device));
        let forward = move |encoder: &Encoder| encoder.forward(&patches, hidden.clone()).values;
        prepare(encoder, pass, &self.optimizer, forward, loss)
    }

    /// With a decoder that reconstructs the patches.
    pub(super) fn prepare_masked(
        &self,
        decoder: &DecoderConfig,
        pass: Pass,
        weights: Weights,
        device: &Device,
    ) -> Prepared {
        let model = weights.of(self.masked(decoder, &device.clone().autodiff()));
        let (patches, hidden) = self.batch(&model.encoder, device);
        let loss = squared_error(patches.values.clone());
        let forward = move |model: &MaskedTransformer| model.forward(&patches, hidden.clone());
        prepare(model, pass, &self.optimizer, forward, loss)
    }

    /// With heads. The output is the loss.
    pub(super) fn prepare_contrastive(
        &self,
        (heads, loss): (&ContrastiveConfig, InfoNce),
        pass: Pass,
        weights: Weights,
        device: &Device,
    ) -> Prepared {
        let model = weights.of(heads.init(&self.encoder, &device.clone().autodiff()));
        let (patches, hidden) = self.batch(&model.encoder, device);
        let all = hidden.clone().full_like(true);
        let forward = move |model: &ContrastiveTransformer| {
            let vectors = model.forward(&patches, hidden.clone());
            contrastive_loss(&loss, vectors, &patches.values, [&hidden, &all])
        };
        prepare(model, pass, &self.optimizer, forward, |loss: Tensor<1>| {
            loss
        })
    }

    pub(crate) fn masked(&self, decoder: &DecoderConfig, device: &Device) -> MaskedTransformer {
        let config = TransformerConfig {
            encoder: self.encoder.clone(),
            decoder: decoder.clone(),
            ..TransformerConfig::default()
        };
        config.init(device)
    }

    /// Patches of random spectrograms, and which tokens are hidden.
    fn batch(&self, encoder: &Encoder, device: &Device) -> (Patches, Tensor<2, Bool>) {
        let x = noise([self.batch, self.encoder.bins, self.frames], 0, device);
        let patches = encoder.patchify(x, &vec![self.frames; self.batch]);
        let tokens = patches.grid.tokens();
        let hidden = TensorData::new(self.hidden_tokens(tokens), [self.batch, tokens]);
        (patches, Tensor::from_data(hidden, device))
    }

    /// `hidden` tokens of each item, evenly spread, in each item at other places. The peer hides the same.
    fn hidden_tokens(&self, tokens: usize) -> Vec<bool> {
        let hides = |item: usize, token: usize| (token + item) * self.hidden % tokens < self.hidden;
        (0..self.batch)
            .flat_map(|item| (0..tokens).map(move |token| hides(item, token)))
            .collect()
    }

    /// Tokens of a spectrogram.
    pub(crate) fn tokens(&self) -> usize {
        self.encoder.grid(self.frames).tokens()
    }

    /// Tokens that the encoder reads.
    pub(crate) fn places(&self) -> usize {
        match self.encoder.tokens {
            EncoderTokens::All => self.tokens(),
            EncoderTokens::Visible => self.tokens() - self.hidden,
        }
    }

    pub(super) fn shrink(&mut self) {
        let encoder = &mut self.encoder;
        // Two of four patches are hidden; each is a negative of the other.
        (encoder.bins, encoder.max_frames) = (4 * encoder.patch_bins, encoder.patch_frames);
        (encoder.d_model, encoder.d_ff) = (8 * encoder.n_heads, 8 * encoder.n_heads);
        (self.batch, self.frames, self.hidden) = (2, encoder.patch_frames, 2);
    }
}

#[cfg(test)]
mod tests {
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
