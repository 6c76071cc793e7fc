//! The masked autoencoder: encoder and decoder.

use crate::config::TransformerConfig;
use crate::decoder::Decoder;
use crate::encoder::Encoder;
use crate::patchify::Patches;
use crate::target::Targets;
use burn::module::Module;
use burn::tensor::{Bool, Device, Tensor};

/// An encoder and a decoder that predict hidden patches from visible ones (He et al. 2022, on
/// spectrograms as in Huang et al. 2022, "Masked Autoencoders that Listen").
///
/// ```text
/// patches   = patchify(spectrogram)
/// predicted = decoder(encoder(patches, hidden))          scored at hidden patches against targets(patches)
/// output    = unpatchify(predicted)
/// ```
#[derive(Module, Debug)]
pub struct MaskedTransformer {
    /// The encoder, for downstream models.
    pub encoder: Encoder,
    /// The decoder, which predicts patches from the encoder's memory.
    pub decoder: Decoder,
    #[module(skip)]
    targets: Targets,
}

impl TransformerConfig {
    /// Initialises encoder and decoder on `device`. Burn draws each parameter when it is first used.
    ///
    /// # Panics
    /// If [`validate`](TransformerConfig::validate) returns an error.
    pub fn init(&self, device: &Device) -> MaskedTransformer {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        MaskedTransformer {
            encoder: self.encoder.init(device),
            decoder: self.decoder.init(&self.encoder, device),
            targets: self.targets,
        }
    }
}

impl MaskedTransformer {
    /// Cuts spectrograms into patches, see [`Encoder::patchify`].
    ///
    /// # Shapes
    /// - x: `[batch, bins, frames]`
    /// - valid_frames: one number for each item; the frames after them are padding
    ///
    /// # Panics
    /// As [`Encoder::patchify`].
    pub fn patchify(&self, x: Tensor<3>, valid_frames: &[usize]) -> Patches {
        self.encoder.patchify(x, valid_frames)
    }

    /// Predicts every patch from those that are not hidden.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens]`, true = hidden
    /// - output: `[batch, tokens, patch_len]`, to compare with [`targets`](Self::targets)
    ///
    /// # Panics
    /// As [`Encoder::forward`].
    pub fn forward(&self, patches: &Patches, hidden: Tensor<2, Bool>) -> Tensor<3> {
        let memory = self.encoder.forward(patches, hidden);
        self.decoder.forward(&memory, patches)
    }

    /// The targets of [`forward`](Self::forward).
    ///
    /// # Shapes
    /// - output: `[batch, tokens, patch_len]`
    pub fn targets(&self, patches: &Patches) -> Tensor<3> {
        self.targets.of(patches)
    }

    /// Turns predictions into spectrograms, in the domain of the model's input.
    ///
    /// With [`Targets::PerPatchNormalized`], mean and deviation of each patch come from the true patch.
    ///
    /// # Shapes
    /// - predicted: `[batch, tokens, patch_len]`
    /// - patches: the true patches
    /// - output: `[batch, bins, frames]`
    ///
    /// # Panics
    /// If `predicted` doesn't have the patches' grid.
    pub fn unpatchify(&self, predicted: Tensor<3>, patches: &Patches) -> Tensor<3> {
        patches
            .grid
            .unpatchify(self.targets.undo(predicted, patches))
    }

    /// Freezes the encoder: it has no gradient and no dropout, and no optimizer changes it, even after
    /// `valid` and `train`. Weights loaded earlier are kept; weights loaded later are frozen too.
    #[must_use]
    pub fn freeze_encoder(self) -> Self {
        Self {
            encoder: self.encoder.freeze(),
            ..self
        }
    }

    /// Name and number of parameters of each part, in the order of the forward pass.
    pub fn parameters_per_part(&self) -> Vec<(String, usize)> {
        let mut rows = self.encoder.parameters_per_part("encoder");
        rows.extend(self.decoder.parameters_per_part("decoder"));
        rows
    }
}
