//! The command `inversynth`.

mod backend;
mod command;
mod pipeline_eta;
mod progress;

use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use report::ReportError;
use stft_data::{Rejected, printable};
use tracing_subscriber::EnvFilter;
use trainer::TrainerError;

/// Pretrain spectrogram models on sounds, and match sounds with a synthesizer.
#[derive(Parser)]
#[command(name = "inversynth", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train a stage of the pipeline
    Run(command::run::RunArguments),
    /// Write the report of a run, to be read and listened to
    Report(command::report::ReportArguments),
    /// Look at sounds before training on them
    #[command(subcommand)]
    Data(command::data::DataCommand),
    /// Tell how far one sound is from another
    ///
    /// Sounds are compared as the mean of their channels at the target's rate. Distances of magnitudes take
    /// the experiment's STFT (data.stft), the others have windows of their own.
    Compare(command::compare::CompareArguments),
    /// Estimate the synthesizer parameters of sounds
    ///
    /// Needs a run whose parameter stages are finished, or a model that was exported from one.
    Predict(command::predict::PredictArguments),
    /// Train parameter heads from several starts with few labels and many, and compare them
    ///
    /// A study that was interrupted goes on when it is called again.
    LabelEfficiency(command::label_efficiency::LabelEfficiencyArguments),
    /// Write a trained model as one safetensors file
    Export(command::export::ExportArguments),
    /// Use the embedded synthesizer
    #[command(subcommand)]
    Synth(command::synth::SynthCommand),
    /// Show versions, features and devices
    Doctor,
}

/// A decoder that panics on a file costs that file, which is then told as rejected; the panic itself is no news.
fn keep_decoders_quiet() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let in_decoder = |place: &std::panic::Location| place.file().contains("symphonia-");
        if !info.location().is_some_and(in_decoder) {
            loud(info);
        }
    }));
}

fn main() -> ExitCode {
    kernels::keep_freed_memory();
    kernels::join_thread_pool();
    keep_decoders_quiet();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = match Arguments::parse().command {
        Command::Run(arguments) => command::run::run(&arguments),
        Command::Report(arguments) => command::report::run(&arguments),
        Command::Data(command) => command::data::run(&command),
        Command::Compare(arguments) => command::compare::run(&arguments),
        Command::Predict(arguments) => command::predict::run(&arguments),
        Command::LabelEfficiency(arguments) => command::label_efficiency::run(&arguments),
        Command::Export(arguments) => command::export::run(&arguments),
        Command::Synth(command) => command::synth::run(&command),
        Command::Doctor => command::doctor::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", explain(&error));
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The error with its causes, each said once: some errors quote their cause themselves.
fn explain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Writes to standard output. A reader that has seen enough, such as `head`, is no error.
fn print(text: impl fmt::Display) -> anyhow::Result<()> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says on standard error which sound files can't be used, and why.
fn tell_rejected(files: &[Rejected]) {
    for Rejected { path, reason } in files {
        eprintln!("  rejected {}: {reason}", printable(path));
    }
}

/// 1 where training failed or what it leaves can't be written, 2 where the input was at fault.
fn exit_code(error: &anyhow::Error) -> u8 {
    if let Some(ReportError::Write { .. }) = error.downcast_ref() {
        return 1;
    }
    match error.downcast_ref() {
        Some(TrainerError::Diverged { .. } | TrainerError::Write { .. }) => 1,
        _ => 2,
    }
}
