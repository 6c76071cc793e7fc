//! `inversynth data spectrogram`: the spectrogram of a file, as a picture or an array.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use stft_data::{DataConfig, Spectrogram, Stft, decode_file, log1p, resample};
use trainer::{Axes, Panel, draw_panels};

use super::npy::npy;
use crate::command::experiment::ExperimentArguments;
use crate::print;

/// Most columns and rows of a picture. With its margins it stays below 4,000 pixels.
const MAX_PIXELS: usize = 3_800;

#[derive(Args)]
pub struct SpectrogramArguments {
    /// Sound file
    file: PathBuf,
    /// Draw a picture
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Write a NumPy array, float32 [bins, frames]
    #[arg(long, value_name = "FILE")]
    npy: Option<PathBuf>,
    #[command(flatten)]
    experiment: ExperimentArguments,
}

pub fn run(arguments: &SpectrogramArguments) -> anyhow::Result<()> {
    let (config, _) = arguments.experiment.load_data()?;
    let outputs: Vec<&Path> = [&arguments.png, &arguments.npy]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    for path in &outputs {
        if path.symlink_metadata().is_ok() {
            bail!(already_there(path));
        }
    }
    if let [png, npy] = outputs[..]
        && same_place(png, npy)
    {
        bail!("--png and --npy are both {}; name two files", png.display());
    }

    let sound = decode_file(&arguments.file, &config.decode)?;
    let resampled = resample(&sound, config.clip.sample_rate_hz)?;
    let mut spectrogram = Stft::new(&config.stft)?.magnitude(&resampled.samples);
    for value in &mut spectrogram.values {
        *value = log1p(*value);
    }
    let Spectrogram {
        bins,
        frames,
        values,
    } = &spectrogram;
    let (low, high) = range(values);
    let mut lines = vec![
        format!("{bins} bins x {frames} frames of log1p magnitude, from {low:.6} to {high:.6}"),
        format!(
            "{:.3} s at {} Hz, decoded from {} Hz; n_fft {}, hop {} samples",
            resampled.seconds(),
            resampled.sample_rate_hz,
            sound.sample_rate_hz,
            config.stft.n_fft,
            config.stft.hop_length
        ),
    ];
    if let Some(path) = &arguments.png {
        let (bytes, note) = picture(&spectrogram, &config, &arguments.file);
        create(path, &bytes)?;
        lines.push(format!("picture in {}{note}", path.display()));
    }
    if let Some(path) = &arguments.npy {
        create(path, &npy(values, [*bins, *frames]))?;
        lines.push(format!("array in {}", path.display()));
    }
    print(lines.join("\n"))
}

/// Draws a PNG. The second value describes how the values were reduced, if they were.
fn picture(spectrogram: &Spectrogram, config: &DataConfig, file: &Path) -> (Vec<u8>, String) {
    let per_column = spectrogram.frames.div_ceil(MAX_PIXELS);
    let per_row = spectrogram.bins.div_ceil(MAX_PIXELS);
    let drawn = reduced(spectrogram, per_row, per_column);
    let note = match (per_row, per_column) {
        (1, 1) => String::new(),
        (1, frames) => format!("; each column is the largest of {frames} frames"),
        (bins, frames) => {
            format!("; each pixel is the largest of {bins} bins and {frames} frames")
        }
    };
    let name = file.file_name().unwrap_or(file.as_os_str());
    let rate_hz = config.clip.sample_rate_hz as f32;
    let axes = Axes {
        max_hz: ((drawn.bins - 1) * per_row) as f32 * rate_hz / config.stft.n_fft as f32,
        max_s: ((drawn.frames - 1) * per_column * config.stft.hop_length) as f32 / rate_hz,
    };
    let panel = Panel {
        title: format!("{}, log1p magnitude{note}", name.display()),
        bins: drawn.bins,
        frames: drawn.frames,
        range: (0.0, range(&drawn.values).1),
        values: drawn.values.into_iter().map(Some).collect(),
    };
    (draw_panels(&[vec![panel]], axes).to_png(), note)
}

/// Keeps the largest value of each block, so that a short sound in a long file stays visible.
fn reduced(spectrogram: &Spectrogram, per_row: usize, per_column: usize) -> Spectrogram {
    let bins = spectrogram.bins.div_ceil(per_row);
    let frames = spectrogram.frames.div_ceil(per_column);
    let mut values = vec![f32::NEG_INFINITY; bins * frames];
    for (bin, row) in spectrogram
        .values
        .chunks_exact(spectrogram.frames)
        .enumerate()
    {
        for (frame, &value) in row.iter().enumerate() {
            let cell = &mut values[bin / per_row * frames + frame / per_column];
            *cell = cell.max(value);
        }
    }
    Spectrogram {
        values,
        bins,
        frames,
    }
}

fn range(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
            (low.min(value), high.max(value))
        })
}

/// Writes a new file, and never replaces one, not even one that was created in the meantime.
fn create(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(already_there(path)),
        opened => opened.with_context(|| format!("can't write {}", path.display()))?,
    };
    file.write_all(bytes)
        .with_context(|| format!("can't write {}", path.display()))
}

/// Whether two paths of files that don't exist yet are the same file.
fn same_place(one: &Path, other: &Path) -> bool {
    let parent = |path: &Path| {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        parent.canonicalize().unwrap_or(parent.to_owned())
    };
    one.file_name() == other.file_name() && parent(one) == parent(other)
}

fn already_there(path: &Path) -> String {
    format!(
        "{} exists already; name another file, or remove it",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reducing_keeps_the_largest_of_each_block_and_the_rest_at_the_end() {
        let spectrogram = Spectrogram {
            values: vec![1.0, 5.0, 2.0, 0.0, 9.0, 3.0, 4.0, 7.0, 8.0, 6.0],
            bins: 2,
            frames: 5,
        };
        let columns = reduced(&spectrogram, 1, 2);
        assert_eq!((columns.bins, columns.frames), (2, 3));
        assert_eq!(columns.values, [5.0, 2.0, 9.0, 4.0, 8.0, 6.0]);
        let both = reduced(&spectrogram, 2, 3);
        assert_eq!(both.values, [7.0, 9.0]);
        assert_eq!(reduced(&spectrogram, 1, 1), spectrogram);
    }

    #[test]
    fn a_file_that_was_created_in_the_meantime_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tone.npy");
        create(&path, b"first").unwrap();
        let error = create(&path, b"second").unwrap_err();
        assert!(error.to_string().contains("exists already"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
        let nowhere = create(&directory.path().join("no/tone.npy"), b"").unwrap_err();
        assert!(nowhere.to_string().contains("can't write"), "{nowhere}");
    }
}
