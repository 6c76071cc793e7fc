//! `inversynth data check`: lists usable sounds, rejected ones with reasons, and suspicious ones.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use stft_data::{DataError, FileSource, Fingerprint, Rejected, SoundFile, printable};

use super::dbfs;
use crate::command::experiment::ExperimentArguments;
use crate::print;

/// A sound with a peak below this counts as silent: the noise of 14 bits.
const QUIET_DBFS: f64 = -80.0;

#[derive(Args)]
pub struct CheckArguments {
    /// Folder, searched recursively, list of sounds, or a single sound
    path: PathBuf,
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &CheckArguments) -> anyhow::Result<()> {
    let (config, _) = arguments.experiment.load_data()?;
    let show = |files: &[SoundFile], rejected: &[Rejected], skipped: Option<usize>| {
        let checked = Checked::new(files, rejected, skipped);
        match arguments.json {
            true => print(format_args!("{:#}", checked.json())),
            false => print(checked.text()),
        }
    };
    match FileSource::open(&arguments.path, &config.decode) {
        Ok(source) => show(source.files(), source.rejected(), Some(source.skipped())),
        Err(error) => {
            // The error names only the first few files.
            if let DataError::AllRejected { rejected, .. } = &error {
                show(&[], rejected, None)?;
            }
            Err(error.into())
        }
    }
}

struct Checked<'a> {
    files: Vec<Row<'a>>,
    rejected: &'a [Rejected],
    /// Number of files that are no sounds, if they were counted.
    skipped: Option<usize>,
}

struct Row<'a> {
    file: &'a SoundFile,
    peak_dbfs: Option<f64>,
    /// The first file with equal content, if it isn't this one.
    duplicate_of: Option<&'a Path>,
}

impl<'a> Checked<'a> {
    fn new(
        files: &'a [SoundFile],
        rejected: &'a [Rejected],
        skipped: Option<usize>,
    ) -> Checked<'a> {
        let mut first = HashMap::<Fingerprint, &Path>::new();
        let rows = files.iter().map(|file| {
            let path = file.path.as_path();
            let original = *first.entry(file.fingerprint).or_insert(path);
            Row {
                file,
                peak_dbfs: dbfs(file.peak),
                duplicate_of: (original != path).then_some(original),
            }
        });
        Checked {
            files: rows.collect(),
            rejected,
            skipped,
        }
    }

    fn count(&self, holds: impl Fn(&Row<'a>) -> bool) -> usize {
        self.files.iter().filter(|row| holds(row)).count()
    }

    fn seconds(&self) -> f64 {
        // The sum of nothing is -0.
        self.files.iter().map(Row::seconds).sum::<f64>() + 0.0
    }

    fn peak_dbfs(&self) -> Option<f64> {
        let peaks = self.files.iter().filter_map(|row| row.peak_dbfs);
        peaks.max_by(f64::total_cmp)
    }

    fn text(&self) -> String {
        let mut lines: Vec<String> = self.files.iter().map(Row::line).collect();
        let reasons = self.rejected.iter().map(|rejected| {
            format!(
                "rejected {}: {}",
                printable(&rejected.path),
                rejected.reason
            )
        });
        lines.extend(reasons);
        let skipped = match self.skipped {
            Some(skipped) => format!(", {skipped} skipped (not sound files)"),
            None => String::new(),
        };
        lines.push(format!(
            "{} used, {:.1} s in all; {} rejected{skipped}",
            files(self.files.len()),
            self.seconds(),
            self.rejected.len()
        ));
        lines.push(format!(
            "silent: {} all zero, {} below {QUIET_DBFS} dBFS; clipped: {}; duplicates: {}; with damaged packets: {}; truncated: {}",
            self.count(|row| row.file.silent),
            self.count(Row::quiet),
            self.count(Row::clipped),
            self.count(|row| row.duplicate_of.is_some()),
            self.count(|row| row.file.damaged_packets > 0),
            self.count(|row| row.file.truncated),
        ));
        if let Some(peak) = self.peak_dbfs() {
            lines.push(format!("highest peak: {peak:.1} dBFS"));
        }
        for (name, counts) in [
            ("sampling rates (Hz)", self.rates()),
            ("channels", self.channels()),
        ] {
            let counts: Vec<String> = counts
                .iter()
                .map(|(value, &count)| format!("{value} in {}", files(count)))
                .collect();
            if !counts.is_empty() {
                lines.push(format!("{name}: {}", counts.join(", ")));
            }
        }
        lines.join("\n")
    }

    fn json(&self) -> Value {
        let rejected = self.rejected.iter().map(|rejected| {
            json!({
                "path": text(&rejected.path),
                "reason": rejected.reason.to_string(),
            })
        });
        let counts = |counts: BTreeMap<usize, usize>| -> Value {
            let text = |(value, files): (usize, usize)| (value.to_string(), Value::from(files));
            Value::Object(counts.into_iter().map(text).collect())
        };
        json!({
            "files": self.files.iter().map(Row::json).collect::<Vec<_>>(),
            "rejected": rejected.collect::<Vec<_>>(),
            "totals": {
                "files": self.files.len(),
                "rejected": self.rejected.len(),
                "skipped": self.skipped,
                "seconds": self.seconds(),
                "peak_dbfs": self.peak_dbfs(),
                "all_zero": self.count(|row| row.file.silent),
                "below_minus_80_dbfs": self.count(Row::quiet),
                "clipped": self.count(Row::clipped),
                "duplicates": self.count(|row| row.duplicate_of.is_some()),
                "with_damaged_packets": self.count(|row| row.file.damaged_packets > 0),
                "truncated": self.count(|row| row.file.truncated),
                "files_by_sample_rate_hz": counts(self.rates()),
                "files_by_channels": counts(self.channels()),
            },
        })
    }

    fn rates(&self) -> BTreeMap<usize, usize> {
        self.counts(|file| file.sample_rate_hz as usize)
    }

    fn channels(&self) -> BTreeMap<usize, usize> {
        self.counts(|file| file.channels)
    }

    /// Number of files per value.
    fn counts(&self, value: impl Fn(&SoundFile) -> usize) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for row in &self.files {
            *counts.entry(value(row.file)).or_default() += 1;
        }
        counts
    }
}

impl Row<'_> {
    fn seconds(&self) -> f64 {
        self.file.samples as f64 / f64::from(self.file.sample_rate_hz)
    }

    fn quiet(&self) -> bool {
        self.peak_dbfs.is_some_and(|peak| peak < QUIET_DBFS)
    }

    fn clipped(&self) -> bool {
        self.file.clipped_samples > 0
    }

    fn silence(&self) -> Option<String> {
        if self.file.silent && self.file.peak > 0.0 {
            return Some("its channels cancel each other".to_owned());
        }
        if self.file.silent {
            return Some("all zero".to_owned());
        }
        self.quiet().then(|| format!("below {QUIET_DBFS} dBFS"))
    }

    fn line(&self) -> String {
        let file = self.file;
        let peak = match self.peak_dbfs {
            Some(peak) => format!("{peak:6.1}"),
            None => "  -inf".to_owned(),
        };
        let mut line = format!(
            "{:8.3} s {:6} Hz {:2} ch {peak} dBFS  {}",
            self.seconds(),
            file.sample_rate_hz,
            file.channels,
            printable(&file.path)
        );
        if let Some(silence) = self.silence() {
            line.push_str(&format!("  (silent: {silence})"));
        }
        if self.clipped() {
            line.push_str(&format!("  (clipped: {} samples)", file.clipped_samples));
        }
        if let Some(original) = self.duplicate_of {
            line.push_str(&format!("  (same as {})", printable(original)));
        }
        if file.truncated {
            line.push_str("  (truncated: it ends before its sound)");
        }
        if file.damaged_packets > 0 {
            line.push_str(&format!(
                "  ({} damaged packets skipped)",
                file.damaged_packets
            ));
        }
        if file.packets_at_another_rate > 0 {
            line.push_str(&format!(
                "  ({} packets at another rate skipped)",
                file.packets_at_another_rate
            ));
        }
        line
    }

    fn json(&self) -> Value {
        json!({
            "path": text(&self.file.path),
            "seconds": self.seconds(),
            "sample_rate_hz": self.file.sample_rate_hz,
            "channels": self.file.channels,
            "peak_dbfs": self.peak_dbfs,
            "silent": self.silence(),
            "clipped": self.clipped(),
            "clipped_samples": self.file.clipped_samples,
            "duplicate_of": self.duplicate_of.map(text),
            "damaged_packets": self.file.damaged_packets,
            "truncated": self.file.truncated,
            "packets_at_another_rate": self.file.packets_at_another_rate,
        })
    }
}

fn files(count: usize) -> String {
    match count {
        1 => "1 file".to_owned(),
        _ => format!("{count} files"),
    }
}

/// The path for programs, unchanged. One that is not UTF-8 is escaped.
fn text(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => printable(path).to_string(),
    }
}
