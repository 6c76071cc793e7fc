//! The project's own commands: `cargo xtask pretrain`, `cargo xtask test`, ...
//!
//! It depends on nothing, so that it is built in a second.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

const USAGE: &str = "\
cargo xtask <command> [arguments]

  (ARGS are read from the project's directory: relative paths begin there)
  pretrain [ARGS]                 run both pretraining stages; ARGS go to `inversynth run`
  train [ARGS]                    run the stages that go on from there (name the run: --name NAME)
  evaluate [ARGS]                 test on sounds that were held out (name the run: --name NAME)
  all [ARGS]                      run all of these
  label-efficiency [ARGS]         what pretraining is worth with few labels, within an hour on two cores
  test [ARGS]                     run all tests; ARGS go to `cargo test`
  check                           formatting, lints and documentation
  bench [ARGS]                    measure speed; ARGS go to `cargo bench`
  bench --peer [OPTIONS]          ours and PyTorch in turn: time, spread and memory; target/bench-peer.json
        --python PATH             Python with PyTorch (python3); a relative path begins where you are
        --only NAME               rows with NAME in their names; may be given again
        --threads N               threads of each process (2)
        --rounds N                turns of each side, each in a process of its own (3)
        --repeats N               timed calls in a process, more until a second has gone (3)
        --markdown                the table as Markdown
  bench --scaling [OPTIONS]       the same over batch, frames, tokens and threads, with the arithmetic done in a
                                  second and the machine's best; target/bench-scaling.json
  fuzz [ARGS]                     50,000 damaged sound files; `--files N` for fewer, `--help` for more
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
        Some("bench") => bench(rest),
        // In the dev profile, where the arithmetic of our own crates is checked for overflow.
        Some("fuzz") => cargo(&["run", "--package", "fuzz", "--"], &rest),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs the program in the release build.
fn inversynth(arguments: &[&str], rest: &[String]) -> ExitCode {
    let run = ["run", "--release", "--package", "cli", "--"];
    cargo(&[&run, arguments].concat(), rest)
}

/// Criterion's benchmarks, or the comparison with PyTorch where that is asked for.
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
    // With the program, so that both are linked with the very same tensor library.
    let build = [
        "build",
        "--release",
        "--package",
        "cli",
        "--package",
        "benches",
        "--bin",
        "peer",
    ];
    let built = cargo(&build, &[]);
    if built != ExitCode::SUCCESS {
        return built;
    }
    match release_program("peer") {
        Ok(peer) => ended(Command::new(peer).arg(command).args(rest), "peer"),
        Err(error) => {
            eprintln!("error: can't find where programs are built: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Where cargo puts a program of the release build: beside the profile that this one was built in.
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
    ExitCode::SUCCESS
}

fn cargo(arguments: &[&str], rest: &[String]) -> ExitCode {
    cargo_with(arguments, rest, &[])
}

/// Runs cargo in the workspace's root and passes on how it ended.
fn cargo_with(arguments: &[&str], rest: &[String], variables: &[(&str, &str)]) -> ExitCode {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let mut command = Command::new(program);
    command
        .args(arguments)
        .args(rest)
        .envs(variables.iter().copied())
        .current_dir(root);
    ended(&mut command, "cargo")
}

/// Runs a command and passes on how it ended.
fn ended(command: &mut Command, name: &str) -> ExitCode {
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
