//! Contrastive pretraining: which hidden token is which.

use crate::config::TransformerConfig;
use crate::decoder::{Decoder, DecoderSize};
use crate::encoder::Encoder;
use crate::linear::{apply, init_linear};
use crate::patchify::Patches;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};
use serde::{Deserialize, Serialize};

/// What the key of a token says; `"content"` or `"content_and_position"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// What is in the patch.
    #[default]
    Content,
    /// What is in the patch and where it is. A query knows its place as well, so the task can be solved
    /// without having understood anything: for experiments that show just that.
    ContentAndPosition,
}

/// How far the loss may shape the keys; `"head"` or `"none"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyGradient {
    /// The head of the keys learns; the gradient stops before the encoder's embedding, so that what the
    /// encoder reads is not bent towards what is easy to tell apart.
    #[default]
    Head,
    /// Nothing learns from the side of the keys. Their head stays the random projection that it was
    /// drawn as, of an embedding that moves only on behalf of the encoder.
    None,
}

/// An encoder with what contrastive pretraining adds to it (van den Oord et al. 2018; over masked places
/// as in wav2vec 2.0, Baevski et al. 2020, and SSAST, Gong et al. 2022).
///
/// ```text
/// context = encoder(visible patches)                 at every place; or, with a predictor,
/// context = predictor(memory = encoder(visible))     mask vector + position, reading the memory
/// q_i     = query_head(context_i)
/// k_i     = key_head(sg(content_i))                  content_i = embed(patch_i), without position
/// ```
///
/// `sg` stops the gradient. A query has its place and what is visible to go by, never what is hidden. A
/// key has the content alone, so that places cannot be matched with themselves. The loss, masked InfoNCE
/// on the cosines of q and k at hidden tokens, is not in this crate.
///
/// The encoder keeps its name and shape, so that its parameters go over to a
/// [`MaskedTransformer`](crate::MaskedTransformer).
#[derive(Module, Debug)]
pub struct ContrastiveTransformer {
    /// What is pretrained.
    pub encoder: Encoder,
    predictor: Option<Decoder>,
    query_head: Linear,
    key_head: Linear,
    #[module(skip)]
    keys: Keys,
    #[module(skip)]
    key_gradient: KeyGradient,
}

/// What masked InfoNCE compares. Neither is normalised to length 1 yet.
#[derive(Clone, Debug)]
pub struct QueriesAndKeys {
    /// What the encoder expects at each place, `[batch, tokens, proj_dim]`. Of use at hidden tokens.
    pub queries: Tensor<3>,
    /// What is there, `[batch, tokens, proj_dim]`.
    pub keys: Tensor<3>,
}

impl TransformerConfig {
    /// The network of contrastive pretraining, on `device`. Burn draws each parameter when it is first
    /// used.
    ///
    /// # Panics
    /// If [`validate`](TransformerConfig::validate) refuses the configuration.
    pub fn init_contrastive(&self, device: &Device) -> ContrastiveTransformer {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let d_model = self.encoder.d_model;
        let n_layers = self.contrastive.predictor_layers;
        let predictor = DecoderSize {
            block: self.encoder.block_size(),
            n_layers,
            d_out: d_model,
        };
        let heads = || init_linear([d_model, self.contrastive.proj_dim], device);
        ContrastiveTransformer {
            encoder: self.encoder.build(device),
            predictor: (n_layers > 0).then(|| Decoder::init(predictor, &self.encoder, device)),
            query_head: heads(),
            key_head: heads(),
            keys: self.contrastive.keys,
            key_gradient: self.contrastive.key_gradient,
        }
    }
}

impl ContrastiveTransformer {
    /// Queries and keys of every token.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens]`, true = hidden
    /// - output: `[batch, tokens, proj_dim]` each
    ///
    /// # Panics
    /// As [`Encoder::forward`].
    pub fn forward(&self, patches: &Patches, hidden: Tensor<2, Bool>) -> QueriesAndKeys {
        let memory = self.encoder.forward(patches, hidden);
        let context = match &self.predictor {
            Some(predictor) => predictor.forward(&memory, patches),
            None => memory.values,
        };
        QueriesAndKeys {
            queries: apply(&self.query_head, context),
            keys: self.keys(patches),
        }
    }

    /// The parts of the network and how many parameters each has.
    pub fn parameters_per_part(&self) -> Vec<(String, usize)> {
        let mut rows = self.encoder.parameters_per_part("encoder");
        if let Some(predictor) = &self.predictor {
            rows.extend(predictor.parameters_per_part("predictor"));
        }
        rows.push(("query_head".to_owned(), self.query_head.num_params()));
        rows.push(("key_head".to_owned(), self.key_head.num_params()));
        rows
    }

    fn keys(&self, patches: &Patches) -> Tensor<3> {
        let content = self.encoder.content(patches);
        let known = match self.keys {
            Keys::Content => content,
            Keys::ContentAndPosition => {
                let device = content.device();
                content + self.encoder.positions(patches.grid, &device)
            }
        };
        let keys = apply(&self.key_head, known.detach());
        match self.key_gradient {
            KeyGradient::Head => keys,
            KeyGradient::None => keys.detach(),
        }
    }
}
