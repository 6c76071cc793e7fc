//! The stages by name, and their order.

use std::fmt;
use std::str::FromStr;

use crate::error::TrainerError;
use crate::settings::experiment::Stages;
use crate::settings::layers::nearest;

/// A stage of the pipeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Masked-autoencoder pretraining of the U-Net.
    PretrainAutoencoderMae,
    /// Contrastive pretraining of the Transformer's encoder.
    PretrainTransformerContrastive,
    /// A decoder on the pretrained encoder, which stays as it is.
    TrainTransformerDecoder,
    /// Encoder and decoder together.
    TrainFullTransformer,
    /// The pretrained U-Net, with nothing hidden any more.
    TrainAutoencoderNomaskFinetune,
    /// The finetuned U-Net on sounds that were held out.
    TestAutoencoder,
    /// The whole Transformer on sounds that were held out.
    TestTransformer,
    /// Parameter heads on the U-Net's way down.
    FinetuneParametersAutoencoder,
    /// Parameter heads on the Transformer's encoder.
    FinetuneParametersTransformer,
}

impl Stage {
    /// Every stage, in the order of the pipeline.
    pub const ALL: [Self; 9] = [
        Self::PretrainAutoencoderMae,
        Self::PretrainTransformerContrastive,
        Self::TrainTransformerDecoder,
        Self::TrainFullTransformer,
        Self::TrainAutoencoderNomaskFinetune,
        Self::TestAutoencoder,
        Self::TestTransformer,
        Self::FinetuneParametersAutoencoder,
        Self::FinetuneParametersTransformer,
    ];

    /// What learns from unlabelled sounds, from nothing.
    pub const PRETRAIN: [Self; 2] = [
        Self::PretrainAutoencoderMae,
        Self::PretrainTransformerContrastive,
    ];

    /// What goes on with pretrained weights.
    pub const TRAIN: [Self; 3] = [
        Self::TrainTransformerDecoder,
        Self::TrainFullTransformer,
        Self::TrainAutoencoderNomaskFinetune,
    ];

    /// What looks at the sounds that no other stage has seen.
    pub const TEST: [Self; 2] = [Self::TestAutoencoder, Self::TestTransformer];

    /// What learns to estimate synthesizer parameters, from sounds whose parameters are known.
    pub const PARAMETERS: [Self; 2] = [
        Self::FinetuneParametersAutoencoder,
        Self::FinetuneParametersTransformer,
    ];

    /// The name that configurations, directories and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::PretrainAutoencoderMae => "pretrain_autoencoder_mae",
            Self::PretrainTransformerContrastive => "pretrain_transformer_contrastive",
            Self::TrainTransformerDecoder => "train_transformer_decoder",
            Self::TrainFullTransformer => "train_full_transformer",
            Self::TrainAutoencoderNomaskFinetune => "train_autoencoder_nomask_finetune",
            Self::TestAutoencoder => "test_autoencoder",
            Self::TestTransformer => "test_transformer",
            Self::FinetuneParametersAutoencoder => "finetune_parameters_autoencoder",
            Self::FinetuneParametersTransformer => "finetune_parameters_transformer",
        }
    }

    /// The stage whose weights it takes over, if any, under the settings of `stages`.
    pub fn starts_from(self, stages: &Stages) -> Option<Self> {
        match self {
            Self::PretrainAutoencoderMae | Self::PretrainTransformerContrastive => None,
            Self::TrainTransformerDecoder => Some(Self::PretrainTransformerContrastive),
            Self::TrainFullTransformer => Some(Self::TrainTransformerDecoder),
            Self::TrainAutoencoderNomaskFinetune => Some(Self::PretrainAutoencoderMae),
            Self::TestAutoencoder => Some(Self::TrainAutoencoderNomaskFinetune),
            Self::TestTransformer => Some(Self::TrainFullTransformer),
            Self::FinetuneParametersAutoencoder => {
                stages.finetune_parameters_autoencoder.start.stage()
            }
            Self::FinetuneParametersTransformer => {
                stages.finetune_parameters_transformer.start.stage()
            }
        }
    }

    /// Whether it only looks at what others have trained.
    pub fn is_test(self) -> bool {
        Self::TEST.contains(&self)
    }

    /// Whether it needs sounds whose parameters are known.
    pub fn is_labelled(self) -> bool {
        Self::PARAMETERS.contains(&self)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = TrainerError;

    fn from_str(name: &str) -> Result<Self, TrainerError> {
        let names = || Self::ALL.iter().map(|stage| stage.name());
        Self::ALL
            .into_iter()
            .find(|stage| stage.name() == name)
            .ok_or_else(|| TrainerError::UnknownStage {
                name: name.to_string(),
                nearest: nearest(name, names()),
                known: names().collect::<Vec<_>>().join(", "),
            })
    }
}
