//! `inversynth data`: looks at sounds before training on them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use stft_data::{FolderSource, SoundFile};
use trainer::Experiment;

#[derive(Subcommand)]
pub enum DataCommand {
    /// List what can be used in a directory of sounds, and what can't and why
    Check {
        /// Directory, searched recursively
        dir: PathBuf,
    },
}

pub fn run(command: &DataCommand) -> anyhow::Result<()> {
    match command {
        DataCommand::Check { dir } => check(dir),
    }
}

fn check(dir: &Path) -> anyhow::Result<()> {
    let limits = Experiment::load(None, &[])?.data.decode;
    let folder = FolderSource::open(dir, &limits)?;
    for file in folder.files() {
        println!("{}", line(file));
    }
    for rejected in folder.rejected() {
        println!("rejected {}: {}", rejected.path.display(), rejected.reason);
    }
    let files = folder.files();
    let seconds: f32 = files.iter().map(|file| file.seconds).sum();
    let silent = files.iter().filter(|file| file.silent).count();
    println!(
        "{} files used, {seconds:.1} s in all; {} rejected, {} silent, {} skipped as no sound",
        files.len(),
        folder.rejected().len(),
        silent,
        folder.skipped()
    );
    println!(
        "sampling rates: {}",
        counts(files, |file| format!("{} Hz", file.sample_rate_hz))
    );
    println!(
        "channels: {}",
        counts(files, |file| file.channels.to_string())
    );
    Ok(())
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
