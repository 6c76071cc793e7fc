//! The rows of the comparison: each a name, the work and its sizes.

use std::path::Path;

use losses::{InfoNce, MultiResolutionStftConfig, Negatives};
use serde::Serialize;
use trainer::{Experiment, OptimizerConfig, TrainerError};
use transformer::EncoderConfig;

use crate::work::{LayerKind, Pass, TransformerSize, UNetSize, Work};

/// Operations of a short training step, at most.
const LARGEST_GFLOP: f64 = 1000.0;

/// Something to measure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Case {
    /// The name of the row.
    pub name: String,
    /// What is computed.
    pub work: Work,
    /// How far.
    pub pass: Pass,
}

impl Case {
    /// A case under a name.
    pub fn new(name: impl Into<String>, work: Work, pass: Pass) -> Self {
        Self {
            name: name.into(),
            work,
            pass,
        }
    }

    /// Whether a network is trained and ten calls take less than minutes, which those of the paper's contrastive step
    /// don't.
    pub fn is_short_training_step(&self) -> bool {
        self.work.is_network() && self.pass == Pass::Step && self.gflop() < LARGEST_GFLOP
    }

    /// Floating-point operations of one call, in units of 1e9, of its matrix products and transforms alone.
    pub fn gflop(&self) -> f64 {
        self.work.flop(self.pass) * 1e-9
    }
}

/// The comparison with PyTorch, row by row.
///
/// # Errors
/// An experiment file of this project can't be read.
pub fn cases() -> Result<Vec<Case>, TrainerError> {
    let default = Experiment::load(None, &[])?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/paper.toml");
    let paper = Experiment::load(Some(&file), &[])?;
    let mut cases = networks(&default, &paper);
    cases.extend(parts());
    cases.extend(transform_and_losses());
    Ok(cases)
}

fn networks(default: &Experiment, paper: &Experiment) -> Vec<Case> {
    let mut cases = Vec::new();
    for (network, preset, work) in [
        ("unet", "_paper", Work::UNet(unet(paper))),
        ("unet", "_default", Work::UNet(unet(default))),
        ("transformer", "", Work::Transformer(small_encoder())),
        (
            "transformer",
            "_default",
            Work::Transformer(transformer(default)),
        ),
    ] {
        for (pass, verb) in [(Pass::Step, "step"), (Pass::Forward, "forward")] {
            let name = format!("{network}_{verb}{preset}");
            cases.push(Case::new(name, work.clone(), pass));
        }
    }
    // A step of the preset's whole batch takes minutes.
    let one_clip = TransformerSize {
        batch: 1,
        ..transformer(paper)
    };
    for (name, work) in [
        ("masked_step_default", masked(default)),
        (
            "contrastive_step_default",
            contrastive(default, transformer(default)),
        ),
        ("contrastive_step_paper", contrastive(paper, one_clip)),
    ] {
        cases.push(Case::new(name, work, Pass::Step));
    }
    cases
}

/// Attention at three sizes; and single layers of the paper's U-Net at its finest and its coarsest level, of the
/// default one, and of the small encoder.
fn parts() -> Vec<Case> {
    let attention = [[8, 8, 512, 32], [8, 8, 1024, 64], [1, 8, 7107, 64]];
    let attention = attention.map(|[batch, heads, tokens, head_dim]| {
        let name = format!("attention_{batch}x{heads}x{tokens}x{head_dim}");
        let work = Work::Attention {
            batch,
            heads,
            tokens,
            head_dim,
        };
        (name, work)
    });
    let conv = |out| LayerKind::Conv1d { out, taps: 3 };
    let group_norm = LayerKind::GroupNormSilu { groups: 8 };
    let layers = [
        ("conv1d_8x128x345", conv(128), [8, 128, 345]),
        ("conv1d_8x1024x44", conv(1024), [8, 1024, 44]),
        ("conv1d_16x512x256", conv(512), [16, 512, 256]),
        ("group_norm_silu_8x128x345", group_norm, [8, 128, 345]),
        ("layer_norm_8x512x256", LayerKind::LayerNorm, [8, 512, 256]),
        ("gelu_8x512x1024", LayerKind::Gelu, [8, 512, 1024]),
        (
            "linear_8x512x256_to_1024",
            LayerKind::Linear { out: 1024 },
            [8, 512, 256],
        ),
    ];
    let layers = layers.map(|(name, layer, shape)| (name.to_owned(), Work::Layer { layer, shape }));
    let both = |(name, work): (String, Work)| {
        [(Pass::Forward, "forward"), (Pass::Step, "step")]
            .map(|(pass, verb)| Case::new(format!("{name}_{verb}"), work.clone(), pass))
    };
    attention.into_iter().chain(layers).flat_map(both).collect()
}

fn transform_and_losses() -> [Case; 4] {
    let stft = Work::Stft {
        clips: 64,
        samples: 88_200,
        n_fft: 1024,
        hop_length: 256,
    };
    let info_nce = |negatives| Work::InfoNce {
        batch: 16,
        tokens: 512,
        hidden: 256,
        features: 256,
        loss: InfoNce {
            negatives,
            ..InfoNce::default()
        },
    };
    let multi_resolution = Work::MultiResolution {
        batch: 8,
        samples: 88_200,
        loss: MultiResolutionStftConfig::default(),
    };
    let in_clip = info_nce(Negatives::CLIP);
    [
        Case::new("stft", stft, Pass::Forward),
        Case::new("infonce", info_nce(Negatives::BATCH), Pass::Step),
        Case::new("infonce_in_clip", in_clip, Pass::Step),
        Case::new("multi_resolution_stft", multi_resolution, Pass::Step),
    ]
}

/// The U-Net of an experiment and a batch of its clips.
pub(crate) fn unet(experiment: &Experiment) -> UNetSize {
    let training = &experiment.stages.pretrain_autoencoder_mae.training;
    UNetSize {
        model: experiment.unet.clone(),
        batch: training.batch_size,
        frames: experiment.data.frames(),
        optimizer: training.optimizer.clone(),
    }
}

/// The encoder of an experiment on a batch of its clips, a share of whose tokens is hidden as in contrastive
/// pretraining.
fn transformer(experiment: &Experiment) -> TransformerSize {
    let stage = &experiment.stages.pretrain_transformer_contrastive;
    let size = TransformerSize {
        encoder: experiment.transformer.encoder.clone(),
        batch: stage.training.batch_size,
        frames: experiment.data.frames(),
        hidden: 0,
        optimizer: stage.training.optimizer.clone(),
    };
    with_hidden(size, stage.mask.ratio)
}

fn with_hidden(size: TransformerSize, ratio: f32) -> TransformerSize {
    let hidden = (size.tokens() as f32 * ratio).round() as usize;
    TransformerSize { hidden, ..size }
}

/// The contrastive network of an experiment and its objective.
fn contrastive(experiment: &Experiment, size: TransformerSize) -> Work {
    Work::ContrastiveTraining {
        size,
        heads: experiment.transformer.contrastive.clone(),
        loss: experiment.stages.pretrain_transformer_contrastive.loss,
    }
}

/// The masked autoencoder of an experiment, on a batch of its clips.
fn masked(experiment: &Experiment) -> Work {
    let stage = &experiment.stages.train_full_transformer;
    let size = TransformerSize {
        batch: stage.training.batch_size,
        optimizer: stage.training.optimizer.clone(),
        ..transformer(experiment)
    };
    Work::MaskedTraining {
        size: with_hidden(size, stage.mask.ratio),
        decoder: experiment.transformer.decoder.clone(),
    }
}

/// Six layers of 256 features on 8 grids of 16 x 32 patches, none of which is hidden.
pub(crate) fn small_encoder() -> TransformerSize {
    TransformerSize {
        encoder: EncoderConfig {
            bins: 256,
            max_frames: 512,
            patch_bins: 16,
            patch_frames: 16,
            d_model: 256,
            n_heads: 8,
            d_ff: 1024,
            n_layers: 6,
            dropout: 0.0,
            ..EncoderConfig::default()
        },
        batch: 8,
        frames: 512,
        hidden: 0,
        optimizer: OptimizerConfig {
            weight_decay: 0.01,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            clip_norm: 1.0,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own() {
        let cases = cases().unwrap();
        assert_eq!(cases.len(), 35);
        for (i, case) in cases.iter().enumerate() {
            assert!(cases[..i].iter().all(|other| other.name != case.name));
        }
    }

    #[test]
    fn the_presets_are_those_of_the_experiment_files() {
        let cases = cases().unwrap();
        let of = |name: &str| cases.iter().find(|case| case.name == name).unwrap();
        let Work::UNet(unet) = &of("unet_step_paper").work else {
            panic!("it is a U-Net");
        };
        assert_eq!(
            [unet.batch, unet.model.in_channels, unet.frames],
            [8, 513, 345]
        );
        let Work::Transformer(encoder) = &of("transformer_step").work else {
            panic!("it is a Transformer");
        };
        assert_eq!(encoder.tokens(), 512);
        let Work::ContrastiveTraining { size, .. } = &of("contrastive_step_paper").work else {
            panic!("it is a contrastive network");
        };
        assert_eq!(size.tokens(), 7107);
        assert_eq!([size.encoder.d_model, size.encoder.n_layers], [512, 8]);
    }
}
