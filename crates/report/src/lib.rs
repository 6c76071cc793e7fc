//! The report of a run: one page with its sounds, and the same numbers for programs.
//!
//! [`RunReport::read`] takes a run's directory as it is, finished or not: the settings, and of each stage its summary,
//! its curves and its examples. What is missing or can't be read becomes a sentence in the report.
//! [`RunReport::to_html`] is a page that needs nothing but itself: style, curves (SVG), pictures and sounds are in
//! it, it asks for nothing over a network and runs no scripts. [`RunReport::to_json`] has the same numbers.
//!
//! [`LabelEfficiency`] is the table and plot of many runs: what pretraining is worth where labels are few.
//!
//! It never trains, decodes a sound or prints.
//!
//! # A tour
//!
//! ```
//! use report::{RunReport, State, write_report};
//!
//! // A run whose first stage has just begun.
//! let run = tempfile::tempdir()?;
//! let stage = run.path().join("pretrain_autoencoder_mae");
//! std::fs::create_dir(&stage)?;
//! std::fs::write(run.path().join("experiment.toml"), "seed = 7")?;
//! std::fs::write(stage.join("metrics.jsonl"), r#"{"step":10,"tag":"train/loss","value":0.5}"#)?;
//!
//! let report = RunReport::read(run.path())?;
//! assert_eq!(report.experiment.seed, 7);
//! assert_eq!(report.stages[0].state, State::Unfinished { step: 10 });
//! assert_eq!(report.stages[1].state, State::NotRun);
//!
//! let page = write_report(run.path(), None)?;
//! assert_eq!(page, run.path().join("report.html"));
//! assert!(std::fs::read_to_string(&page)?.contains("unfinished, at step 10"));
//! assert!(run.path().join("report.json").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod captions;
mod chart;
mod curves;
mod efficiency;
mod error;
mod fact;
mod json;
mod number;
mod outcome;
mod page;
mod run;
mod scale;
mod section;
mod tables;
mod write;

pub use captions::sounds_caption;
pub use curves::Curves;
pub use efficiency::{Finetuning, LabelEfficiency, MEASURES, Measure, OverSeeds};
pub use error::ReportError;
pub use outcome::Outcome;
pub use run::{Example, RunReport, StageReport, State};
pub use write::write_report;
