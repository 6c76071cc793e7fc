//! A run as it lies on disk, whatever of it is there.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trainer::{
    EXAMPLE_NOTE, EXPERIMENT_FILE, ExampleNote, Experiment, PICTURES, RunDir, SOUNDS, Stage,
    StageDir, StageState,
};

use crate::curves::Curves;
use crate::error::ReportError;
use crate::outcome::{Outcome, PARAMETER_TEST};

/// What a run has left.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The run's name.
    pub name: String,
    /// Its resolved settings.
    pub experiment: Experiment,
    /// The same as the file has them.
    pub settings: String,
    /// Every stage of the pipeline, in its order, also those that weren't run.
    pub stages: Vec<StageReport>,
}

/// What a stage has left.
#[derive(Clone, Debug)]
pub struct StageReport {
    /// Which it is.
    pub stage: Stage,
    /// How far it has come.
    pub state: State,
    /// `summary.json` as it is.
    pub summary: Option<Value>,
    /// The same, understood.
    pub outcome: Outcome,
    /// Numbers over its steps.
    pub curves: Curves,
    /// Examples with pictures and sounds.
    pub examples: Vec<Example>,
    /// All of them on one picture (PNG), of a run that has left nothing else to look at.
    pub picture: Option<Vec<u8>>,
    /// What is missing or can't be read, in sentences.
    pub problems: Vec<String>,
}

/// How far a stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It wasn't run.
    NotRun,
    /// It runs, or was interrupted; the last step that is known of.
    Unfinished {
        /// Optimizer steps.
        step: u64,
    },
    /// It has left its summary.
    Finished,
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun => out.write_str("not run"),
            Self::Unfinished { step } => write!(out, "unfinished, at step {step}"),
            Self::Finished => out.write_str("finished"),
        }
    }
}

/// An example with its reconstruction.
#[derive(Clone, Debug)]
pub struct Example {
    /// Its place among the stage's examples, from 0.
    pub place: usize,
    /// What it is called, and how much of it was hidden.
    pub note: Option<ExampleNote>,
    /// Its pictures (PNG) by name; none where one is missing.
    pub pictures: Vec<(&'static str, Option<Vec<u8>>)>,
    /// Its sounds (WAV) by name; none where one is missing.
    pub sounds: Vec<(&'static str, Option<Vec<u8>>)>,
}

impl RunReport {
    /// Reads the run in `directory`. What is missing in it, or can't be read, is part of the report.
    ///
    /// # Errors
    /// It is no run, or its settings can't be read.
    pub fn read(directory: &Path) -> Result<Self, ReportError> {
        // A path such as `.` or `runs/a/..` has no name of its own.
        let path = directory.canonicalize().unwrap_or(directory.to_owned());
        let settings = path.join(EXPERIMENT_FILE);
        let Ok(settings) = std::fs::read_to_string(&settings) else {
            return Err(ReportError::NoRun {
                path: directory.to_owned(),
                expected: EXPERIMENT_FILE,
            });
        };
        let run = RunDir::at(&path);
        Ok(Self {
            name: run.name().to_owned(),
            experiment: run.experiment()?,
            settings,
            stages: Stage::ALL
                .iter()
                .map(|&stage| StageReport::read(stage, &run.stage(stage.name())))
                .collect(),
        })
    }

    /// The stages that were begun.
    pub fn begun(&self) -> impl Iterator<Item = &StageReport> {
        let stages = self.stages.iter();
        stages.filter(|stage| stage.state != State::NotRun)
    }

    /// Seconds of all stages that are finished.
    pub fn seconds(&self) -> f64 {
        let seconds = self.stages.iter().filter_map(|stage| stage.outcome.seconds);
        seconds.sum()
    }

    /// The devices that stages ran on, each once.
    pub fn devices(&self) -> Vec<&str> {
        let mut devices: Vec<&str> = Vec::new();
        for device in self
            .stages
            .iter()
            .filter_map(|stage| stage.outcome.device.as_deref())
        {
            if !devices.contains(&device) {
                devices.push(device);
            }
        }
        devices
    }
}

impl StageReport {
    fn read(stage: Stage, directory: &StageDir) -> Self {
        let mut problems = Vec::new();
        let begun = directory.path().is_dir();
        let curves = match Curves::read(&directory.metrics()) {
            Ok(curves) => curves,
            Err(error) => {
                if begun {
                    problems.push(unreadable("metrics.jsonl", &error));
                }
                Curves::default()
            }
        };
        match curves.unreadable_lines {
            0 => {}
            1 => problems.push("One line of metrics.jsonl can't be read and is left out.".into()),
            n => problems.push(format!(
                "{n} lines of metrics.jsonl can't be read and are left out."
            )),
        }
        let (summary, outcome) = summary(&directory.summary(), &mut problems);
        problems.extend(outcome.problems());
        let state = match directory.state() {
            StageState::Finished => State::Finished,
            StageState::Interrupted | StageState::Fresh if begun => State::Unfinished {
                step: curves.last_step().unwrap_or(0),
            },
            _ => State::NotRun,
        };
        let is_tested = outcome.rest.contains_key(PARAMETER_TEST);
        if stage.is_labelled() && summary.is_some() && !is_tested {
            problems.push("No sound was held out, so its estimates were not tested.".into());
        }
        let examples = examples(directory, &mut problems);
        let mut picture = None;
        if examples.is_empty() {
            picture = file(&directory.picture(), PNG).ok();
            // For what estimates parameters, nothing may have been held out.
            if state == State::Finished && !stage.is_labelled() {
                problems.push(match picture {
                    Some(_) => {
                        "It has left one picture of its examples, but none of their sounds.".into()
                    }
                    None => "It has left no examples.".into(),
                });
            }
        }
        Self {
            stage,
            state,
            summary,
            outcome,
            curves,
            examples,
            picture,
            problems,
        }
    }
}

fn summary(path: &Path, problems: &mut Vec<String>) -> (Option<Value>, Outcome) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Default::default(),
        Err(error) => {
            problems.push(unreadable("summary.json", &error));
            return Default::default();
        }
    };
    let understood = serde_json::from_str::<Value>(&text).and_then(|value| {
        let outcome = serde_json::from_value(value.clone())?;
        Ok((Some(value), outcome))
    });
    understood.unwrap_or_else(|error| {
        problems.push(format!("summary.json can't be understood: {error}."));
        Default::default()
    })
}

fn examples(directory: &StageDir, problems: &mut Vec<String>) -> Vec<Example> {
    let there = (0..).take_while(|place| directory.example(*place).is_dir());
    let mut read = |place| {
        let directory = directory.example(place);
        let mut kept = |name: &'static str, ending: &str, magic| {
            let path = directory.join(format!("{name}.{ending}"));
            let bytes = file(&path, magic);
            if let Err(error) = &bytes {
                problems.push(unreadable(
                    &format!("examples/{place}/{name}.{ending}"),
                    error,
                ));
            }
            (name, bytes.ok())
        };
        let note = note(&directory.join(EXAMPLE_NOTE));
        let is_listed = |name: &str, of: fn(&ExampleNote) -> &[String]| {
            let mut notes = note.iter();
            notes.all(|note| of(note).iter().any(|listed| listed == name))
        };
        let pictures = PICTURES.into_iter();
        let pictures = pictures.filter(|name| is_listed(name, |note| &note.pictures));
        let pictures = pictures.map(|name| kept(name, "png", PNG)).collect();
        let sounds = SOUNDS.into_iter();
        let sounds = sounds.filter(|name| is_listed(name, |note| &note.sounds));
        let sounds = sounds.map(|name| kept(name, "wav", WAV)).collect();
        if let Err(error) = &note {
            problems.push(unreadable(
                &format!("examples/{place}/{EXAMPLE_NOTE}"),
                error,
            ));
        }
        Example {
            place,
            note: note.ok(),
            pictures,
            sounds,
        }
    };
    there.map(&mut read).collect()
}

fn note(path: &PathBuf) -> std::io::Result<ExampleNote> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

/// What a picture's file begins with.
const PNG: &[u8] = b"\x89PNG";

/// What a sound's file begins with.
const WAV: &[u8] = b"RIFF";

/// The bytes of a file that begins with `magic`.
fn file(path: &Path, magic: &[u8]) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::read(path)?;
    match bytes.starts_with(magic) {
        true => Ok(bytes),
        false => Err(std::io::Error::new(
            ErrorKind::InvalidData,
            "its content doesn't match its extension",
        )),
    }
}

fn unreadable(file: &str, error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("{file} is missing."),
        _ => format!("{file} can't be read: {error}."),
    }
}
