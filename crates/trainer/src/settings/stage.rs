//! The stages: one row each, in the order of the pipeline.

use std::fmt;
use std::str::FromStr;

use crate::error::TrainerError;
use crate::settings::layers::nearest;

/// Hands the table of stages to the macro `$build`, which makes something of every row: the enum [`Stage`], the settings
/// [`Stages`](crate::Stages), and the stages' descriptions in `stages/table.rs`.
///
/// A row: `Variant name in Group: Settings`. The variant is also the type that describes the stage
/// (a `StageSpec`); the name is that of its table in the experiment, of its directory and in reports. A stage that only
/// tests has no settings.
macro_rules! stage_table {
    ($build:ident) => {
        $build! {
            /// Masked-autoencoder pretraining of the U-Net.
            PretrainAutoencoderMae pretrain_autoencoder_mae in Pretrain: AutoencoderStage;
            /// Contrastive pretraining of the Transformer's encoder.
            PretrainTransformerContrastive pretrain_transformer_contrastive in Pretrain: ContrastiveStage;
            /// A decoder on the pretrained encoder, which is frozen.
            TrainTransformerDecoder train_transformer_decoder in Train: DecoderStage;
            /// Encoder and decoder together.
            TrainFullTransformer train_full_transformer in Train: FullStage;
            /// Fine-tuning of the pretrained U-Net on whole spectrograms.
            TrainAutoencoderNomaskFinetune train_autoencoder_nomask_finetune in Train: FinetuneStage;
            /// Test of the fine-tuned U-Net on held-out sounds.
            TestAutoencoder test_autoencoder in Test;
            /// Test of the whole Transformer on held-out sounds.
            TestTransformer test_transformer in Test;
            /// Parameter heads on the U-Net's encoder.
            FinetuneParametersAutoencoder finetune_parameters_autoencoder in Parameters:
                ParameterStage<AutoencoderStart>;
            /// Parameter heads on the Transformer's encoder.
            FinetuneParametersTransformer finetune_parameters_transformer in Parameters:
                ParameterStage<TransformerStart>;
        }
    };
}
pub(crate) use stage_table;

/// What a stage does for the pipeline: stages of a group are run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageGroup {
    /// Learns from unlabelled sounds, from scratch.
    Pretrain,
    /// Continues with pretrained weights.
    Train,
    /// Scores trained models on held-out sounds.
    Test,
    /// Learns to estimate synthesizer parameters from labelled sounds.
    Parameters,
}

macro_rules! define_stage {
    ($($(#[$doc:meta])* $variant:ident $name:ident in $group:ident $(: $settings:ty)?;)*) => {
        /// A stage of the pipeline.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Stage {
            $($(#[$doc])* $variant,)*
        }

        impl Stage {
            /// Every stage, in the order of the pipeline.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name that configurations, directories and reports use.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)*
                }
            }

            /// The stages it is run with.
            pub fn group(self) -> StageGroup {
                match self {
                    $(Self::$variant => StageGroup::$group,)*
                }
            }
        }
    };
}
stage_table!(define_stage);

impl Stage {
    /// The stages of `group`, in the order of the pipeline.
    pub fn of(group: StageGroup) -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(move |stage| stage.group() == group)
    }

    /// Whether it only scores models that other stages have trained.
    pub fn is_test(self) -> bool {
        self.group() == StageGroup::Test
    }

    /// Whether it needs sounds whose parameters are known.
    pub fn is_labelled(self) -> bool {
        self.group() == StageGroup::Parameters
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
        let mut stages = Self::ALL.iter().copied();
        stages
            .find(|stage| stage.name() == name)
            .ok_or_else(|| unknown(name))
    }
}

fn unknown(name: &str) -> TrainerError {
    let names = || Stage::ALL.iter().map(|stage| stage.name());
    TrainerError::UnknownStage {
        name: name.to_owned(),
        nearest: nearest(name, names()),
        known: names().collect::<Vec<_>>().join(", "),
    }
}
