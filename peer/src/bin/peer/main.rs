//! Compares this project with PyTorch on the same work, each side in a process of its own, in turn.
//!
//! `cargo xtask bench --peer` and `cargo xtask bench --scaling` start it; `README.md` describes the method.

mod compare;
mod machine;
mod measure;
mod row;
mod side;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, value_parser};

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
    /// Measure one row of this project in this process, and print the result as JSON
    Case {
        /// Name of the row, as in the tables
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
    /// Only rows with this in their names; may be repeated
    #[arg(long)]
    only: Vec<String>,
    /// Threads of each process [default: 2; with scaling: 1, then 2]
    #[arg(long, value_parser = value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Processes of each side
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u16).range(1..))]
    rounds: u16,
    #[command(flatten)]
    effort: measure::Effort,
}

fn main() -> ExitCode {
    // As the program itself does.
    kernels::keep_freed_memory();
    kernels::join_thread_pool();
    let done = match Arguments::parse().command {
        Command::Compare(options) => compare::compare(&options),
        Command::Scaling(options) => compare::scaling(&options),
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
        ]);
        assert_eq!(set.python, PathBuf::from("/opt/py"));
        assert_eq!(set.only, ["unet", "stft"]);
        assert_eq!(
            (set.threads, set.rounds, set.effort.repeats),
            (Some(1), 5, 9)
        );
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
}
