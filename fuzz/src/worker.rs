use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::case::Case;
use crate::drill::Drill;
use crate::examine::examine;
use crate::hand_made::hand_made;
use crate::trial::{Outcome, Trial, note_panics, try_out};

/// Examines files one after the other in this process and tells of each, on `out`, that it begins and
/// how it went: what a worker process does. Panics leave a note instead of a message from now on.
/// Returns how many files did harm.
///
/// # Errors
/// If a file can't be written, or there is no such case.
pub fn work(
    seed: u64,
    cases: impl Iterator<Item = Case>,
    drill: Option<Drill>,
    out: &mut impl Write,
) -> Result<usize> {
    note_panics();
    let mut offences = 0;
    let folder = tempfile::tempdir().context("can't make a temporary folder")?;
    // The name promises a sound, and leaves the format to the content.
    let path = folder.path().join("sound.wav");
    let thought_of = hand_made();
    for case in cases {
        let content = case
            .content(seed, &thought_of)
            .with_context(|| format!("there is no file `{case}`"))?;
        writeln!(
            out,
            "{}",
            begin_line(case, content.group, &content.description)
        )?;
        out.flush()?;
        std::fs::write(&path, &content.bytes)
            .with_context(|| format!("can't write {}", path.display()))?;
        let trial = try_out(case, &content, || {
            if let Some(drill) = drill.filter(|_| case == Case::Mutated(Drill::AT)) {
                drill.strike();
            }
            examine(folder.path())
        });
        offences += usize::from(matches!(trial.outcome, Outcome::Offence(_)));
        writeln!(out, "{}", end_line(&trial))?;
        out.flush()?;
    }
    Ok(offences)
}

/// What a worker says.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Begin {
        case: Case,
        group: String,
        description: String,
    },
    End {
        outcome: Outcome,
        time: Duration,
        peak_bytes: usize,
    },
}

fn begin_line(case: Case, group: &str, description: &str) -> String {
    format!("begin\t{case}\t{group}\t{description}")
}

fn end_line(trial: &Trial) -> String {
    let (kind, text) = match &trial.outcome {
        Outcome::Usable => ("usable", ""),
        Outcome::Refused(reason) => ("refused", reason.as_str()),
        Outcome::Offence(what) => ("offence", what.as_str()),
    };
    let text = text.replace(['\t', '\n'], " ");
    format!(
        "end\t{kind}\t{text}\t{}\t{}",
        trial.time.as_micros(),
        trial.peak_bytes
    )
}

/// # Errors
/// If it is nothing that a worker says.
pub(crate) fn parse(line: &str) -> Result<Line> {
    let parts: Vec<&str> = line.split('\t').collect();
    Ok(match parts[..] {
        ["begin", case, group, description] => Line::Begin {
            case: case.parse().map_err(anyhow::Error::msg)?,
            group: group.to_owned(),
            description: description.to_owned(),
        },
        ["end", kind, text, micros, peak_bytes] => Line::End {
            outcome: match kind {
                "usable" => Outcome::Usable,
                "refused" => Outcome::Refused(text.to_owned()),
                "offence" => Outcome::Offence(text.to_owned()),
                _ => bail!("a worker said `{line}`"),
            },
            time: Duration::from_micros(micros.parse()?),
            peak_bytes: peak_bytes.parse()?,
        },
        _ => bail!("a worker said `{line}`"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_says_is_understood() {
        let trial = Trial {
            case: Case::Mutated(12),
            group: "FLAC".to_owned(),
            description: "FLAC with a missing frame".to_owned(),
            outcome: Outcome::Offence("panic: at\ta place".to_owned()),
            time: Duration::from_micros(1_234),
            peak_bytes: 99,
        };
        assert_eq!(
            parse(&begin_line(trial.case, &trial.group, &trial.description)).unwrap(),
            Line::Begin {
                case: trial.case,
                group: trial.group.clone(),
                description: trial.description.clone()
            }
        );
        assert_eq!(
            parse(&end_line(&trial)).unwrap(),
            Line::End {
                outcome: Outcome::Offence("panic: at a place".to_owned()),
                time: trial.time,
                peak_bytes: 99
            }
        );
        assert!(parse("hello").is_err());
    }
}
