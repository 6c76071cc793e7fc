//! The configuration of a patch Transformer.

use crate::block::BlockSize;
use crate::error::TransformerConfigError;
use crate::patchify::PatchGrid;
use crate::position::PositionKind;
use crate::target::Targets;
use serde::{Deserialize, Serialize};

/// Sizes of a patch Transformer: the encoder, the heads of contrastive pretraining and the decoder.
/// The defaults are the paper-sized network. Only `encoder.bins` has no default that works.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransformerConfig {
    /// The encoder, which both kinds of pretraining share.
    pub encoder: EncoderConfig,
    /// Predictor and heads of contrastive pretraining.
    pub contrastive: ContrastiveConfig,
    /// The decoder, which predicts patches from the encoder's memory.
    pub decoder: DecoderConfig,
    /// The targets of the decoder.
    pub targets: Targets,
}

/// Sizes of an [`Encoder`](crate::Encoder).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderConfig {
    /// Frequency bins of the spectrogram, `n_fft / 2 + 1`. The default, 0, is refused.
    pub bins: usize,
    /// The largest number of frames of a spectrogram, `1 + samples / hop_length`. Only learned positions
    /// need it.
    pub max_frames: usize,
    /// Height of a patch, in bins. If the mask has the same grid, its cells are tokens.
    pub patch_bins: usize,
    /// Width of a patch, in frames.
    pub patch_frames: usize,
    /// Features of a token.
    pub d_model: usize,
    /// Heads of each attention; divides `d_model`.
    pub n_heads: usize,
    /// Features of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Dropout probability in training, in 0..1.
    pub dropout: f64,
    /// Positional encoding, also of decoder and predictor.
    pub position: PositionKind,
    /// Whether hidden tokens are part of the encoder's input, as mask vectors.
    pub tokens: EncoderTokens,
}

/// Predictor and heads of contrastive pretraining.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContrastiveConfig {
    /// Features of queries and keys.
    pub proj_dim: usize,
    /// Blocks of the predictor, which has the sizes of the encoder: mask vectors plus positions attend to
    /// the encoder's memory. 0 uses the encoder's own output at hidden tokens, which exists only with
    /// `tokens = "all"`.
    pub predictor_layers: usize,
    /// Input of the key head.
    pub keys: Keys,
    /// Where the gradient with respect to the keys stops.
    pub key_gradient: KeyGradient,
}

/// Sizes of a [`Decoder`](crate::Decoder). They may differ from the encoder's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecoderConfig {
    /// Features of a token.
    pub d_model: usize,
    /// Heads of each attention; divides `d_model`.
    pub n_heads: usize,
    /// Features of the hidden layer of each feed-forward network.
    pub d_ff: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Dropout probability in training, in 0..1.
    pub dropout: f64,
}

/// Input of the encoder for a masked spectrogram; `"all"` or `"visible"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderTokens {
    /// Every token; a learned mask vector plus its position replaces a hidden one (Devlin et al. 2019,
    /// without their unmasked exceptions).
    #[default]
    All,
    /// Only the visible tokens (He et al. 2022): hidden ones cost nothing.
    Visible,
}

/// Input of the key head; `"content"` or `"content_and_position"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keys {
    /// The content of the patch.
    #[default]
    Content,
    /// The content of the patch and its position. Queries contain their position as well, so the task
    /// can be solved by matching positions: for experiments that show this shortcut.
    ContentAndPosition,
}

/// Where the loss's gradient with respect to the keys stops; `"head"` or `"none"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyGradient {
    /// The key head is trained. The gradient stops before the encoder's embedding, so that the loss cannot
    /// make patches easier to tell apart by changing the encoder's input.
    #[default]
    Head,
    /// Nothing is trained through the keys. The key head stays a random projection, of an embedding that
    /// is trained through the encoder alone.
    None,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            bins: 0,
            max_frames: 0,
            patch_bins: 5,
            patch_frames: 5,
            d_model: 512,
            n_heads: 8,
            d_ff: 2048,
            n_layers: 8,
            dropout: 0.1,
            position: PositionKind::SinCos,
            tokens: EncoderTokens::All,
        }
    }
}

impl Default for ContrastiveConfig {
    fn default() -> Self {
        Self {
            proj_dim: 256,
            predictor_layers: 0,
            keys: Keys::Content,
            key_gradient: KeyGradient::Head,
        }
    }
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            d_model: 512,
            n_heads: 8,
            d_ff: 2048,
            n_layers: 4,
            dropout: 0.1,
        }
    }
}

impl TransformerConfig {
    /// Checks that the networks of both kinds of pretraining can be built from this configuration.
    ///
    /// # Errors
    /// The first field that is out of range or contradicts another.
    pub fn validate(&self) -> Result<(), TransformerConfigError> {
        self.encoder.validate()?;
        self.contrastive.validate(&self.encoder)?;
        self.decoder.validate(&self.encoder)
    }
}

impl ContrastiveConfig {
    /// Checks that predictor and heads can be built for an encoder of configuration `encoder`, which
    /// itself is not checked.
    ///
    /// # Errors
    /// The first field that is out of range or contradicts another.
    pub fn validate(&self, encoder: &EncoderConfig) -> Result<(), TransformerConfigError> {
        nonzero([("contrastive.proj_dim", self.proj_dim)])?;
        if encoder.tokens == EncoderTokens::Visible && self.predictor_layers == 0 {
            return Err(TransformerConfigError::NoPredictor);
        }
        Ok(())
    }
}

impl EncoderConfig {
    /// Checks that an encoder can be built from this configuration.
    ///
    /// # Errors
    /// The first field that is out of range or contradicts another.
    pub fn validate(&self) -> Result<(), TransformerConfigError> {
        if self.bins == 0 {
            return Err(TransformerConfigError::Bins);
        }
        nonzero([
            ("encoder.patch_bins", self.patch_bins),
            ("encoder.patch_frames", self.patch_frames),
            ("encoder.n_layers", self.n_layers),
        ])?;
        if self.position == PositionKind::Learned && self.max_frames == 0 {
            return Err(TransformerConfigError::MaxFrames);
        }
        validate_block("encoder", self.block_size(), self.position)
    }

    /// The patch grid of spectrograms of `frames` frames.
    pub fn grid(&self, frames: usize) -> PatchGrid {
        PatchGrid {
            bins: self.bins,
            frames,
            patch_bins: self.patch_bins,
            patch_frames: self.patch_frames,
        }
    }

    /// Number of values of a patch.
    pub fn patch_len(&self) -> usize {
        self.patch_bins * self.patch_frames
    }

    pub(crate) fn block_size(&self) -> BlockSize {
        BlockSize {
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_ff: self.d_ff,
            dropout: self.dropout,
        }
    }
}

impl DecoderConfig {
    /// Checks that a decoder can be built for an encoder of configuration `encoder`, which itself is not
    /// checked.
    ///
    /// # Errors
    /// The first field that is out of range or contradicts another.
    pub fn validate(&self, encoder: &EncoderConfig) -> Result<(), TransformerConfigError> {
        nonzero([("decoder.n_layers", self.n_layers)])?;
        validate_block("decoder", self.block_size(), encoder.position)
    }

    pub(crate) fn block_size(&self) -> BlockSize {
        BlockSize {
            d_model: self.d_model,
            n_heads: self.n_heads,
            d_ff: self.d_ff,
            dropout: self.dropout,
        }
    }
}

fn nonzero<const N: usize>(
    fields: [(&'static str, usize); N],
) -> Result<(), TransformerConfigError> {
    match fields.iter().find(|(_, value)| *value == 0) {
        Some((field, _)) => Err(TransformerConfigError::Zero { field }),
        None => Ok(()),
    }
}

fn validate_block(
    part: &'static str,
    size: BlockSize,
    position: PositionKind,
) -> Result<(), TransformerConfigError> {
    let BlockSize {
        d_model,
        n_heads,
        d_ff,
        dropout,
    } = size;
    for (field, value) in [("d_model", d_model), ("n_heads", n_heads), ("d_ff", d_ff)] {
        if value == 0 {
            return Err(TransformerConfigError::ZeroIn { part, field });
        }
    }
    if !d_model.is_multiple_of(n_heads) {
        return Err(TransformerConfigError::Heads {
            part,
            n_heads,
            d_model,
        });
    }
    if position == PositionKind::SinCos && !d_model.is_multiple_of(4) {
        return Err(TransformerConfigError::SinCos { part, d_model });
    }
    if !(0.0..1.0).contains(&dropout) {
        return Err(TransformerConfigError::Dropout { part, dropout });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> TransformerConfig {
        let mut config = TransformerConfig::default();
        config.encoder.bins = 33;
        config
    }

    #[test]
    fn each_contradiction_has_its_error() {
        use TransformerConfigError as E;
        let mut checked = 0;
        let mut refused = |change: &dyn Fn(&mut TransformerConfig), expected: E| {
            let mut config = small();
            config.validate().unwrap();
            change(&mut config);
            assert_eq!(config.validate(), Err(expected));
            checked += 1;
        };
        let zero = |field| E::Zero { field };
        refused(&|c| c.encoder.bins = 0, E::Bins);
        refused(&|c| c.encoder.patch_bins = 0, zero("encoder.patch_bins"));
        refused(
            &|c| c.encoder.patch_frames = 0,
            zero("encoder.patch_frames"),
        );
        refused(&|c| c.encoder.n_layers = 0, zero("encoder.n_layers"));
        refused(&|c| c.decoder.n_layers = 0, zero("decoder.n_layers"));
        refused(
            &|c| c.contrastive.proj_dim = 0,
            zero("contrastive.proj_dim"),
        );
        for field in ["d_model", "n_heads", "d_ff"] {
            let set = |c: &mut TransformerConfig| match field {
                "d_model" => c.encoder.d_model = 0,
                "n_heads" => c.encoder.n_heads = 0,
                _ => c.encoder.d_ff = 0,
            };
            let part = "encoder";
            refused(&set, E::ZeroIn { part, field });
        }
        refused(
            &|c| c.encoder.position = PositionKind::Learned,
            E::MaxFrames,
        );
        refused(
            &|c| c.decoder.n_heads = 7,
            E::Heads {
                part: "decoder",
                n_heads: 7,
                d_model: 512,
            },
        );
        refused(
            &|c| (c.encoder.d_model, c.encoder.n_heads) = (30, 3),
            E::SinCos {
                part: "encoder",
                d_model: 30,
            },
        );
        refused(
            &|c| c.decoder.dropout = 1.0,
            E::Dropout {
                part: "decoder",
                dropout: 1.0,
            },
        );
        refused(
            &|c| c.encoder.tokens = EncoderTokens::Visible,
            E::NoPredictor,
        );
        assert_eq!(checked, 14);
    }

    #[test]
    fn an_error_says_what_was_got_and_what_to_do() {
        let error = TransformerConfigError::Heads {
            part: "encoder",
            n_heads: 7,
            d_model: 512,
        };
        assert_eq!(
            error.to_string(),
            "`encoder.n_heads` has to divide `encoder.d_model` = 512, got 7"
        );
    }

    #[test]
    fn a_config_survives_its_file_and_unknown_keys_do_not() {
        let mut config = small();
        config.encoder.tokens = EncoderTokens::Visible;
        config.contrastive.keys = Keys::ContentAndPosition;
        config.targets = Targets::PerPatchNormalized;
        let text = serde_json::to_string(&config).unwrap();
        let read: TransformerConfig = serde_json::from_str(&text).unwrap();
        assert_eq!(read, config);

        let written = r#"{
            "encoder": {"bins": 33, "tokens": "visible", "position": "sin_cos"},
            "contrastive": {"keys": "content_and_position", "key_gradient": "head"},
            "targets": "per_patch_normalized"
        }"#;
        let read: TransformerConfig = serde_json::from_str(written).unwrap();
        assert_eq!(read, config);

        let mut refused = 0;
        for misspelt in [
            r#"{"encodr": {}}"#,
            r#"{"encoder": {"d_modl": 8}}"#,
            r#"{"decoder": {"layers": 8}}"#,
            r#"{"contrastive": {"proj": 8}}"#,
            r#"{"contrastive": {"keys": "position"}}"#,
        ] {
            assert!(serde_json::from_str::<TransformerConfig>(misspelt).is_err());
            refused += 1;
        }
        assert_eq!(refused, 5);
    }

    #[test]
    fn the_paper_preset_has_a_token_for_the_ragged_edge() {
        let config = EncoderConfig {
            bins: 513,
            ..EncoderConfig::default()
        };
        let grid = config.grid(345);
        assert_eq!(
            [grid.rows(), grid.columns(), grid.tokens()],
            [103, 69, 7107]
        );
    }

    #[test]
    #[should_panic(expected = "`encoder.bins` is 0")]
    fn init_refuses_what_validate_refuses() {
        TransformerConfig::default().init(&burn::tensor::Device::flex());
    }
}
