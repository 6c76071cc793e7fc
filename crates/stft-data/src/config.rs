use serde::{Deserialize, Serialize};

use crate::dataset::split::SplitConfig;
use crate::decode::limits::DecodeLimits;
use crate::error::DataError;
use crate::transform::clip::ClipConfig;
use crate::transform::mask::MaskConfig;
use crate::transform::spectrogram::StftConfig;

/// Everything that decides the content of a batch, except the source and the seed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Length and sample rate of the clips that models are given.
    pub clip: ClipConfig,
    /// Sizes of the spectrogram.
    pub stft: StftConfig,
    /// Which cells are hidden.
    pub mask: MaskConfig,
    /// Shares of the held-out splits.
    pub split: SplitConfig,
    /// Limits beyond which a sound file is rejected.
    pub decode: DecodeLimits,
    /// Memory for decoded and resampled sounds, in MiB. Later epochs don't decode these sounds again.
    /// A minute at 16,384 Hz takes 3.75 MiB. Affects speed only, never the content of a batch.
    pub cache_mib: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        DataConfig {
            clip: ClipConfig::default(),
            stft: StftConfig::default(),
            mask: MaskConfig::default(),
            split: SplitConfig::default(),
            decode: DecodeLimits::default(),
            cache_mib: 1024,
        }
    }
}

impl DataConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`DataError::Config`] with the first wrong field, its value and what is expected.
    pub fn validate(&self) -> Result<(), DataError> {
        self.clip.validate()?;
        self.stft.validate()?;
        self.mask.validate()?;
        self.split.validate()?;
        self.decode.validate()
    }

    /// Number of frequency bins of every example.
    pub fn bins(&self) -> usize {
        self.stft.bins()
    }

    /// Number of frames of every example.
    pub fn frames(&self) -> usize {
        self.stft.frames(self.clip.samples())
    }
}
