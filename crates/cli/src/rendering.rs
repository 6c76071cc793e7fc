//! What the embedded synthesizer makes of parameters, beside the sound that they were estimated from.

use std::collections::BTreeMap;

use matching::Panel;
use params::Patch;
use stft_data::{Audio, resample};

/// Distances by name, as `compare` has them.
pub type Distances = BTreeMap<&'static str, f64>;

/// Renders `patch` as long as `sound` at the panel's rate.
pub fn render_as_long_as(
    sound: &Audio,
    patch: &Patch,
    panel: &Panel,
) -> anyhow::Result<(Audio, Distances)> {
    let sample_rate_hz = panel.sample_rate_hz();
    let target = resample(sound, sample_rate_hz)?;
    let mut samples = vec![0.0; target.samples.len()];
    synth::render(patch, sample_rate_hz, &mut samples)?;
    let rendered = Audio {
        samples,
        sample_rate_hz,
    };
    let score = panel.score(&target, &rendered)?;
    let distances = BTreeMap::from([
        ("mss", score.mss),
        ("wmfcc", score.wmfcc),
        ("sot", score.sot),
        ("rms_cosine", score.rms_cosine),
        ("logmel_l1", score.logmel_l1),
    ]);
    Ok((rendered, distances))
}
