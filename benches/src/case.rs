//! The rows of the comparison: each a name and its sizes.

use std::path::Path;

use losses::{InfoNce, MultiResolutionStftConfig, Negatives};
use serde::{Deserialize, Serialize};
use trainer::{Experiment, TrainerError};
use transformer::EncoderConfig;

use crate::layer::{Layer, LayerKind};
use crate::work::{
    Attention, Contrast, ContrastiveSize, MaskedSize, Pass, Product, Sounds, Transform,
    TransformerSize, UNetSize, Work,
};

/// Operations of a step that is short, at most.
const LARGEST_GFLOP: f64 = 1000.0;

/// Something to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// What the row is called.
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

    /// Whether a network is trained, by few enough operations that ten calls don't take minutes, as those of the paper's
    /// contrast do.
    pub fn is_short_training_step(&self) -> bool {
        let has_weights = matches!(
            self.work,
            Work::UNet(_)
                | Work::Transformer(_)
                | Work::MaskedTraining(_)
                | Work::ContrastiveTraining(_)
        );
        has_weights && self.pass == Pass::Step && self.gflop() < LARGEST_GFLOP
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
    let paper = paper()?;
    let models = [
        ("unet", "paper", Work::UNet(unet(&paper))),
        ("unet", "default", Work::UNet(unet(&default))),
        ("transformer", "", Work::Transformer(small_encoder())),
        (
            "transformer",
            "default",
            Work::Transformer(transformer(&default)),
        ),
    ];
    let mut cases = Vec::new();
    for (model, preset, work) in models {
        for (pass, verb) in [(Pass::Step, "step"), (Pass::Forward, "forward")] {
            let words = [model, verb, preset];
            let name = words.map(str::to_owned).to_vec();
            let name: Vec<String> = name.into_iter().filter(|word| !word.is_empty()).collect();
            cases.push(Case::new(name.join("_"), work.clone(), pass));
        }
    }
    let masked = Work::MaskedTraining(masked(&default));
    cases.push(Case::new("masked_step_default", masked, Pass::Step));
    for (preset, mut size) in [("default", contrast(&default)), ("paper", contrast(&paper))] {
        if preset == "paper" {
            // A step of its whole batch takes minutes.
            size.encoder.batch = 1;
        }
        let name = format!("contrastive_step_{preset}");
        cases.push(Case::new(name, Work::ContrastiveTraining(size), Pass::Step));
    }
    for [batch, heads, tokens, head_dim] in [[8, 8, 512, 32], [8, 8, 1024, 64], [1, 8, 7107, 64]] {
        let work = Work::Attention(Attention {
            batch,
            heads,
            tokens,
            head_dim,
        });
        let size = format!("{batch}x{heads}x{tokens}x{head_dim}");
        for (pass, verb) in [(Pass::Forward, "forward"), (Pass::Step, "step")] {
            cases.push(Case::new(
                format!("attention_{size}_{verb}"),
                work.clone(),
                pass,
            ));
        }
    }
    for (name, layer, shape) in layers() {
        let work = Work::Layer(Layer { layer, shape });
        for (pass, verb) in [(Pass::Forward, "forward"), (Pass::Step, "step")] {
            cases.push(Case::new(format!("{name}_{verb}"), work.clone(), pass));
        }
    }
    let transform = Transform {
        clips: 64,
        samples: 88_200,
        n_fft: 1024,
        hop_length: 256,
    };
    cases.push(Case::new("stft", Work::Stft(transform), Pass::Forward));
    for (name, negatives) in [
        ("infonce", Negatives::Batch),
        ("infonce_in_clip", Negatives::Clip { sampled: None }),
    ] {
        let contrast = Contrast {
            batch: 16,
            tokens: 512,
            hidden: 256,
            features: 256,
            loss: InfoNce {
                negatives,
                ..InfoNce::default()
            },
        };
        cases.push(Case::new(name, Work::InfoNce(contrast), Pass::Step));
    }
    let sounds = Work::MultiResolution(Sounds {
        batch: 8,
        samples: 88_200,
        loss: MultiResolutionStftConfig::default(),
    });
    cases.push(Case::new("multi_resolution_stft", sounds, Pass::Step));
    Ok(cases)
}

/// Single layers: of the paper's U-Net at its finest and its coarsest level, of the default one, and of the small encoder.
fn layers() -> [(&'static str, LayerKind, [usize; 3]); 7] {
    let conv = |out| LayerKind::Conv1d { out, taps: 3 };
    [
        ("conv1d_8x128x345", conv(128), [8, 128, 345]),
        ("conv1d_8x1024x44", conv(1024), [8, 1024, 44]),
        ("conv1d_16x512x256", conv(512), [16, 512, 256]),
        (
            "group_norm_silu_8x128x345",
            LayerKind::GroupNormSilu { groups: 8 },
            [8, 128, 345],
        ),
        ("layer_norm_8x512x256", LayerKind::LayerNorm, [8, 512, 256]),
        ("gelu_8x512x1024", LayerKind::Gelu, [8, 512, 1024]),
        (
            "linear_8x512x256_to_1024",
            LayerKind::Linear { out: 1024 },
            [8, 512, 256],
        ),
    ]
}

/// The paper preset.
pub(crate) fn paper() -> Result<Experiment, TrainerError> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/paper.toml");
    Experiment::load(Some(&file), &[])
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

/// The encoder of an experiment, on a batch of its clips of which its share of tokens is hidden.
fn transformer(experiment: &Experiment) -> TransformerSize {
    let stage = &experiment.stages.pretrain_transformer_contrastive;
    let encoder = &experiment.transformer.encoder;
    let frames = experiment.data.frames();
    let tokens = encoder.grid(frames).tokens();
    TransformerSize {
        encoder: encoder.clone(),
        batch: stage.training.batch_size,
        frames,
        hidden: (tokens as f32 * stage.mask.ratio).round() as usize,
        optimizer: stage.training.optimizer.clone(),
    }
}

/// The contrastive network of an experiment and its objective, on a batch of its clips.
fn contrast(experiment: &Experiment) -> ContrastiveSize {
    ContrastiveSize {
        encoder: transformer(experiment),
        heads: experiment.transformer.contrastive.clone(),
        loss: experiment.stages.pretrain_transformer_contrastive.loss,
    }
}

/// The masked autoencoder of an experiment, on a batch of its clips.
fn masked(experiment: &Experiment) -> MaskedSize {
    let stage = &experiment.stages.train_full_transformer;
    let mut encoder = transformer(experiment);
    let tokens = encoder.encoder.grid(encoder.frames).tokens();
    encoder.batch = stage.training.batch_size;
    encoder.hidden = (tokens as f32 * stage.mask.ratio).round() as usize;
    encoder.optimizer = stage.training.optimizer.clone();
    MaskedSize {
        encoder,
        decoder: experiment.transformer.decoder.clone(),
    }
}

/// Six layers of 256 features on 8 grids of 16 x 32 patches, of which nothing is hidden.
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
        optimizer: trainer::OptimizerConfig {
            weight_decay: 0.01,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            clip_norm: 1.0,
        },
    }
}

/// A square product, by which the machine is known.
pub(crate) fn product(size: usize) -> Case {
    let work = Work::Product(Product { size });
    Case::new(format!("product_{size}"), work, Pass::Forward)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_of_its_own_and_comes_back_from_json() {
        let cases = cases().unwrap();
        assert_eq!(cases.len(), 35);
        for (i, case) in cases.iter().enumerate() {
            assert!(cases[..i].iter().all(|other| other.name != case.name));
            let text = serde_json::to_string(case).unwrap();
            assert_eq!(&serde_json::from_str::<Case>(&text).unwrap(), case);
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
        assert_eq!(encoder.encoder.grid(encoder.frames).tokens(), 512);
        let Work::ContrastiveTraining(contrast) = &of("contrastive_step_paper").work else {
            panic!("it is a contrastive network");
        };
        let encoder = &contrast.encoder;
        assert_eq!(encoder.encoder.grid(encoder.frames).tokens(), 7107);
        assert_eq!(
            [encoder.encoder.d_model, encoder.encoder.n_layers],
            [512, 8]
        );
    }
}
