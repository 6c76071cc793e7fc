//! The project's own commands: `cargo xtask pretrain`, `cargo xtask test`, ...
//!
//! It depends on nothing, so that it is built in a second.

use std::env;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask <command> [arguments]

  pretrain [ARGS]                 run both pretraining stages; ARGS go to `inversynth run`
  train [ARGS]                    run the stages that go on from there (name the run: --name NAME)
  test [ARGS]                     run all tests; ARGS go to `cargo test`
  check                           formatting, lints and documentation
  bench [ARGS]                    measure speed; ARGS go to `cargo bench`
  fuzz [ARGS]                     50,000 damaged sound files; `--files N` for fewer, `--help` for more
";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match command.as_deref() {
        Some("pretrain") => run("pretrain", &rest),
        Some("train") => run("train", &rest),
        Some("test") => cargo(&["test", "--workspace"], &rest),
        Some("check") => check(),
        Some("bench") => cargo(&["bench", "--package", "benches"], &rest),
        // In the dev profile, where the arithmetic of our own crates is checked for overflow.
        Some("fuzz") => cargo(&["run", "--package", "fuzz", "--"], &rest),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs stages in the release build.
fn run(stages: &str, rest: &[String]) -> ExitCode {
    let run = [
        "run",
        "--release",
        "--package",
        "cli",
        "--",
        "run",
        "--run",
        stages,
    ];
    cargo(&run, rest)
}

fn check() -> ExitCode {
    let steps: [&[&str]; 3] = [
        &["fmt", "--all", "--check"],
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ],
        &["doc", "--workspace", "--no-deps"],
    ];
    for step in steps {
        // Only rustdoc reads this: a broken link fails the build.
        let done = cargo_with(step, &[], &[("RUSTDOCFLAGS", "--deny warnings")]);
        if done != ExitCode::SUCCESS {
            return done;
        }
    }
    ExitCode::SUCCESS
}

fn cargo(arguments: &[&str], rest: &[String]) -> ExitCode {
    cargo_with(arguments, rest, &[])
}

/// Runs cargo in the workspace's root and passes on how it ended.
fn cargo_with(arguments: &[&str], rest: &[String], variables: &[(&str, &str)]) -> ExitCode {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let status = Command::new(program)
        .args(arguments)
        .args(rest)
        .envs(variables.iter().copied())
        .current_dir(root)
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        ),
        Err(error) => {
            eprintln!("error: can't run cargo: {error}");
            ExitCode::FAILURE
        }
    }
}
