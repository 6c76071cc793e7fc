//! `inversynth data`: examines sounds before training on them.

mod check;
mod npy;
mod spectrogram;
mod stats;

use clap::Subcommand;

#[derive(Subcommand)]
pub enum DataCommand {
    /// List the usable sounds of a folder or list, and the rejected ones with reasons
    ///
    /// Peaks and clipping are those of the channels. "clipped" means three or more samples of one sign in a
    /// row at full scale (32767/32768). "silent" refers to the mean of the channels, which is the input of
    /// models. "same as" means that this mean has equal samples at an equal rate.
    Check(check::CheckArguments),
    /// Show lengths and levels of sounds, and how they are split, cut and normalised
    ///
    /// Levels are the root mean square of the mean of the channels: a sine at full scale has -3 dBFS.
    /// Whether a sound is cut or padded is decided after resampling to data.clip.sample_rate_hz.
    Stats(stats::StatsArguments),
    /// Draw or export the log1p magnitude spectrogram of a whole file
    ///
    /// The file is decoded, mixed to mono and resampled to data.clip.sample_rate_hz. It is not cut, padded
    /// or normalised. Existing files are never replaced.
    Spectrogram(spectrogram::SpectrogramArguments),
}

pub fn run(command: &DataCommand) -> anyhow::Result<()> {
    match command {
        DataCommand::Check(arguments) => check::run(arguments),
        DataCommand::Stats(arguments) => stats::run(arguments),
        DataCommand::Spectrogram(arguments) => spectrogram::run(arguments),
    }
}

/// Decibels relative to full scale, which is 1; none for silence.
fn dbfs(amplitude: f32) -> Option<f64> {
    (amplitude > 0.0).then(|| 20.0 * f64::from(amplitude).log10())
}
