//! `inversynth export`: a trained model as one file.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use trainer::{Stage, export, trained_stage};

use crate::backend::cpu;
use crate::print;

#[derive(Args)]
pub struct ExportArguments {
    /// Run, or directory of a checkpoint
    run: PathBuf,
    /// Stage whose best weights are written [default: that of the parameter heads with the lower validation loss]
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// File to write; it must not exist
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,
}

pub fn run(arguments: &ExportArguments) -> anyhow::Result<()> {
    let stage: Option<Stage> = match &arguments.stage {
        Some(name) => Some(name.parse()?),
        None => None,
    };
    let out = &arguments.out;
    if out.symlink_metadata().is_ok() {
        bail!("{} exists; choose another --out", out.display());
    }
    let checkpoint = trained_stage(&arguments.run, stage)?;
    export(&checkpoint, out, &cpu())?;
    print(format_args!(
        "{} after step {} in {}",
        checkpoint.context.stage,
        checkpoint.progress.step,
        out.display()
    ))
}
