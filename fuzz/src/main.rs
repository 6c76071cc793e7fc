//! `cargo xtask fuzz`: damaged and hostile sound files by the thousand.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use fuzz::{Case, Drill, Run, cases, supervise, work};

/// Examines damaged and hostile sound files; the exit code is 1 if any does harm.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Role>,
    #[command(flatten)]
    files: Files,
    /// Worker processes.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Examine this file alone, as a run names it: a number, or `hand:` and a number.
    #[arg(long)]
    one: Option<Case>,
    /// Where to write the file of `--one`, to look at it.
    #[arg(long, requires = "one")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct Files {
    /// Mutated files, after the hand-made ones.
    #[arg(long, default_value_t = 50_000)]
    files: u64,
    /// Seed of the mutated files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Leave the hand-made files out and plant a fault in file 5, to see it reported: panic, hang, slow,
    /// allocation or abort.
    #[arg(long)]
    drill: Option<Drill>,
}

#[derive(Subcommand)]
enum Role {
    /// Be a worker of a run.
    #[command(hide = true)]
    Work {
        #[command(flatten)]
        files: Files,
        #[arg(long)]
        first: usize,
        #[arg(long)]
        step: usize,
    },
}

fn main() -> Result<ExitCode> {
    let Arguments {
        command,
        files,
        workers,
        one,
        out,
    } = Arguments::parse();
    if let Some(Role::Work { files, first, step }) = command {
        let own = cases(files.files, files.drill).skip(first).step_by(step);
        work(files.seed, own, files.drill, &mut std::io::stdout().lock())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(case) = one {
        if let Some(path) = out {
            let bytes = fuzz::file(files.seed, case)
                .with_context(|| format!("there is no file `{case}`"))?;
            std::fs::write(&path, bytes)
                .with_context(|| format!("can't write {}", path.display()))?;
        }
        let offences = work(
            files.seed,
            [case].into_iter(),
            files.drill,
            &mut std::io::stdout().lock(),
        )?;
        return Ok(ExitCode::from(u8::from(offences > 0)));
    }
    let summary = supervise(&Run {
        program: std::env::current_exe().context("can't find this program")?,
        seed: files.seed,
        files: files.files,
        workers: workers.max(1),
        drill: files.drill,
    })?;
    println!("{summary}");
    Ok(if summary.offences.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
