//! Captions of runs, examples and measures.

use trainer::{Experiment, Scored, SoundSource, Stage};

use crate::number::whole;

/// The sounds that `experiment` names, in a few words.
pub fn sounds_caption(experiment: &Experiment) -> String {
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
        "A sound is a clip of {} s at {} Hz, as a spectrogram of {} frequency bins by {} frames: log(1 + magnitude) of a short-time Fourier transform, normalised to the mean and standard deviation of the training sounds. Predicting one constant for everything therefore has a squared error of about 1. Losses are means over validation or test sounds, which no model was trained on.",
        data.clip.seconds,
        whole(f64::from(data.clip.sample_rate_hz)),
        data.stft.bins(),
        data.frames(),
    )
}

/// The caption of a picture or sound of an example.
pub(crate) fn example(stage: Stage, name: &'static str) -> &'static str {
    match name {
        "mask" => "what the model saw",
        "error" => "absolute error",
        "reconstruction" => stage.reconstruction(),
        other => other,
    }
}

/// Distances between two sounds by the names that `compare` gives them, and for people.
pub(crate) const DISTANCES: [(&str, &str); 5] = [
    ("mss", "Multi-scale spectral distance (dB)"),
    ("logmel_l1", "Log-mel distance (dB)"),
    ("wmfcc", "Warped distance of MFCCs"),
    ("sot", "Spectral optimal transport (share of the band)"),
    ("rms_cosine", "Similarity of envelopes"),
];

/// The caption of a measure, with its unit, where losses are taken on `scored`.
pub(crate) fn measure(stage: Stage, scored: Scored, name: &str) -> String {
    if let Some(caption) = stage.measure(name, scored) {
        return caption.to_owned();
    }
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
        "normalized_l1" => "Absolute error (normalised)",
        "normalized_l2" => "Squared error (normalised)",
        "spec_l1" => "Absolute error (magnitudes)",
        "spec_l2" => "Squared error (magnitudes)",
        "spec_sc" => "Spectral convergence (relative)",
        "spec_log" => "Error of log magnitudes",
        "itakura_saito" => "Itakura-Saito divergence (power)",
        "spec_a_weighted" => "A-weighted absolute error (magnitudes)",
        "spec_mel" => "Error of log magnitudes in mel bands",
        "multi_resolution_stft" => "Multi-resolution STFT loss (sounds)",
        "esr" => "Error-to-signal ratio after pre-emphasis (sounds)",
        "dc" => "Offset (sounds)",
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
            stage.network(&experiment),
            stage.about(&experiment)
        )
    }

    #[test]
    fn everything_that_decides_on_parameters_is_named_and_nothing_else() {
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
                "2 small networks read the spectrogram directly (all bins; every band of 24 bins with the same weights)",
            ),
            (
                0,
                "bands=[{bins=0,step=1,channels=[8]}]",
                "encoder, band networks, and heads",
            ),
            (1, "shift_frames=7", "start up to 7 frames earlier or later"),
            (2, "heads.hidden=96", "a hidden layer of 96"),
            (
                3,
                "heads.dropout=0.25",
                "25\u{202f}% of the last layer's inputs",
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
        // A frozen encoder has no band networks, and no rate.
        let frozen = about_heads(&["encoder=frozen", "encoder_lr=0.2"]);
        assert!(frozen.contains("which is frozen"), "{frozen}");
        assert!(
            !frozen.contains("network") && !frozen.contains("times their"),
            "{frozen}"
        );
    }
}
