//! `inversynth report`: the report of a run.

use std::path::PathBuf;

use clap::Args;
use report::write_report;

use crate::print;

#[derive(Args)]
pub struct ReportArguments {
    /// Directory of the run, finished or not
    run: PathBuf,
    /// The page; the same numbers for programs are written next to it as .json [default: report.html in the run]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub fn run(arguments: &ReportArguments) -> anyhow::Result<()> {
    let page = write_report(&arguments.run, arguments.out.as_deref())?;
    print(format_args!("report  {}", page.display()))
}
