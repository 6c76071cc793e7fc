//! The initialisations that a study compares.

use std::fmt;

use trainer::{AutoencoderStart, Stage, Stages, TransformerStart};

/// An encoder under parameter heads, and where its weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Start {
    /// The U-Net's encoder, newly initialised
    UnetScratch,
    /// The U-Net's encoder from masked pretraining
    UnetMasked,
    /// The Transformer's encoder, newly initialised
    TransformerScratch,
    /// The Transformer's encoder from contrastive pretraining
    TransformerContrastive,
    /// The Transformer's encoder after encoder and decoder were trained together
    TransformerFull,
}

impl Start {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 5] = [
        Self::UnetScratch,
        Self::UnetMasked,
        Self::TransformerScratch,
        Self::TransformerContrastive,
        Self::TransformerFull,
    ];

    /// Its name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::UnetScratch => "U-Net, scratch",
            Self::UnetMasked => "U-Net, masked pretraining",
            Self::TransformerScratch => "Transformer, scratch",
            Self::TransformerContrastive => "Transformer, contrastive pretraining",
            Self::TransformerFull => "Transformer, full",
        }
    }

    /// The stage with the heads.
    pub fn stage(self) -> Stage {
        match self {
            Self::UnetScratch | Self::UnetMasked => Stage::FinetuneParametersAutoencoder,
            Self::TransformerScratch | Self::TransformerContrastive | Self::TransformerFull => {
                Stage::FinetuneParametersTransformer
            }
        }
    }

    /// The stages whose weights it starts from, in their order.
    pub fn pretraining(self) -> &'static [Stage] {
        match self {
            Self::UnetScratch | Self::TransformerScratch => &[],
            Self::UnetMasked => &[Stage::PretrainAutoencoderMae],
            Self::TransformerContrastive => &[Stage::PretrainTransformerContrastive],
            Self::TransformerFull => &[
                Stage::PretrainTransformerContrastive,
                Stage::TrainTransformerDecoder,
                Stage::TrainFullTransformer,
            ],
        }
    }

    /// Sets where the heads' encoder starts in `stages`.
    pub fn choose(self, stages: &mut Stages) {
        let (unet, transformer) = (
            &mut stages.finetune_parameters_autoencoder,
            &mut stages.finetune_parameters_transformer,
        );
        match self {
            Self::UnetScratch => unet.start = AutoencoderStart::Scratch,
            Self::UnetMasked => unet.start = AutoencoderStart::PretrainAutoencoderMae,
            Self::TransformerScratch => transformer.start = TransformerStart::Scratch,
            Self::TransformerContrastive => {
                transformer.start = TransformerStart::PretrainTransformerContrastive;
            }
            Self::TransformerFull => transformer.start = TransformerStart::TrainFullTransformer,
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = clap::ValueEnum::to_possible_value(self).expect("none is left out");
        out.write_str(value.get_name())
    }
}
