//! `inversynth data stats`: lengths and levels of sounds, and how they are split, cut and normalised.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};
use stft_data::{DataConfig, Dataset, FileSource, Normalization, SoundFile, Split};

use super::dbfs;
use crate::command::experiment::ExperimentArguments;
use crate::print;

/// Characters of the longest bar.
const BAR: usize = 40;
/// Width of a class of levels.
const LEVEL_STEP_DB: i32 = 6;

#[derive(Args)]
pub struct StatsArguments {
    /// Folder, searched recursively, list of sounds, or a single sound
    path: PathBuf,
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &StatsArguments) -> anyhow::Result<()> {
    let (config, seed) = arguments.experiment.load_data()?;
    let source = Arc::new(FileSource::open(&arguments.path, &config.decode)?);
    let dataset = Dataset::open(source.clone(), &config, seed);
    let stats = Stats {
        files: source.files().len(),
        rejected: source.rejected().len(),
        lengths: lengths(source.files()),
        levels: levels(source.files()),
        fit: Fit::of(source.files(), &config),
        config: &config,
        dataset: dataset.as_ref().ok(),
    };
    match arguments.json {
        true => print(format_args!("{:#}", stats.json()))?,
        false => print(stats.text())?,
    }
    // Lengths and levels are printed even if the sounds can't be split or normalised.
    dataset.map(|_| ()).map_err(Into::into)
}

struct Stats<'a> {
    files: usize,
    rejected: usize,
    lengths: Vec<Class>,
    levels: Vec<Class>,
    fit: Fit,
    config: &'a DataConfig,
    /// None if the sounds can't be split or normalised.
    dataset: Option<&'a Dataset>,
}

impl Stats<'_> {
    fn text(&self) -> String {
        let config = self.config;
        let mut lines = vec![format!(
            "{} files used, {} rejected",
            self.files, self.rejected
        )];
        lines.push("length".to_owned());
        lines.extend(bars(&self.lengths, "s"));
        lines.push("level (RMS)".to_owned());
        lines.extend(bars(&self.levels, "dBFS"));
        if let Some(dataset) = self.dataset {
            let [train, valid, test] = sizes(dataset);
            lines.push(format!(
                "split: {train} training, {valid} validation, {test} test"
            ));
            let Normalization { mean, std } = dataset.normalization();
            lines.push(format!(
                "log1p magnitudes of the training split: mean {mean:.6}, standard deviation {std:.6}"
            ));
        }
        let Fit {
            cut,
            frames_cut,
            padded,
            frames_padded,
            exact,
        } = self.fit;
        lines.push(format!(
            "clips of {} s at {} Hz, {} bins x {} frames: {cut} sounds are cut ({frames_cut} frames left \
             out per epoch), {padded} are padded ({frames_padded} frames of padding), {exact} fit",
            config.clip.seconds,
            config.clip.sample_rate_hz,
            config.bins(),
            config.frames()
        ));
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let config = self.config;
        let split = self.dataset.map(|dataset| {
            let [train, valid, test] = sizes(dataset);
            json!({ "train": train, "valid": valid, "test": test })
        });
        json!({
            "files": self.files,
            "rejected": self.rejected,
            "length_s": self.lengths.iter().map(Class::json).collect::<Vec<_>>(),
            "level_dbfs": self.levels.iter().map(Class::json).collect::<Vec<_>>(),
            "split": split,
            "normalization": self.dataset.map(Dataset::normalization),
            "clip": {
                "seconds": config.clip.seconds,
                "sample_rate_hz": config.clip.sample_rate_hz,
                "bins": config.bins(),
                "frames": config.frames(),
                "sounds_cut": self.fit.cut,
                "frames_cut": self.fit.frames_cut,
                "sounds_padded": self.fit.padded,
                "frames_padded": self.fit.frames_padded,
                "sounds_exact": self.fit.exact,
            },
        })
    }
}

/// Number of sounds in each split.
fn sizes(dataset: &Dataset) -> [usize; 3] {
    [Split::Train, Split::Valid, Split::Test].map(|split| dataset.indices(split).len())
}

/// Number of sounds and frames that are cut or padded to the length of a clip.
#[derive(Debug, Default, PartialEq)]
struct Fit {
    cut: usize,
    frames_cut: usize,
    padded: usize,
    frames_padded: usize,
    exact: usize,
}

impl Fit {
    fn of(files: &[SoundFile], config: &DataConfig) -> Fit {
        let mut fit = Fit::default();
        let clip = config.clip.samples();
        for file in files {
            let samples = file.samples_at(config.clip.sample_rate_hz);
            let frames = config.stft.frames(samples);
            if samples > clip {
                fit.cut += 1;
                fit.frames_cut += frames - config.frames();
            } else if samples < clip {
                fit.padded += 1;
                fit.frames_padded += config.frames() - frames;
            } else {
                fit.exact += 1;
            }
        }
        fit
    }
}

/// A class of a histogram: `from <= value < to`. The class without `from` is silence.
struct Class {
    from: Option<f64>,
    to: Option<f64>,
    files: usize,
}

impl Class {
    fn json(&self) -> Value {
        json!({ "from": self.from, "to": self.to, "files": self.files })
    }
}

/// Classes by factors of two, because lengths range from one-shots to loops.
fn lengths(files: &[SoundFile]) -> Vec<Class> {
    let seconds = |file: &SoundFile| file.samples as f64 / f64::from(file.sample_rate_hz);
    let octaves: Vec<i32> = files
        .iter()
        .map(|file| seconds(file).log2().floor() as i32)
        .collect();
    classes(&octaves, |octave| 2_f64.powi(octave))
}

fn levels(files: &[SoundFile]) -> Vec<Class> {
    let steps: Vec<i32> = files
        .iter()
        .filter_map(|file| dbfs(file.rms))
        .map(|level| (level / f64::from(LEVEL_STEP_DB)).floor() as i32)
        .collect();
    let mut levels = classes(&steps, |step| f64::from(step * LEVEL_STEP_DB));
    let silent = files.len() - steps.len();
    if silent > 0 {
        let class = Class {
            from: None,
            to: None,
            files: silent,
        };
        levels.insert(0, class);
    }
    levels
}

/// One class for each index from the lowest to the highest, including empty ones.
fn classes(indices: &[i32], start: impl Fn(i32) -> f64) -> Vec<Class> {
    let (Some(&low), Some(&high)) = (indices.iter().min(), indices.iter().max()) else {
        return Vec::new();
    };
    let class = |index| Class {
        from: Some(start(index)),
        to: Some(start(index + 1)),
        files: indices.iter().filter(|&&other| other == index).count(),
    };
    (low..=high).map(class).collect()
}

fn bars(classes: &[Class], unit: &str) -> Vec<String> {
    let most = classes.iter().map(|class| class.files).max().unwrap_or(1);
    let bar = |class: &Class| {
        let range = match (class.from, class.to) {
            (Some(from), Some(to)) => format!("{:>8} to {:>8} {unit}", short(from), short(to)),
            _ => "all zero".to_owned(),
        };
        // Rounded up, so that a single file among thousands is visible.
        let bar = "#".repeat((class.files * BAR).div_ceil(most));
        format!("  {range:<25} {:>7} {bar}", class.files)
            .trim_end()
            .to_owned()
    };
    classes.iter().map(bar).collect()
}

/// Formats a number with at most four decimals.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
