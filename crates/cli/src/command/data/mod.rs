//! `inversynth data`: looks at sounds before training on them.

mod check;
mod npy;
mod spectrogram;
mod stats;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum DataCommand {
    /// List what can be used of a folder or list of sounds, and what can't and why
    ///
    /// Peaks and clipping are those of the channels; "clipped" means three or more neighbouring samples of
    /// one sign at full scale (32767/32768). "silent" is said of the mean of the channels, which is what
    /// models are given; "same as" means that this mean has equal samples at an equal rate.
    Check(check::CheckArguments),
    /// Show how long and how loud sounds are, and how they are split, cut and normalised
    ///
    /// Levels are the root mean square of the mean of the channels: a sine at full scale has -3 dBFS.
    /// Sounds that would be cut or padded are counted after resampling to data.clip.sample_rate_hz.
    Stats(stats::StatsArguments),
    /// Draw or export the log1p magnitude spectrogram of a whole file
    ///
    /// The file is decoded, mixed to mono and resampled to data.clip.sample_rate_hz; nothing is cut off,
    /// padded or normalised. Existing files are never replaced.
    Spectrogram(spectrogram::SpectrogramArguments),
}

pub fn run(command: &DataCommand) -> anyhow::Result<()> {
    match command {
        DataCommand::Check(arguments) => check::run(arguments),
        DataCommand::Stats(arguments) => stats::run(arguments),
        DataCommand::Spectrogram(arguments) => spectrogram::run(arguments),
    }
}

/// Decibels relative to full scale, 1; none for silence.
fn dbfs(amplitude: f32) -> Option<f64> {
    (amplitude > 0.0).then(|| 20.0 * f64::from(amplitude).log10())
}
