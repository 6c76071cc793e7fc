//! The masked autoencoder: encoder and decoder.

use crate::config::TransformerConfig;
use crate::decoder::{Decoder, DecoderSize};
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
    /// What downstream models keep.
    pub encoder: Encoder,
    /// What predicts patches from the encoder's memory.
    pub decoder: Decoder,
    #[module(skip)]
    targets: Targets,
}

impl TransformerConfig {
    /// The encoder with its decoder, on `device`. Burn draws each parameter when it is first used.
    ///
    /// # Panics
    /// If [`validate`](TransformerConfig::validate) refuses the configuration.
    pub fn init(&self, device: &Device) -> MaskedTransformer {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let decoder = DecoderSize {
            block: self.decoder.block_size(),
            n_layers: self.decoder.n_layers,
            d_out: self.encoder.patch_len(),
        };
        MaskedTransformer {
            encoder: self.encoder.build(device),
            decoder: Decoder::init(decoder, &self.encoder, device),
            targets: self.targets,
        }
    }
}

impl MaskedTransformer {
    /// Cuts spectrograms into patches, see [`Encoder::patchify`].
    ///
    /// # Shapes
    /// - x: `[batch, bins, frames]`
    /// - valid_frames: one number for each item; frames from there on are padding
    ///
    /// # Panics
    /// If `x` has other bins, or the valid frames are not those of its items.
    pub fn patchify(&self, x: Tensor<3>, valid_frames: &[usize]) -> Patches {
        self.encoder.patchify(x, valid_frames)
    }

    /// The prediction of every patch, from those that are not hidden.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens]`, true = hidden
    /// - output: `[batch, tokens, patch_len]`, to be compared with [`targets`](Self::targets)
    ///
    /// # Panics
    /// As [`Encoder::forward`].
    pub fn forward(&self, patches: &Patches, hidden: Tensor<2, Bool>) -> Tensor<3> {
        let memory = self.encoder.forward(patches, hidden);
        self.decoder.forward(&memory, patches)
    }

    /// What [`forward`](Self::forward) should have said.
    ///
    /// # Shapes
    /// - output: `[batch, tokens, patch_len]`
    pub fn targets(&self, patches: &Patches) -> Tensor<3> {
        self.targets.of(patches)
    }

    /// Predictions as a spectrogram, in the domain of the model's input.
    ///
    /// With [`Targets::PerPatchNormalized`], mean and deviation of each patch are those of the truth.
    ///
    /// # Shapes
    /// - predicted: `[batch, tokens, patch_len]`
    /// - patches: those that were predicted
    /// - output: `[batch, bins, frames]`
    ///
    /// # Panics
    /// If `predicted` is not of the patches' grid.
    pub fn unpatchify(&self, predicted: Tensor<3>, patches: &Patches) -> Tensor<3> {
        patches
            .grid
            .unpatchify(self.targets.undo(predicted, patches))
    }

    /// The same network, its encoder fixed: no gradient, no dropout, and no optimizer changes it, also
    /// after `valid` and `train`. What was loaded before stays; what is loaded later stays fixed too.
    #[must_use]
    pub fn freeze_encoder(self) -> Self {
        Self {
            encoder: self.encoder.freeze(),
            ..self
        }
    }

    /// The parts of the network, in the order in which a spectrogram meets them, and how many parameters
    /// each has.
    pub fn parameters_per_part(&self) -> Vec<(String, usize)> {
        let mut rows = self.encoder.parameters_per_part("encoder");
        rows.extend(self.decoder.parameters_per_part("decoder"));
        rows
    }
}
