//! Short texts about settings, for people.

use stft_data::{MaskConfig, MaskStrategy};

use crate::settings::spectral::SpectralSettings;

/// What every test stage does.
pub(crate) const TEST: &str = "The trained model, the one it was initialised from and the mean spectrogram of the training sounds, on sounds that no stage was trained on or selected by.";

/// What a mask hides: `45 % of the 5 × 5 patches (bins × frames), at random`.
pub fn mask(mask: &MaskConfig) -> String {
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
        MaskStrategy::Time => "as whole frames",
        MaskStrategy::Frequency => "as whole frequency bands",
    };
    format!("{ratio} of the {patch_bins} × {patch_frames} patches (bins × frames), {how}")
}

/// A share as per cent, on one line with its sign: `45 %`, `62.4 %`.
pub fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    let text = format!("{percent:.1}");
    format!("{}\u{202f}%", text.trim_end_matches(".0"))
}

/// The end of a sentence about a loss with these distances.
pub(crate) fn spectral(settings: SpectralSettings) -> String {
    let mut text = match settings.composite_weight {
        0.0 => String::new(),
        weight => format!(
            ", plus {weight} times a weighted sum of distances between whole spectrograms of magnitudes"
        ),
    };
    let waveform = settings.waveform;
    for (weight, name) in [
        (
            waveform.multi_resolution_stft,
            "the multi-resolution STFT loss",
        ),
        (waveform.esr, "the error-to-signal ratio"),
        (waveform.dc, "the offset"),
    ] {
        if weight > 0.0 {
            text += &format!(", plus {weight} times {name} of the sounds");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_at_most_one_digit_after_the_point() {
        assert_eq!(
            [0.45, 0.624, 1.0, 0.0].map(percent),
            ["45\u{202f}%", "62.4\u{202f}%", "100\u{202f}%", "0\u{202f}%"]
        );
    }
}
