//! The table of stages, with the implementation of each.

use losses::ParameterLoss;

use crate::settings::experiment::Experiment;
use crate::settings::stage::{Stage, stage_table};
use crate::settings::stages::{StageSettings, Stages};
use crate::settings::training::Training;
use crate::stages::autoencoder::{
    PretrainAutoencoderMae, TestAutoencoder, TrainAutoencoderNomaskFinetune,
};
use crate::stages::parameters::{FinetuneParametersAutoencoder, FinetuneParametersTransformer};
use crate::stages::spec::StageSpec;
use crate::stages::transformer::{
    PretrainTransformerContrastive, TestTransformer, TrainFullTransformer, TrainTransformerDecoder,
};
use crate::training::task::Scored;

macro_rules! define_specs {
    ($($(#[$doc:meta])* $variant:ident $name:ident in $group:ident $(: $settings:ty)?;)*) => {
        impl Stage {
            /// What it is.
            pub(crate) fn spec(self) -> &'static dyn StageSpec {
                match self {
                    $(Self::$variant => &$variant,)*
                }
            }
        }
    };
}
stage_table!(define_specs);

impl Stage {
    /// A heading.
    pub fn title(self) -> &'static str {
        self.spec().title()
    }

    /// Its network under the settings of `experiment`, in a few words.
    pub fn network(self, experiment: &Experiment) -> String {
        self.spec().network(experiment)
    }

    /// What it does under the settings of `experiment`, in sentences.
    pub fn about(self, experiment: &Experiment) -> String {
        self.spec().about(experiment)
    }

    /// What the pictures of its examples show, in a sentence.
    pub fn pictures(self) -> &'static str {
        self.spec().pictures()
    }

    /// What the second sound of its examples is, in a sentence.
    pub fn sounds(self) -> &'static str {
        self.spec().sounds()
    }

    /// What its reconstructions are called.
    pub fn reconstruction(self) -> &'static str {
        self.spec().reconstruction()
    }

    /// What its losses are taken on.
    pub fn scored(self) -> Scored {
        self.spec().scored()
    }

    /// A caption of its own for `measure`, where losses are taken on `scored`; none for the usual one.
    pub fn measure(self, measure: &str, scored: Scored) -> Option<&'static str> {
        self.spec().measure(measure, scored)
    }

    /// The stage whose weights it inherits, or tests, under the settings of `stages`; none where it starts from scratch.
    pub fn starts_from(self, stages: &Stages) -> Option<Self> {
        self.spec().starts_from(stages)
    }
}

impl Stages {
    /// The loop's settings of `stage`; for a test those of the tested stage, whose batches it takes.
    pub fn training(&self, stage: Stage) -> &Training {
        self.of_stage_or_tested(stage).training()
    }

    /// Whether reconstructions of `stage` are compared as sounds.
    pub(crate) fn compares_sounds(&self, stage: Stage) -> bool {
        self.of_stage_or_tested(stage).compares_sounds()
    }

    fn of_stage_or_tested(&self, stage: Stage) -> &dyn StageSettings {
        let tested = || stage.starts_from(self).and_then(|tested| self.of(tested));
        let settings = self.of(stage).or_else(tested);
        settings.expect("a stage without settings tests one that has some")
    }

    /// The share of the labels that `stage` uses; none for stages that use none.
    pub fn label_fraction(&self, stage: Stage) -> Option<f64> {
        self.of(stage)?.label_fraction()
    }

    /// What the parameter heads of `stage` minimise; none for stages without heads.
    pub(crate) fn parameter_loss(&self, stage: Stage) -> Option<ParameterLoss> {
        self.of(stage)?.parameter_loss()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_a_training_loop_and_starts_from_an_earlier_one_or_from_scratch() {
        let experiment = Experiment::load(None, &[]).unwrap();
        let place = |stage| Stage::ALL.iter().position(|&other| other == stage).unwrap();
        for &stage in Stage::ALL {
            assert!(experiment.stages.training(stage).steps > 0);
            assert_eq!(stage.name().parse::<Stage>().unwrap(), stage);
            if let Some(needs) = stage.starts_from(&experiment.stages) {
                assert!(place(needs) < place(stage), "{stage} starts from {needs}");
            }
        }
    }
}
