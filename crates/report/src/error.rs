//! What keeps a report from being made.

use std::path::PathBuf;

use trainer::TrainerError;

/// Why there is no report. What is merely missing in a run is said in the report itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The path leads to no run.
    #[error("{path} is no run: it has no {expected}; name the directory of a run, such as runs/all-001", path = path.display())]
    NoRun {
        /// What was named.
        path: PathBuf,
        /// The file that every run has.
        expected: &'static str,
    },
    /// The settings of the run can't be read.
    #[error(transparent)]
    Settings(#[from] TrainerError),
    /// The page would be where the report for programs goes.
    #[error("{path} is where the report for programs goes; name the page, such as report.html", path = path.display())]
    PageName {
        /// What was named.
        path: PathBuf,
    },
    /// The report can't be written.
    #[error("can't write {path}: {source}; choose another place with --out", path = path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}
