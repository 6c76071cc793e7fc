//! The command `inversynth`.

mod backend;
mod command;
mod logging;
mod progress;

use std::fmt;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use report::ReportError;
use stft_data::{Rejected, printable};
use trainer::TrainerError;

use crate::logging::{error, note};

/// Pretrain spectrogram models on sounds, and estimate the synthesizer parameters that make a sound.
#[derive(Parser)]
#[command(name = "inversynth", version)]
struct Arguments {
    #[command(flatten)]
    log: logging::LogArguments,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run stages of the pipeline
    Run(command::run::RunArguments),
    /// Write the report of a run
    Report(command::report::ReportArguments),
    /// Look at sounds before training on them
    #[command(subcommand)]
    Data(command::data::DataCommand),
    /// Measure how far one sound is from another
    ///
    /// Sounds are compared as the mean of their channels at the target's rate. Distances of magnitudes take
    /// the experiment's STFT (data.stft), the others have windows of their own.
    Compare(command::compare::CompareArguments),
    /// Estimate the synthesizer parameters of sounds
    ///
    /// Needs a run whose parameter stages are finished, or a model that was exported from one.
    Predict(command::predict::PredictArguments),
    /// Train parameter heads from several initialisations with few labels and many, and compare them
    ///
    /// A study that was interrupted resumes when it is called again.
    LabelEfficiency(command::label_efficiency::LabelEfficiencyArguments),
    /// Write a trained model as one safetensors file
    Export(command::export::ExportArguments),
    /// Use the embedded synthesizer
    #[command(subcommand)]
    Synth(command::synth::SynthCommand),
    /// Show versions, features and devices
    Doctor,
}

/// Silences panics inside decoders: the file is rejected with a message of its own.
fn silence_decoder_panics() {
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
    silence_decoder_panics();
    let Arguments { log, command } = Arguments::parse();
    let profile = match log.start() {
        Ok(profile) => profile,
        Err(error) => {
            // There is no log yet.
            let message = format!("error: {}", explain(&error));
            match logging::is_json() {
                true => eprintln!(
                    "{}",
                    serde_json::json!({"level": "ERROR", "fields": {"message": message}})
                ),
                false => eprintln!("{message}"),
            }
            return ExitCode::from(2);
        }
    };
    let done = match command {
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
    profile.finish();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{}", explain(&error));
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

/// Lists on standard error the sound files that can't be used, with reasons.
fn print_rejected(files: &[Rejected]) {
    for Rejected { path, reason } in files {
        note!("  rejected {}: {reason}", printable(path));
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
