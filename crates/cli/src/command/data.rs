//! `inversynth data`: looks at sounds before training on them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use stft_data::{FolderSource, SoundFile};

use crate::command::run::ExperimentArguments;
use crate::print;

#[derive(Subcommand)]
pub enum DataCommand {
    /// List what can be used in a directory of sounds, and what can't and why
    Check {
        /// Directory, searched recursively
        dir: PathBuf,
        #[command(flatten)]
        experiment: ExperimentArguments,
    },
}

pub fn run(command: &DataCommand) -> anyhow::Result<()> {
    match command {
        DataCommand::Check { dir, experiment } => check(dir, experiment),
    }
}

fn check(dir: &Path, experiment: &ExperimentArguments) -> anyhow::Result<()> {
    let limits = experiment.load(None)?.data.decode;
    let folder = FolderSource::open(dir, &limits)?;
    let files = folder.files();
    let rejected = folder.rejected();
    let mut lines: Vec<String> = files.iter().map(line).collect();
    let reasons = rejected
        .iter()
        .map(|rejected| format!("rejected {}: {}", rejected.path.display(), rejected.reason));
    lines.extend(reasons);
    let seconds: f32 = files.iter().map(|file| file.seconds).sum();
    lines.push(format!(
        "{} files used, {seconds:.1} s in all; {} rejected, {} silent, {} skipped as no sound",
        files.len(),
        rejected.len(),
        files.iter().filter(|file| file.silent).count(),
        folder.skipped()
    ));
    let rates = counts(files, |file| format!("{} Hz", file.sample_rate_hz));
    lines.push(format!("sampling rates: {rates}"));
    let channels = counts(files, |file| file.channels.to_string());
    lines.push(format!("channels: {channels}"));
    print(lines.join("\n"))
}

fn line(file: &SoundFile) -> String {
    let mut line = format!(
        "{:8.3} s {:6} Hz {:2} ch  {}",
        file.seconds,
        file.sample_rate_hz,
        file.channels,
        file.path.display()
    );
    if file.silent {
        line.push_str("  (silent)");
    }
    if file.damaged_packets > 0 {
        line.push_str(&format!(
            "  ({} damaged packets left out)",
            file.damaged_packets
        ));
    }
    line
}

/// `value (files)` for each distinct value.
fn counts(files: &[SoundFile], value: impl Fn(&SoundFile) -> String) -> String {
    let mut counts = BTreeMap::<String, usize>::new();
    for file in files {
        *counts.entry(value(file)).or_default() += 1;
    }
    counts
        .iter()
        .map(|(value, count)| format!("{value} ({count})"))
        .collect::<Vec<_>>()
        .join(", ")
}
