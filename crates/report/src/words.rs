//! What stages, losses and measures are, for somebody who wasn't there.

use losses::Norm;
use stft_data::{MaskConfig, MaskStrategy};
use trainer::{EncoderTraining, Experiment, ParameterStage, Scored, SoundSource, Stage};

use crate::number::{percent, whole};

/// The sounds that the run is about.
pub(crate) fn data(experiment: &Experiment) -> String {
    match &experiment.source.path {
        SoundSource::Synth(voice) => format!(
            "{} patches of the embedded synthesizer's {voice} voice",
            whole(experiment.source.synth_examples as f64)
        ),
        SoundSource::Files(path) => path.display().to_string(),
    }
}

/// What a model sees of a sound, and the unit that this gives to losses.
pub(crate) fn spectrogram(experiment: &Experiment) -> String {
    let data = &experiment.data;
    format!(
        "A sound is a clip of {} s at {} Hz, seen as a spectrogram of {} frequency bins by {} frames: log(1 + magnitude) of a short-time Fourier transform, less the mean of the training sounds and over their standard deviation. A squared error of 1 is therefore about what guessing one constant for everything would cost. Losses are means over validation or test sounds, which no model was trained on.",
        data.clip.seconds,
        whole(f64::from(data.clip.sample_rate_hz)),
        data.stft.bins(),
        data.frames(),
    )
}

/// What a mask hides: `45 % of the 5 x 5 patches (bins x frames), at random`.
pub(crate) fn mask(mask: &MaskConfig) -> String {
    let MaskConfig {
        patch_bins,
        patch_frames,
        ratio,
        strategy,
    } = mask;
    // The digits that were written: 0.45 as f64 is 0.44999998.
    let ratio = percent(ratio.to_string().parse().unwrap_or(f64::from(*ratio)));
    let how = match strategy {
        MaskStrategy::Random => "at random",
        MaskStrategy::Clustered { .. } => "in clusters",
        MaskStrategy::Time => "as whole moments",
        MaskStrategy::Frequency => "as whole frequency bands",
    };
    format!("{ratio} of the {patch_bins} × {patch_frames} patches (bins × frames), {how}")
}

/// A stage's name for people.
pub(crate) fn title(stage: Stage) -> &'static str {
    match stage {
        Stage::PretrainAutoencoderMae => "Pretraining the U-Net on hidden patches",
        Stage::PretrainTransformerContrastive => "Pretraining the Transformer by contrast",
        Stage::TrainTransformerDecoder => "Training a decoder on the pretrained encoder",
        Stage::TrainFullTransformer => "Training the whole Transformer",
        Stage::TrainAutoencoderNomaskFinetune => "Finetuning the U-Net with nothing hidden",
        Stage::TestAutoencoder => "Testing the U-Net",
        Stage::TestTransformer => "Testing the Transformer",
        Stage::FinetuneParametersAutoencoder => "Estimating parameters with the U-Net",
        Stage::FinetuneParametersTransformer => "Estimating parameters with the Transformer",
    }
}

/// What is trained or tested.
pub(crate) fn model(stage: Stage, experiment: &Experiment) -> &'static str {
    let stages = &experiment.stages;
    match stage {
        Stage::PretrainAutoencoderMae
        | Stage::TrainAutoencoderNomaskFinetune
        | Stage::TestAutoencoder => "U-Net",
        Stage::PretrainTransformerContrastive => "Transformer, encoder",
        Stage::TrainTransformerDecoder => "Transformer, decoder",
        Stage::TrainFullTransformer | Stage::TestTransformer => "Transformer",
        Stage::FinetuneParametersAutoencoder => {
            match stages.finetune_parameters_autoencoder.active_bands().len() {
                0 => "U-Net, way down, and heads",
                _ => "U-Net, way down, band networks, and heads",
            }
        }
        Stage::FinetuneParametersTransformer => {
            match stages.finetune_parameters_transformer.active_bands().len() {
                0 => "Transformer, encoder, and heads",
                _ => "Transformer, encoder, band networks, and heads",
            }
        }
    }
}

/// What the stage does, what is hidden, what the loss is and what it is compared with.
pub(crate) fn about(stage: Stage, experiment: &Experiment) -> String {
    let stages = &experiment.stages;
    let bins = mask(&experiment.data.mask);
    let patches = |ratio: &trainer::TokenMask| mask(&ratio.over(&experiment.transformer));
    let error = |norm| match norm {
        Norm::L1 => "mean absolute error",
        Norm::L2 => "mean squared error",
    };
    let composite = |weight: f32| match weight {
        0.0 => String::new(),
        weight => format!(
            ", plus {weight} times a blend of distances between whole spectrograms of magnitudes"
        ),
    };
    match stage {
        Stage::PretrainAutoencoderMae => format!(
            "The model fills in what is hidden from it: {bins}. The loss is the {} of the hidden bins, in normalised log magnitudes. The baseline guesses the mean spectrogram of the training sounds.",
            error(stages.pretrain_autoencoder_mae.loss)
        ),
        Stage::PretrainTransformerContrastive => format!(
            "The model sees a spectrogram but for {}, and has to tell, for each hidden place, which of several patches belongs there. The loss is InfoNCE in nats. The baseline is guessing.",
            patches(&stages.pretrain_transformer_contrastive.mask)
        ),
        Stage::TrainTransformerDecoder => format!(
            "A decoder learns to draw what is hidden: {}. The encoder stays as pretraining left it. The loss is the mean squared error of the hidden patches, in normalised log magnitudes unless targets are normalised per patch. The baseline guesses the mean spectrogram of the training sounds.",
            patches(&stages.train_transformer_decoder.mask)
        ),
        Stage::TrainFullTransformer => format!(
            "Encoder and decoder learn together to draw what is hidden: {}. The loss is the mean squared error of the hidden patches{}. The baseline guesses the mean spectrogram of the training sounds.",
            patches(&stages.train_full_transformer.mask),
            composite(stages.train_full_transformer.composite_weight)
        ),
        Stage::TrainAutoencoderNomaskFinetune => format!(
            "The pretrained model goes on with nothing hidden: it reproduces the whole spectrogram through its bottleneck and skip connections. The loss is the {} of all bins, in normalised log magnitudes{}. The baseline is the mean spectrogram of the training sounds.",
            error(stages.train_autoencoder_nomask_finetune.loss),
            composite(stages.train_autoencoder_nomask_finetune.composite_weight)
        ),
        Stage::TestAutoencoder | Stage::TestTransformer => "The trained model, the one it started from and the mean spectrogram of the training sounds, on sounds that no stage has learned from or chosen by.".to_owned(),
        Stage::FinetuneParametersAutoencoder => {
            let stage = &stages.finetune_parameters_autoencoder;
            parameters(stage, stage.start.stage(), experiment)
        }
        Stage::FinetuneParametersTransformer => {
            let stage = &stages.finetune_parameters_transformer;
            parameters(stage, stage.start.stage(), experiment)
        }
    }
}

/// What decides on estimated parameters: all that hears, what makes training harder, and the loss.
fn parameters<Start>(
    stage: &ParameterStage<Start>,
    start: Option<Stage>,
    experiment: &Experiment,
) -> String {
    let heads = match stage.heads.hidden {
        0 => "Linear heads learn".to_owned(),
        width => format!("Heads with a hidden layer of {width} learn"),
    };
    let start = match start {
        Some(stage) => format!("with the weights that {stage} left"),
        None => "with weights as they are drawn".to_owned(),
    };
    let encoder = match (stage.encoder, stage.encoder_lr) {
        (EncoderTraining::Frozen, _) => "which stays as it is".to_owned(),
        (EncoderTraining::Finetuned, 1.0) => "which learns with them".to_owned(),
        (EncoderTraining::Finetuned, rate) => {
            format!("which learns with them at {rate} times their rate")
        }
    };
    let mut text = format!(
        "{heads} to tell the settings of the synthesizer that made a sound, on an encoder {start}, {encoder}; {} of the training sounds' labels are used.",
        percent(stage.label_fraction),
    );
    let networks = match stage.active_bands().len() {
        0 => None,
        1 => Some("a small network reads".to_owned()),
        count => Some(format!("{count} small networks read")),
    };
    if let Some(networks) = networks {
        let widths = stage.active_bands().iter().map(|band| match band.bins {
            0 => "all bins".to_owned(),
            bins => format!("every band of {bins} bins alike"),
        });
        let widths: Vec<String> = widths.collect();
        text += &format!(
            " Beside the encoder {networks} the spectrogram ({}), so that the figures aren't the encoder's alone.",
            widths.join("; ")
        );
    }
    if stage.active_probe_share() > 0.0 {
        let share = percent(stage.active_probe_share());
        text += &format!(
            " {share} of the estimate is told by a linear map of what each bin does over time, solved for from the labels; the training loss is of the rest alone, all other figures are of the whole."
        );
    }
    let mut harder = Vec::new();
    if stage.shift_frames > 0 {
        let frames = stage.shift_frames;
        harder.push(format!(
            "sounds begin up to {frames} frames earlier or later"
        ));
    }
    let hidden = stage.mask_over(&experiment.data);
    if hidden.ratio > 0.0 {
        harder.push(format!("{} are hidden", mask(&hidden)));
    }
    if stage.heads.dropout > 0.0 {
        let share = percent(stage.heads.dropout);
        harder.push(format!("{share} of what the last layer reads is set to 0"));
    }
    if !harder.is_empty() {
        text += &format!(" In training {}.", harder.join(", "));
    }
    text += " The loss is half the sum of the squared error of continuous parameters (positions in 0..1) and the cross-entropy of categorical ones (nats), or the one of them that there is";
    if stage.loss.label_smoothing > 0.0 {
        let share = percent(stage.loss.label_smoothing);
        text += &format!(", where {share} of the right class's probability is spread over all");
    }
    text + ". The baseline says the same of every sound: the labels' average."
}

/// What the pictures of a stage's examples show.
pub(crate) fn pictures(stage: Stage) -> &'static str {
    match stage {
        Stage::PretrainTransformerContrastive => {
            "This model draws nothing: the third picture has, in place of each hidden patch, the hidden patch that the model took for it. Where it is right, nothing changes."
        }
        Stage::TrainAutoencoderNomaskFinetune => {
            "The spectrogram, the same once more since nothing is hidden, what the model makes of it, and how far that is off."
        }
        Stage::FinetuneParametersAutoencoder | Stage::FinetuneParametersTransformer => {
            "Sounds that no model has learned from. Where the parameters are the embedded synthesizer's: what it makes of the estimates, and how far that spectrogram is off."
        }
        _ => {
            "The spectrogram, what the model saw of it (hidden patches are grey), what the model makes of it, and how far that is off."
        }
    }
}

/// How the second sound of an example comes about.
pub(crate) fn sounds(stage: Stage) -> &'static str {
    match stage.is_labelled() {
        true => "What is rendered is heard as the synthesizer plays it.",
        false => {
            "A spectrogram has no phase: the reconstruction is heard with the phase of the input."
        }
    }
}

/// What a picture or sound of an example is called.
pub(crate) fn shown(stage: Stage, name: &'static str) -> &'static str {
    match (name, stage) {
        ("mask", _) => "what the model saw",
        ("error", _) => "absolute error",
        ("reconstruction", Stage::PretrainTransformerContrastive) => "what the model took it for",
        ("reconstruction", stage) if stage.is_labelled() => "rendered from the estimates",
        (other, _) => other,
    }
}

/// What the losses of a stage that trains are about.
pub(crate) fn scored(stage: Stage) -> Scored {
    match stage {
        Stage::TrainAutoencoderNomaskFinetune => Scored::Everything,
        _ => Scored::Hidden,
    }
}

/// Distances between two sounds by the names that `compare` gives them, and for people.
pub(crate) const DISTANCES: [(&str, &str); 5] = [
    ("mss", "Multi-scale spectral distance (dB)"),
    ("logmel_l1", "Log-mel distance (dB)"),
    ("wmfcc", "Warped distance of MFCCs"),
    ("sot", "Spectral transport (share of the band)"),
    ("rms_cosine", "Similarity of envelopes"),
];

/// A measure's name for people, with its unit, where `scored` is what losses are about.
pub(crate) fn measure(stage: Stage, scored: Scored, name: &str) -> String {
    use Stage::{PretrainAutoencoderMae, PretrainTransformerContrastive, TestAutoencoder};
    // The U-Net is scored on hidden bins under names that are of magnitudes elsewhere.
    let of_hidden_bins =
        scored == Scored::Hidden && matches!(stage, PretrainAutoencoderMae | TestAutoencoder);
    let patches = match scored {
        Scored::Hidden => "hidden patches",
        Scored::Everything => "all patches",
    };
    if let Some(parameter) = name.strip_prefix("param/cont_mae/") {
        return format!("{parameter}: absolute error (0..1)");
    }
    if let Some(parameter) = name.strip_prefix("param/cat_acc/") {
        return format!("{parameter}: share of right classes");
    }
    match name {
        "loss" if stage == PretrainTransformerContrastive => "Loss (InfoNCE, nats)",
        "loss" if stage.is_labelled() => "Loss (half of squared error and nats)",
        "loss" if of_hidden_bins => "Loss (error of hidden bins, normalised)",
        "loss" => "Loss",
        "total_loss" => "Total loss",
        "lr" => "Learning rate",
        "grad_norm" => "Norm of the gradient, before clipping",
        "contrastive_accuracy" => "Hidden patches found (share)",
        "contrastive_loss" => "Contrastive loss (nats)",
        "query_spread" => "Spread of context vectors",
        "key_spread" => "Spread of content vectors",
        "patch_loss" => return format!("Loss of {patches}"),
        "patch_mse" => return format!("Squared error of {patches} (normalised)"),
        "spec_l1" if of_hidden_bins => "Absolute error of hidden bins (normalised)",
        "spec_l2" if of_hidden_bins => "Squared error of hidden bins (normalised)",
        "normalized_l1" => "Absolute error (normalised)",
        "normalized_l2" => "Squared error (normalised)",
        "spec_l1" => "Absolute error (magnitudes)",
        "spec_l2" => "Squared error (magnitudes)",
        "spec_sc" => "Spectral convergence (relative)",
        "spec_log" => "Error of log magnitudes",
        "lowmag" => "Error weighted to quiet bins (magnitudes)",
        "param/cont_mse" => "Squared error of continuous parameters (0..1)",
        "param/cross_entropy" => "Cross-entropy of categorical parameters (nats)",
        "param/cat_acc_mean" => "Right classes of categorical parameters (share)",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about_heads(overrides: &[&str]) -> String {
        let stage = Stage::FinetuneParametersTransformer;
        let set = |text: &&str| format!("stages.{stage}.{text}");
        let overrides: Vec<String> = overrides.iter().map(set).collect();
        let experiment = Experiment::load(None, &overrides).unwrap();
        format!(
            "{}: {}",
            model(stage, &experiment),
            about(stage, &experiment)
        )
    }

    #[test]
    fn whatever_decides_on_parameters_beside_the_encoder_is_named_and_nothing_else() {
        let plain = [
            "bands=[]",
            "shift_frames=0",
            "heads.hidden=0",
            "heads.dropout=0.0",
            "loss.label_smoothing=0.0",
            "mask.ratio=0.0",
            "encoder_lr=1.0",
        ];
        let without = about_heads(&plain);
        let mut checked = 0;
        for (place, setting, said) in [
            (
                0,
                "bands=[{bins=0,step=1,channels=[8]},{bins=24,step=12,channels=[16]}]",
                "2 small networks read the spectrogram (all bins; every band of 24 bins alike)",
            ),
            (
                0,
                "bands=[{bins=0,step=1,channels=[8]}]",
                "encoder, band networks, and heads",
            ),
            (1, "shift_frames=7", "begin up to 7 frames earlier or later"),
            (2, "heads.hidden=96", "a hidden layer of 96"),
            (
                3,
                "heads.dropout=0.25",
                "25\u{202f}% of what the last layer reads",
            ),
            (
                4,
                "loss.label_smoothing=0.05",
                "5\u{202f}% of the right class's",
            ),
            (5, "mask.ratio=0.3", "30\u{202f}% of the"),
            (6, "encoder_lr=0.2", "at 0.2 times their rate"),
        ] {
            assert!(!without.contains(said), "{said:?} in {without}");
            let mut settings = plain;
            settings[place] = setting;
            let text = about_heads(&settings);
            assert!(text.contains(said), "no {said:?} in {text}");
            checked += 1;
        }
        assert_eq!(checked, 8);
        // A frozen encoder is alone, and no rate moves it.
        let frozen = about_heads(&["encoder=frozen", "encoder_lr=0.2"]);
        assert!(frozen.contains("which stays as it is"), "{frozen}");
        assert!(
            !frozen.contains("network") && !frozen.contains("times their"),
            "{frozen}"
        );
    }
}
