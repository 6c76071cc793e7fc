use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::case::Case;
use crate::seeds::seeds;
use crate::trial::{MAX_BYTES, MAX_SECONDS, Outcome, Trial};

/// What came of a run.
#[derive(Debug, Default)]
pub struct Summary {
    /// For each format, and "hand-made": how many files came to each end.
    pub groups: BTreeMap<String, BTreeMap<String, u64>>,
    /// Files that did harm.
    pub offences: Vec<Trial>,
    /// Files on which the decoder library panicked, was caught, and which were refused for it.
    pub caught_panics: Vec<Case>,
    /// The file that took longest.
    pub slowest: Option<Trial>,
    /// The file that took the most memory.
    pub largest: Option<Trial>,
    /// How long the run took.
    pub elapsed: Duration,
}

const USABLE: &str = "usable";
const OFFENCE: &str = "OFFENCE";
/// The variant of [`stft_data::Unusable`] that a caught panic ends as.
const CAUGHT: &str = "DecoderPanicked";
/// Most files that are named for one fact.
const NAMED: usize = 20;

impl Summary {
    /// Number of files.
    pub fn files(&self) -> u64 {
        self.groups.values().flat_map(BTreeMap::values).sum()
    }

    /// Number of files of a format that gave a sound.
    pub fn usable(&self, group: &str) -> u64 {
        self.count(group, USABLE)
    }

    /// Number of files of a format.
    pub fn total(&self, group: &str) -> u64 {
        self.groups.get(group).map_or(0, |ends| ends.values().sum())
    }

    fn count(&self, group: &str, end: &str) -> u64 {
        self.groups
            .get(group)
            .and_then(|ends| ends.get(end))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn add(&mut self, trial: Trial) {
        let end = match &trial.outcome {
            Outcome::Usable => USABLE,
            Outcome::Refused(reason) => reason,
            Outcome::Offence(_) => OFFENCE,
        };
        let ends = self.groups.entry(trial.group.clone()).or_default();
        *ends.entry(end.to_owned()).or_default() += 1;
        keep_greater(&mut self.slowest, &trial, |trial| trial.time);
        keep_greater(&mut self.largest, &trial, |trial| trial.peak_bytes);
        if trial.outcome == Outcome::Refused(CAUGHT.to_owned()) {
            self.caught_panics.push(trial.case);
        }
        if matches!(trial.outcome, Outcome::Offence(_)) {
            self.offences.push(trial);
        }
    }

    pub(crate) fn merge(&mut self, other: Summary) {
        for (group, ends) in other.groups {
            let own = self.groups.entry(group).or_default();
            for (end, count) in ends {
                *own.entry(end).or_default() += count;
            }
        }
        if let Some(trial) = other.slowest {
            keep_greater(&mut self.slowest, &trial, |trial| trial.time);
        }
        if let Some(trial) = other.largest {
            keep_greater(&mut self.largest, &trial, |trial| trial.peak_bytes);
        }
        self.offences.extend(other.offences);
        self.offences.sort_by_key(|trial| trial.case);
        self.caught_panics.extend(other.caught_panics);
        self.caught_panics.sort();
    }
}

fn keep_greater<T: Ord>(kept: &mut Option<Trial>, trial: &Trial, by: impl Fn(&Trial) -> T) {
    if kept.as_ref().is_none_or(|kept| by(trial) > by(kept)) {
        *kept = Some(trial.clone());
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<22} {:>7} {:>7}  refused",
            "format", "files", "usable"
        )?;
        let names = seeds().iter().map(|seed| seed.name).chain(["hand-made"]);
        for group in names.filter(|name| self.groups.contains_key(*name)) {
            let refused: Vec<String> = self.groups[group]
                .iter()
                .filter(|(end, _)| *end != USABLE)
                .map(|(end, count)| format!("{end} {count}"))
                .collect();
            let (total, usable) = (self.total(group), self.usable(group));
            writeln!(
                out,
                "{group:<22} {total:>7} {usable:>7}  {}",
                refused.join(", ")
            )?;
        }
        if let Some(trial) = &self.slowest {
            let ms = trial.time.as_secs_f32() * 1e3;
            writeln!(
                out,
                "slowest: {ms:.0} ms, file {} ({})",
                trial.case, trial.description
            )?;
        }
        if let Some(trial) = &self.largest {
            let mib = trial.peak_bytes as f32 / (1 << 20) as f32;
            writeln!(
                out,
                "most memory: {mib:.1} MiB, file {} ({})",
                trial.case, trial.description
            )?;
        }
        writeln!(
            out,
            "{} files in {:.0} s",
            self.files(),
            self.elapsed.as_secs_f32()
        )?;
        let caught = self.caught_panics.len();
        if caught > 0 {
            let names: Vec<String> = self
                .caught_panics
                .iter()
                .take(NAMED)
                .map(ToString::to_string)
                .collect();
            let more = match caught.saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            writeln!(
                out,
                "panics caught in the decoders: {caught}, files {}{more}",
                names.join(", ")
            )?;
        }
        if self.offences.is_empty() {
            return write!(
                out,
                "no panic outside the decoders, {caught} caught in them, none above {MAX_SECONDS} s, none above {} MiB",
                MAX_BYTES >> 20
            );
        }
        write!(out, "{} offences:", self.offences.len())?;
        for trial in &self.offences {
            if let Outcome::Offence(what) = &trial.outcome {
                write!(
                    out,
                    "\n  file {}: {what} ({})",
                    trial.case, trial.description
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(number: u64, outcome: Outcome) -> Trial {
        Trial {
            case: Case::Mutated(number),
            group: "FLAC".to_owned(),
            description: "a test".to_owned(),
            outcome,
            time: Duration::ZERO,
            peak_bytes: 0,
        }
    }

    #[test]
    fn a_panic_that_was_caught_is_told_with_its_file() {
        let refused = |reason: &str| Outcome::Refused(reason.to_owned());
        let mut summary = Summary::default();
        summary.add(trial(7, refused("DecoderPanicked")));
        summary.add(trial(8, refused("NoFrames")));
        let mut other = Summary::default();
        other.add(trial(3, refused("DecoderPanicked")));
        summary.merge(other);
        let text = summary.to_string();
        for part in [
            "panics caught in the decoders: 2, files 3, 7\n",
            "no panic outside the decoders, 2 caught in them, none above",
        ] {
            assert!(text.contains(part), "no {part:?} in: {text}");
        }
    }
}
