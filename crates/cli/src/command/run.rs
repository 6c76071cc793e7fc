//! `inversynth run`: trains a stage.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use trainer::{Experiment, PreparedStage, RunDir, Stage};

use crate::backend::DeviceName;
use crate::progress::Progress;

#[derive(Args)]
pub struct RunArguments {
    /// Experiment file; it says what differs from the default experiment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to run
    #[arg(long, value_enum, default_value_t = Scope::Stage)]
    run: Scope,
    /// Name of the stage
    #[arg(long, default_value = "pretrain_autoencoder_mae")]
    stage: String,
    /// Directory of sounds, or "synth" for the embedded synthesizer
    #[arg(long, value_name = "DIR|synth")]
    data: Option<String>,
    /// Directory that runs are kept in
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Name of the run [default: the stage's name and the next free number]
    #[arg(long)]
    name: Option<String>,
    /// `cpu`, `wgpu`, `cuda`, or one of several, such as `cuda:1`
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Changes one setting, such as stages.pretrain_autoencoder_mae.training.steps=100
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Build everything, run one step and a validation, write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scope {
    /// The stage that --stage names
    Stage,
}

pub fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    // Everything that can be wrong is looked at before anything is written.
    let Scope::Stage = arguments.run;
    let stage: Stage = arguments.stage.parse()?;
    let device_name: DeviceName = arguments.device.parse()?;
    let experiment = Experiment::load(arguments.config.as_deref(), &overrides(arguments))?;
    if let Some(name) = &arguments.name {
        RunDir::check(&arguments.out, name)?;
    }
    let device = device_name.open()?;

    eprintln!("reading {}", source_name(&experiment));
    let prepared = PreparedStage::open(experiment, stage)?;
    report_data(&prepared);
    if arguments.dry_run {
        println!("{}", prepared.experiment().to_toml());
        println!("{}", prepared.dry_run(&device)?);
        return Ok(());
    }

    let run = RunDir::create(&arguments.out, arguments.name.as_deref(), stage.name())?;
    eprintln!("run {} in {}", run.name(), run.path().display());
    let mut progress = Progress::new();
    let summary = prepared.train(&run, &device, device_name.as_str(), &mut progress)?;
    drop(progress);
    let directory = run.path().join(stage.name());
    println!("{summary}");
    println!(
        "  picture           {}",
        directory.join("reconstruction.png").display()
    );
    println!(
        "  numbers           {}",
        directory.join("summary.json").display()
    );
    println!(
        "  curves            tensorboard --logdir {}",
        run.path().display()
    );
    Ok(())
}

/// The overrides, `--data` being short for one of them.
fn overrides(arguments: &RunArguments) -> Vec<String> {
    let mut overrides = arguments.overrides.clone();
    if let Some(data) = &arguments.data {
        // A TOML string literal, so that no path is taken for anything else.
        let quoted = toml::Value::from(data.as_str());
        overrides.push(format!("source.path={quoted}"));
    }
    overrides
}

fn source_name(experiment: &Experiment) -> String {
    match &experiment.source.path {
        trainer::SoundSource::Synth => format!(
            "{} patches of the embedded synthesizer",
            experiment.source.synth_examples
        ),
        trainer::SoundSource::Folder(path) => path.display().to_string(),
    }
}

fn report_data(prepared: &PreparedStage) {
    if prepared.files_used() > 0 {
        eprintln!(
            "{} files used, {} rejected",
            prepared.files_used(),
            prepared.rejected().len()
        );
    }
    for rejected in prepared.rejected() {
        eprintln!(
            "  rejected {}: {}",
            rejected.path.display(),
            rejected.reason
        );
    }
    let count = |split| prepared.dataset().indices(split).len();
    eprintln!(
        "{} examples to train, {} to validate, {} held out for testing",
        count(stft_data::Split::Train),
        count(stft_data::Split::Valid),
        count(stft_data::Split::Test)
    );
}
