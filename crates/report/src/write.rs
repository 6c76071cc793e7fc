//! Writes a report.

use std::path::{Path, PathBuf};

use trainer::{REPORT_FILE, write_atomic};

use crate::error::ReportError;
use crate::run::RunReport;

/// Reads the run in `directory` and writes its report: the page to `page`, or else to `report.html` in the run, and
/// the same numbers for programs next to it, with the extension `.json`. Returns the page's path.
///
/// # Errors
/// It is no run, the page's name is that of the other file, or the files can't be written.
pub fn write_report(directory: &Path, page: Option<&Path>) -> Result<PathBuf, ReportError> {
    if let Some(page) = page.filter(|page| page.extension().is_some_and(|ending| ending == "json"))
    {
        return Err(ReportError::PageName {
            path: page.to_owned(),
        });
    }
    let report = RunReport::read(directory)?;
    let page = page.map_or_else(|| directory.join(REPORT_FILE), Path::to_owned);
    let json = serde_json::to_string_pretty(&report.to_json()).expect("a report is plain values");
    for (path, text) in [
        (page.with_extension("json"), json + "\n"),
        (page.clone(), report.to_html()),
    ] {
        write_atomic(&path, text).map_err(|source| ReportError::Write { path, source })?;
    }
    Ok(page)
}
