//! This project beside PyTorch: the same work in turn, each in a process of its own.
//!
//! `cargo xtask bench --peer` and `cargo xtask bench --scaling` start it; `README.md` tells how it measures.

mod compare;
mod machine;
mod measure;
mod memory;
mod process;
mod row;
mod scaling;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Measures this project and PyTorch on the same work.
#[derive(Parser, Debug)]
#[command(name = "peer")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Compare with PyTorch, row by row; writes target/bench-peer.json
    Compare(Options),
    /// Time, memory and arithmetic over growing sizes; writes target/bench-scaling.json
    Scaling(Options),
    /// Measure one row of this project in this process, and print what came out as JSON
    Case {
        /// Its name, as in the tables
        name: String,
        #[command(flatten)]
        effort: measure::Effort,
    },
}

#[derive(Args, Clone, Debug)]
struct Options {
    /// Python with PyTorch
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// Only rows with this in their names; may be given again
    #[arg(long)]
    only: Vec<String>,
    /// Threads of each process [default: 2; of --scaling: 1, then 2]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Turns of each side
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    #[command(flatten)]
    effort: measure::Effort,
    /// Print the table as Markdown
    #[arg(long)]
    markdown: bool,
}

fn main() -> ExitCode {
    // As the program itself does.
    kernels::keep_freed_memory();
    kernels::join_thread_pool();
    let done = match Arguments::parse().command {
        Command::Compare(options) => compare::run(&options),
        Command::Scaling(options) => scaling::run(&options),
        Command::Case { name, effort } => measure::run(&name, &effort),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Those of `names` that have any of `only` in them, or all of them.
fn chosen<T>(items: Vec<T>, only: &[String], name: impl Fn(&T) -> &str) -> anyhow::Result<Vec<T>> {
    let names: Vec<String> = items.iter().map(|item| name(item).to_owned()).collect();
    for part in only {
        if !names.iter().any(|name| name.contains(part)) {
            anyhow::bail!(
                "no row has {part:?} in its name: they are {}",
                names.join(", ")
            );
        }
    }
    let wanted = |item: &T| only.is_empty() || only.iter().any(|part| name(item).contains(part));
    Ok(items.into_iter().filter(wanted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(arguments: &[&str]) -> Options {
        let all = [&["peer", "compare"], arguments].concat();
        match Arguments::try_parse_from(all).unwrap().command {
            Command::Compare(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_have_defaults_and_can_be_set() {
        let defaults = options(&[]);
        assert_eq!(defaults.python, PathBuf::from("python3"));
        assert_eq!((defaults.threads, defaults.rounds), (None, 3));
        assert_eq!(defaults.effort.repeats, 3);
        let set = options(&[
            "--python",
            "/opt/py",
            "--only",
            "unet",
            "--only",
            "stft",
            "--threads",
            "1",
            "--repeats",
            "9",
            "--rounds",
            "5",
            "--markdown",
        ]);
        assert_eq!(set.python, PathBuf::from("/opt/py"));
        assert_eq!(set.only, ["unet", "stft"]);
        assert_eq!(
            (set.threads, set.rounds, set.effort.repeats),
            (Some(1), 5, 9)
        );
        assert!(set.markdown);
    }

    #[test]
    fn zeros_and_unknown_options_are_refused() {
        for wrong in [
            ["--threads", "0"],
            ["--repeats", "0"],
            ["--rounds", "0"],
            ["--runs", "2"],
        ] {
            let all = [&["peer", "compare"], &wrong[..]].concat();
            assert!(Arguments::try_parse_from(all).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn rows_are_chosen_by_a_part_of_their_names() {
        let names = || vec!["unet_step", "unet_forward", "stft"];
        let pick = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&part| part.to_owned()).collect();
            chosen(names(), &only, |name| name)
        };
        assert_eq!(pick(&[]).unwrap(), names());
        assert_eq!(pick(&["step", "stft"]).unwrap(), ["unet_step", "stft"]);
        let message = pick(&["step", "lstm"]).unwrap_err().to_string();
        assert!(
            message.contains("\"lstm\"") && message.contains("unet_forward"),
            "{message}"
        );
    }
}
