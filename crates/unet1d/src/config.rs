//! The configuration of a U-Net.

use crate::block::BlockKind;
use serde::{Deserialize, Serialize};

/// Sizes of a [`UNet1d`](crate::UNet1d). The defaults are the paper-sized network, about 56 million
/// parameters on 513 bins. Only `in_channels` has no default that works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UNet1dConfig {
    /// Channels in and out: the frequency bins of the spectrogram, `n_fft / 2 + 1`. The default, 0,
    /// is refused.
    pub in_channels: usize,
    /// Channels after the stem, the unit of `channel_mults`.
    pub base_channels: usize,
    /// Channels of each level as a multiple of `base_channels`, full time resolution first. Each
    /// further level halves the frames.
    pub channel_mults: Vec<usize>,
    /// Convolution blocks per level, the same in encoder and decoder.
    pub blocks_per_level: usize,
    /// Kind of block.
    pub block: BlockKind,
    /// Groups of every group norm; divides the channels of every level. 8 leaves 16 channels per
    /// group at the default `base_channels`, within the range of Wu & He 2018, table 3.
    pub norm_groups: usize,
    /// Levels (0 = full time resolution) whose blocks are each followed by self-attention over
    /// time. The middle blocks belong to the deepest level. The cost grows with the square of a
    /// level's frames, so start with the deepest levels.
    pub attention_levels: Vec<usize>,
    /// Heads of each self-attention; divides the channels of the levels that have one.
    pub attention_heads: usize,
}

impl Default for UNet1dConfig {
    fn default() -> Self {
        Self {
            in_channels: 0,
            base_channels: 128,
            channel_mults: vec![1, 2, 4, 8],
            blocks_per_level: 2,
            block: BlockKind::Plain,
            norm_groups: 8,
            attention_levels: Vec::new(),
            attention_heads: 4,
        }
    }
}

impl UNet1dConfig {
    /// Checks that a network can be built from this configuration.
    ///
    /// # Errors
    /// The first field that is out of range or contradicts another.
    pub fn validate(&self) -> Result<(), UNetConfigError> {
        for (field, value) in [
            ("base_channels", self.base_channels),
            ("blocks_per_level", self.blocks_per_level),
            ("norm_groups", self.norm_groups),
            ("attention_heads", self.attention_heads),
        ] {
            if value == 0 {
                return Err(UNetConfigError::Zero { field });
            }
        }
        if self.in_channels == 0 {
            return Err(UNetConfigError::InChannels);
        }
        if self.channel_mults.is_empty() {
            return Err(UNetConfigError::NoLevels);
        }
        if self.channel_mults.contains(&0) {
            return Err(UNetConfigError::Zero {
                field: "channel_mults",
            });
        }
        self.validate_groups()?;
        self.validate_attention()
    }

    /// Channels of each level, full time resolution first.
    pub fn level_channels(&self) -> Vec<usize> {
        let of = |mult: &usize| self.base_channels * mult;
        self.channel_mults.iter().map(of).collect()
    }

    /// Frames of each level for an input of `frames` frames, full time resolution first.
    pub fn level_frames(&self, frames: usize) -> Vec<usize> {
        let halved = |frames: &usize| Some(crate::resample::halved(*frames));
        std::iter::successors(Some(frames), halved)
            .take(self.channel_mults.len())
            .collect()
    }

    /// Channels of the output of [`UNet1d::encode`](crate::UNet1d::encode).
    ///
    /// # Panics
    /// If there are no levels.
    pub fn bottleneck_channels(&self) -> usize {
        *self
            .level_channels()
            .last()
            .expect("channel_mults is empty")
    }

    fn validate_groups(&self) -> Result<(), UNetConfigError> {
        // A residual block normalises its input, so the channels of the stem count too. The channels
        // of a concatenation are sums of these and need no check of their own.
        let stem = match self.block {
            BlockKind::Plain => None,
            BlockKind::Residual => Some(self.base_channels),
        };
        for channels in stem.into_iter().chain(self.level_channels()) {
            if !channels.is_multiple_of(self.norm_groups) {
                return Err(UNetConfigError::NormGroups {
                    norm_groups: self.norm_groups,
                    channels,
                });
            }
        }
        Ok(())
    }

    fn validate_attention(&self) -> Result<(), UNetConfigError> {
        let channels = self.level_channels();
        for (i, &level) in self.attention_levels.iter().enumerate() {
            if level >= channels.len() {
                return Err(UNetConfigError::AttentionLevel {
                    level,
                    levels: channels.len(),
                });
            }
            if self.attention_levels[..i].contains(&level) {
                return Err(UNetConfigError::AttentionLevelTwice { level });
            }
            if !channels[level].is_multiple_of(self.attention_heads) {
                return Err(UNetConfigError::AttentionHeads {
                    attention_heads: self.attention_heads,
                    level,
                    channels: channels[level],
                });
            }
        }
        Ok(())
    }
}

impl UNetConfigError {
    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Zero { field } => field,
            Self::InChannels => "in_channels",
            Self::NoLevels => "channel_mults",
            Self::NormGroups { .. } => "norm_groups",
            Self::AttentionLevel { .. } | Self::AttentionLevelTwice { .. } => "attention_levels",
            Self::AttentionHeads { .. } => "attention_heads",
        }
    }
}

/// An error in a [`UNet1dConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UNetConfigError {
    /// A size is 0 but must be at least 1.
    #[error("`{field}` has to be at least 1, got 0")]
    Zero {
        /// The field of the configuration.
        field: &'static str,
    },
    /// The number of bins is not set.
    #[error("`in_channels` is 0: set it to the bins of the spectrogram, n_fft / 2 + 1")]
    InChannels,
    /// There are no levels.
    #[error(
        "`channel_mults` is empty: give one multiple of `base_channels` per level, such as [1, 2, 4]"
    )]
    NoLevels,
    /// The groups of the group norm do not divide the channels.
    #[error(
        "`norm_groups` has to divide the channels of every level, got {norm_groups} groups for {channels} channels"
    )]
    NormGroups {
        /// The configured groups.
        norm_groups: usize,
        /// The channels that are not a multiple of them.
        channels: usize,
    },
    /// `attention_levels` names a level that doesn't exist.
    #[error(
        "`attention_levels` has to name levels below {levels} (0 = full time resolution), got {level}"
    )]
    AttentionLevel {
        /// The configured level.
        level: usize,
        /// The number of levels.
        levels: usize,
    },
    /// A level is listed twice.
    #[error("`attention_levels` names level {level} twice: name it once")]
    AttentionLevelTwice {
        /// The level.
        level: usize,
    },
    /// The heads do not divide the channels.
    #[error(
        "`attention_heads` has to divide the {channels} channels of level {level}, got {attention_heads}"
    )]
    AttentionHeads {
        /// The configured heads.
        attention_heads: usize,
        /// The level.
        level: usize,
        /// The channels of that level.
        channels: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> UNet1dConfig {
        UNet1dConfig {
            in_channels: 33,
            base_channels: 8,
            channel_mults: vec![1, 3],
            ..UNet1dConfig::default()
        }
    }

    #[test]
    fn each_contradiction_has_its_error() {
        let mut checked = 0;
        let mut refused = |change: &dyn Fn(&mut UNet1dConfig), expected: UNetConfigError| {
            let mut config = small();
            config.validate().unwrap();
            change(&mut config);
            assert_eq!(config.validate(), Err(expected));
            checked += 1;
        };
        let zero = |field| UNetConfigError::Zero { field };
        refused(&|c| c.in_channels = 0, UNetConfigError::InChannels);
        refused(&|c| c.base_channels = 0, zero("base_channels"));
        refused(&|c| c.blocks_per_level = 0, zero("blocks_per_level"));
        refused(&|c| c.norm_groups = 0, zero("norm_groups"));
        refused(&|c| c.attention_heads = 0, zero("attention_heads"));
        refused(&|c| c.channel_mults = vec![1, 0], zero("channel_mults"));
        refused(&|c| c.channel_mults.clear(), UNetConfigError::NoLevels);
        refused(
            &|c| c.norm_groups = 3,
            UNetConfigError::NormGroups {
                norm_groups: 3,
                channels: 8,
            },
        );
        refused(
            &|c| c.attention_levels = vec![1, 2],
            UNetConfigError::AttentionLevel {
                level: 2,
                levels: 2,
            },
        );
        refused(
            &|c| c.attention_levels = vec![1, 0, 1],
            UNetConfigError::AttentionLevelTwice { level: 1 },
        );
        refused(
            &|c| {
                c.attention_levels = vec![1];
                c.attention_heads = 7;
            },
            UNetConfigError::AttentionHeads {
                attention_heads: 7,
                level: 1,
                channels: 24,
            },
        );
        assert_eq!(checked, 11);
    }

    #[test]
    fn groups_must_divide_the_stem_only_where_the_stem_is_normalised() {
        let mut config = UNet1dConfig {
            base_channels: 4,
            channel_mults: vec![2, 4],
            ..small()
        };
        config.validate().unwrap();
        config.init(&burn::tensor::Device::flex());
        config.block = BlockKind::Residual;
        assert_eq!(
            config.validate(),
            Err(UNetConfigError::NormGroups {
                norm_groups: 8,
                channels: 4
            })
        );
    }

    #[test]
    fn an_error_says_what_was_got_and_what_to_do() {
        let error = UNetConfigError::AttentionLevel {
            level: 4,
            levels: 3,
        };
        assert_eq!(
            error.to_string(),
            "`attention_levels` has to name levels below 3 (0 = full time resolution), got 4"
        );
    }

    #[test]
    fn a_config_survives_its_file_and_unknown_keys_do_not() {
        let config = UNet1dConfig {
            attention_levels: vec![1],
            ..small()
        };
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<UNet1dConfig>(&text).unwrap(), config);

        let short: UNet1dConfig = serde_json::from_str(r#"{"in_channels": 513}"#).unwrap();
        let expected = UNet1dConfig {
            in_channels: 513,
            ..UNet1dConfig::default()
        };
        assert_eq!(short, expected);

        let misspelt = serde_json::from_str::<UNet1dConfig>(r#"{"base_chanels": 8}"#);
        assert!(misspelt.unwrap_err().to_string().contains("base_chanels"));
    }

    #[test]
    fn sizes_of_the_levels_follow_from_the_config() {
        let config = UNet1dConfig {
            channel_mults: vec![1, 2, 3, 5],
            ..small()
        };
        assert_eq!(config.level_channels(), [8, 16, 24, 40]);
        assert_eq!(config.bottleneck_channels(), 40);
        assert_eq!(config.level_frames(345), [345, 172, 86, 43]);
        assert_eq!(config.level_frames(3), [3, 1, 1, 1]);
    }

    #[test]
    #[should_panic(expected = "`in_channels` is 0")]
    fn init_refuses_what_validate_refuses() {
        UNet1dConfig::default().init(&burn::tensor::Device::flex());
    }
}
