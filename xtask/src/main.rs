//! The project's own commands: `cargo xtask pretrain`, `cargo xtask test`, ...
//!
//! It depends on nothing, so that it is built in a second.

mod documents;
mod features;
mod imports;

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask <command> [arguments]

  (ARGS are read from the project's directory: relative paths begin there)
  pretrain [ARGS]                 run both pretraining stages; ARGS go to `inversynth run`
  train [ARGS]                    run the stages that continue from there (name the run: --name NAME)
  evaluate [ARGS]                 test on held-out sounds (name the run: --name NAME)
  all [ARGS]                      run all of these, then train parameter heads
  label-efficiency [ARGS]         the value of pretraining with few labels, within an hour on two cores
  test [ARGS]                     run all tests; ARGS go to `cargo test`
  check                           formatting, lints, documentation, import cycles, equal features
  documents                       run the commands in README, docs and configs with few steps
  bench [ARGS]                    measure speed; ARGS go to `cargo bench`
  bench --peer [OPTIONS]          ours and PyTorch in turn: time, spread and memory; target/bench-peer.json
        --python PATH             Python with PyTorch (python3); a relative path begins where you are
        --only NAME               rows with NAME in their names; may be given again
        --threads N               threads of each process (2)
        --rounds N                turns of each side, each in a process of its own (3)
        --repeats N               timed calls in a process, more until a second has gone (3)
  bench --scaling [OPTIONS]       the same over batch, frames, tokens and threads, with the arithmetic done in a
                                  second and the machine's best; target/bench-scaling.json
";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    match command.as_deref() {
        Some("pretrain") => inversynth(&["run", "--run", "pretrain"], &rest),
        Some("train") => inversynth(&["run", "--run", "train"], &rest),
        Some("evaluate") => inversynth(&["run", "--run", "test"], &rest),
        Some("all") => inversynth(&["run", "--run", "all"], &rest),
        Some("label-efficiency") => {
            let config = "configs/label_efficiency.toml";
            inversynth(&["label-efficiency", "--config", config], &rest)
        }
        Some("test") => cargo(&["test", "--workspace"], &rest),
        Some("check") => check(),
        Some("documents") => documents(),
        Some("bench") => bench(rest),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// The project's directory.
fn root() -> &'static Path {
    let this = Path::new(env!("CARGO_MANIFEST_DIR"));
    this.parent().expect("the workspace contains this package")
}

fn cargo_program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs the program, built in the profile that the tests are built in.
fn inversynth(arguments: &[&str], rest: &[String]) -> ExitCode {
    let run = ["run", "--package", "cli", "--"];
    cargo(&[&run, arguments].concat(), rest)
}

/// Runs the documents' commands with a program that is built first.
fn documents() -> ExitCode {
    match cargo(&["build", "--package", "cli"], &[]) {
        built if built == ExitCode::SUCCESS => ended(documents::check(root())),
        failed => failed,
    }
}

/// Criterion's benchmarks, or the comparison with PyTorch where that is asked for; both in the release profile.
fn bench(mut rest: Vec<String>) -> ExitCode {
    let command = match rest.iter().position(|argument| argument == "--peer") {
        Some(at) => Some((at, "compare")),
        None => {
            let at = rest.iter().position(|argument| argument == "--scaling");
            at.map(|at| (at, "scaling"))
        }
    };
    let Some((at, command)) = command else {
        return cargo(&["bench", "--package", "benches"], &rest);
    };
    rest.remove(at);
    let built = cargo(&["build", "--release", "--package", "peer"], &[]);
    if built != ExitCode::SUCCESS {
        return built;
    }
    match release_program("peer") {
        Ok(peer) => run(Command::new(peer).arg(command).args(rest), "peer"),
        Err(error) => {
            eprintln!("error: can't find where programs are built: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where cargo puts a program of the release build: in the folder next to that of this one.
fn release_program(name: &str) -> io::Result<PathBuf> {
    let this = env::current_exe()?;
    let target = this.ancestors().nth(2).ok_or(io::ErrorKind::NotFound)?;
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    Ok(target.join("release").join(file))
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
    ended(imports::check(root()).and_then(|()| features::check(&cargo_program(), root())))
}

fn cargo(arguments: &[&str], rest: &[String]) -> ExitCode {
    cargo_with(arguments, rest, &[])
}

/// Runs cargo in the workspace's root and passes on how it ended.
fn cargo_with(arguments: &[&str], rest: &[String], variables: &[(&str, &str)]) -> ExitCode {
    let mut command = Command::new(cargo_program());
    command
        .args(arguments)
        .args(rest)
        .envs(variables.iter().copied())
        .current_dir(root());
    run(&mut command, "cargo")
}

/// Runs a command and passes on how it ended.
fn run(command: &mut Command, name: &str) -> ExitCode {
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        ),
        Err(error) => {
            eprintln!("error: can't run {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what is wrong, if anything is.
fn ended(checked: io::Result<()>) -> ExitCode {
    match checked {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
