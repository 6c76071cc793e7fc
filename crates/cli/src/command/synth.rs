//! `inversynth synth`: uses the embedded synthesizer.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use params::{ManifestRow, SynthDescription};
use synth::Voice;

use crate::print;

#[derive(Subcommand)]
pub enum SynthCommand {
    /// Write random patches as WAV files, with the settings that made them
    Render(RenderArguments),
}

#[derive(Args)]
pub struct RenderArguments {
    /// Which voice: subtractive or fm
    #[arg(long, default_value_t = Voice::Subtractive)]
    voice: Voice,
    /// Number of patches
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Directory to write to; it must be empty or not exist
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seed of the random patches; patch i depends on the seed and i alone
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Length of each sound
    #[arg(long, default_value_t = 1.0)]
    seconds: f32,
    /// Samples per second, in Hz
    #[arg(long, default_value_t = 16_384, value_parser = clap::value_parser!(u32).range(4_000..=192_000))]
    sample_rate_hz: u32,
}

pub fn run(command: &SynthCommand) -> anyhow::Result<()> {
    match command {
        SynthCommand::Render(arguments) => render(arguments),
    }
}

fn render(arguments: &RenderArguments) -> anyhow::Result<()> {
    let rate = arguments.sample_rate_hz;
    if !(arguments.seconds > 0.0 && arguments.seconds <= 600.0) {
        bail!(
            "--seconds {}: expected a length from above 0 to 600 s",
            arguments.seconds
        );
    }
    let length = (arguments.seconds * rate as f32).round() as usize;
    if length == 0 {
        bail!(
            "--seconds {}: expected at least one sample",
            arguments.seconds
        );
    }
    claim(&arguments.out)?;
    let description = arguments.voice.describe(rate);
    let json = serde_json::to_string_pretty(&description)?;
    write(&arguments.out.join("params.json"), json.as_bytes())?;

    let path = arguments.out.join("manifest.jsonl");
    let file =
        fs::File::create(&path).with_context(|| format!("can't write {}", path.display()))?;
    let mut manifest = BufWriter::new(file);
    let mut samples = vec![0.0; length];
    for index in 0..arguments.count {
        let row = render_one(arguments, &description, index, &mut samples)?;
        writeln!(manifest, "{}", serde_json::to_string(&row)?)?;
    }
    manifest.flush()?;
    print(format_args!(
        "{} sounds of {} s at {rate} Hz, manifest.jsonl and params.json in {}",
        arguments.count,
        arguments.seconds,
        arguments.out.display()
    ))
}

/// Writes sound `index` and returns its row of the manifest.
fn render_one(
    arguments: &RenderArguments,
    description: &SynthDescription,
    index: u64,
    samples: &mut [f32],
) -> anyhow::Result<ManifestRow> {
    let patch = arguments.voice.draw(arguments.seed, index);
    arguments
        .voice
        .render(&patch, description.sample_rate, samples)?;
    let pcm = synth::pcm16(samples);
    let name = format!("audio/{index:05}.wav");
    let wav = trainer::wav_file(&pcm, description.sample_rate);
    write(&arguments.out.join(&name), &wav)?;
    let vector = description.params.encode(&patch)?;
    Ok(ManifestRow::new(name, &pcm, description, &vector)?)
}

/// Makes the directory, and refuses one that holds anything: nothing is overwritten.
fn claim(out: &Path) -> anyhow::Result<()> {
    if let Ok(mut entries) = fs::read_dir(out)
        && entries.next().is_some()
    {
        bail!("{} is not empty; choose another --out", out.display());
    }
    let audio = out.join("audio");
    fs::create_dir_all(&audio).with_context(|| format!("can't make {}", audio.display()))
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("can't write {}", path.display()))
}
