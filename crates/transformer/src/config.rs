//! What a patch Transformer is made of, as a configuration file says it.

use crate::block::BlockSize;
use crate::contrastive::{KeyGradient, Keys};
use crate::encoder::EncoderTokens;
use crate::patchify::PatchGrid;
use crate::position::PositionKind;
use crate::target::Targets;
use serde::{Deserialize, Serialize};

/// Sizes of a patch Transformer through all of its stages: the encoder that is pretrained, what
/// contrastive pretraining adds to it, and the decoder. The defaults are the paper-sized network;
/// `encoder.bins` alone has to be given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransformerConfig {
    /// What is pretrained, and kept.
    pub encoder: EncoderConfig,
    /// What contrastive pretraining adds to the encoder.
    pub contrastive: ContrastiveConfig,
    /// What predicts patches from the encoder's memory.
    pub decoder: DecoderConfig,
    /// What the decoder predicts.
    pub targets: Targets,
}

/// Sizes of an [`Encoder`](crate::Encoder).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderConfig {
    /// Frequency bins of the spectrogram, `n_fft / 2 + 1`. Whoever knows the STFT fills it in; 0, the
    /// default, is refused.
    pub bins: usize,
    /// The most frames that a spectrogram may have, `1 + samples / hop_length`. Whoever knows the clips
    /// fills it in; only learned positions need it.
    pub max_frames: usize,
    /// Height of a patch, in bins. Hidden tokens are cells of the mask where its grid is the same.
    pub patch_bins: usize,
    /// Width of a patch, in frames.
    pub patch_frames: usize,
    /// Features of a token.
    pub d_model: usize,
    /// Heads of each attention; divides `d_model`.
    pub n_heads: usize,
    /// Features between the two layers of each feed-forward.
    pub d_ff: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Share of features that dropout zeroes while training, in 0..1.
    pub dropout: f64,
    /// How tokens know their place; the decoder's and the predictor's as well.
    pub position: PositionKind,
    /// Whether the encoder is given hidden tokens, as mask vectors.
    pub tokens: EncoderTokens,
}

/// What contrastive pretraining adds to an encoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContrastiveConfig {
    /// Features of queries and keys.
    pub proj_dim: usize,
    /// Blocks between the encoder and the queries, of the encoder's sizes: mask vectors with positions
    /// that read the encoder's memory. 0 takes the encoder's own output at hidden tokens, which is there
    /// with `tokens = "all"` only.
    pub predictor_layers: usize,
    /// What a key says.
    pub keys: Keys,
    /// How far the loss may shape the keys.
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
    /// Features between the two layers of each feed-forward.
    pub d_ff: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Share of features that dropout zeroes while training, in 0..1.
    pub dropout: f64,
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
    /// Whether the networks of all stages can be built from this.
    ///
    /// # Errors
    /// The first field that contradicts another or is out of its range.
    pub fn validate(&self) -> Result<(), TransformerConfigError> {
        self.encoder.validate()?;
        let (encoder, decoder) = (&self.encoder, &self.decoder);
        nonzero([
            ("contrastive.proj_dim", self.contrastive.proj_dim),
            ("decoder.n_layers", decoder.n_layers),
        ])?;
        if encoder.tokens == EncoderTokens::Visible && self.contrastive.predictor_layers == 0 {
            return Err(TransformerConfigError::NoPredictor);
        }
        validate_block("decoder", decoder.block_size(), encoder.position)
    }
}

impl EncoderConfig {
    /// Whether an encoder can be built from this.
    ///
    /// # Errors
    /// The first field that contradicts another or is out of its range.
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

    /// The grid over spectrograms of so many frames.
    pub fn grid(&self, frames: usize) -> PatchGrid {
        PatchGrid {
            bins: self.bins,
            frames,
            patch_bins: self.patch_bins,
            patch_frames: self.patch_frames,
        }
    }

    /// Values in a patch.
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

/// What can be wrong with a [`TransformerConfig`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformerConfigError {
    /// A size that has to be at least 1 is 0.
    #[error("`{field}` has to be at least 1, got 0")]
    Zero {
        /// The field of the configuration.
        field: &'static str,
    },
    /// A size of a block that has to be at least 1 is 0.
    #[error("`{part}.{field}` has to be at least 1, got 0")]
    ZeroIn {
        /// `encoder` or `decoder`.
        part: &'static str,
        /// The field of that part.
        field: &'static str,
    },
    /// Nobody has said how many bins the spectrogram has.
    #[error("`encoder.bins` is 0: set it to the bins of the spectrogram, n_fft / 2 + 1")]
    Bins,
    /// Positions are to be learned, and nobody has said for how many frames.
    #[error(
        "`encoder.max_frames` is 0: learned positions need the most frames of a spectrogram, \
         1 + samples / hop_length; or set `encoder.position` to \"sin_cos\""
    )]
    MaxFrames,
    /// The heads do not divide the features.
    #[error("`{part}.n_heads` has to divide `{part}.d_model` = {d_model}, got {n_heads}")]
    Heads {
        /// `encoder` or `decoder`.
        part: &'static str,
        /// Heads asked for.
        n_heads: usize,
        /// The features that they do not divide.
        d_model: usize,
    },
    /// Sines and cosines of row and column do not fit into the features.
    #[error(
        "`{part}.d_model` has to be a multiple of 4 with `encoder.position = \"sin_cos\"`, got {d_model}"
    )]
    SinCos {
        /// `encoder` or `decoder`.
        part: &'static str,
        /// The features.
        d_model: usize,
    },
    /// A share that is none.
    #[error("`{part}.dropout` has to be from 0 to below 1, got {dropout}")]
    Dropout {
        /// `encoder` or `decoder`.
        part: &'static str,
        /// The share asked for.
        dropout: f64,
    },
    /// A visible-only encoder says nothing at hidden tokens, and nothing else would.
    #[error(
        "`contrastive.predictor_layers` is 0: with `encoder.tokens = \"visible\"` hidden tokens have no \
         context vector but the predictor's; set it to 1 or more"
    )]
    NoPredictor,
}

impl TransformerConfigError {
    /// The field of the configuration that is wrong, with the part it belongs to: `encoder.n_heads`.
    pub fn field(&self) -> String {
        match self {
            Self::Zero { field } => (*field).to_owned(),
            Self::ZeroIn { part, field } => format!("{part}.{field}"),
            Self::Bins => "encoder.bins".to_owned(),
            Self::MaxFrames => "encoder.max_frames".to_owned(),
            Self::Heads { part, .. } => format!("{part}.n_heads"),
            Self::SinCos { part, .. } => format!("{part}.d_model"),
            Self::Dropout { part, .. } => format!("{part}.dropout"),
            Self::NoPredictor => "contrastive.predictor_layers".to_owned(),
        }
    }
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
