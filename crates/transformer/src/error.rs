//! Errors of a configuration.

/// An error in a [`TransformerConfig`](crate::TransformerConfig).
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TransformerConfigError {
    /// A size is 0 but must be at least 1.
    #[error("`{field}` has to be at least 1, got 0")]
    Zero {
        /// The field of the configuration.
        field: &'static str,
    },
    /// A size of a block is 0 but must be at least 1.
    #[error("`{part}.{field}` has to be at least 1, got 0")]
    ZeroIn {
        /// `encoder` or `decoder`.
        part: &'static str,
        /// The field of that part.
        field: &'static str,
    },
    /// The number of bins is not set.
    #[error("`encoder.bins` is 0: set it to the bins of the spectrogram, n_fft / 2 + 1")]
    Bins,
    /// Learned positions need `max_frames`, which is not set.
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
        /// The configured heads.
        n_heads: usize,
        /// The features that are not a multiple of them.
        d_model: usize,
    },
    /// The number of features can't be split into sines and cosines of row and column.
    #[error(
        "`{part}.d_model` has to be a multiple of 4 with `encoder.position = \"sin_cos\"`, got {d_model}"
    )]
    SinCos {
        /// `encoder` or `decoder`.
        part: &'static str,
        /// The features.
        d_model: usize,
    },
    /// A dropout probability out of range.
    #[error("`{part}.dropout` has to be from 0 to below 1, got {dropout}")]
    Dropout {
        /// `encoder` or `decoder`.
        part: &'static str,
        /// The configured probability.
        dropout: f64,
    },
    /// A visible-only encoder has no output at hidden tokens, and there is no predictor.
    #[error(
        "`contrastive.predictor_layers` is 0: with `encoder.tokens = \"visible\"` only a predictor provides \
         context vectors of hidden tokens; set it to 1 or more"
    )]
    NoPredictor,
}

impl TransformerConfigError {
    /// The field that is wrong, with its part: `encoder.n_heads`.
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
