//! The network of contrastive pretraining.

use crate::config::{ContrastiveConfig, EncoderConfig, KeyGradient, Keys, TransformerConfig};
use crate::decoder::{Decoder, DecoderSize};
use crate::encoder::Encoder;
use crate::linear::{apply, init_linear};
use crate::patchify::Patches;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

/// An encoder with query and key heads for contrastive pretraining (van den Oord et al. 2018; over masked
/// positions as in wav2vec 2.0, Baevski et al. 2020, and SSAST, Gong et al. 2022).
///
/// ```text
/// context = encoder(visible patches)                 at every token; or, with a predictor,
/// context = predictor(memory = encoder(visible))     mask vector + position, attending to the memory
/// q_i     = query_head(context_i)
/// k_i     = key_head(sg(content_i))                  content_i = embed(patch_i), without position
/// ```
///
/// `sg` stops the gradient. A query depends on its position and on visible patches, never on hidden ones.
/// A key depends on content alone, so that positions cannot be matched. The loss, masked InfoNCE on the
/// cosines of q and k at hidden tokens, is not in this crate.
///
/// The encoder has the names and shapes of that of a [`MaskedTransformer`](crate::MaskedTransformer), so
/// its parameters can be transferred.
#[derive(Module, Debug)]
pub struct ContrastiveTransformer {
    /// The pretrained encoder.
    pub encoder: Encoder,
    predictor: Option<Decoder>,
    query_head: Linear,
    key_head: Linear,
    #[module(skip)]
    keys: Keys,
    #[module(skip)]
    key_gradient: KeyGradient,
}

/// Inputs of masked InfoNCE, not yet normalised to length 1.
#[derive(Clone, Debug)]
pub struct QueriesAndKeys {
    /// Projected context of each token, `[batch, tokens, proj_dim]`. Only those of hidden tokens are used.
    pub queries: Tensor<3>,
    /// Projected content of each token, `[batch, tokens, proj_dim]`.
    pub keys: Tensor<3>,
}

impl TransformerConfig {
    /// Initialises the network of contrastive pretraining on `device`. Burn draws each parameter when it
    /// is first used.
    ///
    /// # Panics
    /// If [`validate`](TransformerConfig::validate) returns an error.
    pub fn init_contrastive(&self, device: &Device) -> ContrastiveTransformer {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        self.contrastive.init(&self.encoder, device)
    }
}

impl ContrastiveConfig {
    /// Initialises an encoder of configuration `encoder` with predictor and heads, as
    /// [`TransformerConfig::init_contrastive`] does.
    ///
    /// # Panics
    /// If [`validate`](ContrastiveConfig::validate) returns an error.
    pub fn init(&self, encoder: &EncoderConfig, device: &Device) -> ContrastiveTransformer {
        if let Err(error) = self.validate(encoder) {
            panic!("{error}");
        }
        let d_model = encoder.d_model;
        let predictor = DecoderSize {
            block: encoder.block_size(),
            n_layers: self.predictor_layers,
            d_out: d_model,
        };
        let head = || init_linear([d_model, self.proj_dim], device);
        ContrastiveTransformer {
            encoder: encoder.init(device),
            predictor: (self.predictor_layers > 0)
                .then(|| Decoder::init(predictor, encoder, device)),
            query_head: head(),
            key_head: head(),
            keys: self.keys,
            key_gradient: self.key_gradient,
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

    /// Name and number of parameters of each part.
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
        let input = match self.keys {
            Keys::Content => content,
            Keys::ContentAndPosition => {
                let device = content.device();
                content + self.encoder.positions(patches.grid, &device)
            }
        };
        let keys = apply(&self.key_head, input.detach());
        match self.key_gradient {
            KeyGradient::Head => keys,
            KeyGradient::None => keys.detach(),
        }
    }
}
