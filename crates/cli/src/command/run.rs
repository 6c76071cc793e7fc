//! `inversynth run`: trains a stage.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use trainer::{Experiment, PreparedStage, RunDir, Stage, TrainerError};

use crate::backend::DeviceName;
use crate::print;
use crate::progress::Progress;

#[derive(Args)]
pub struct RunArguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// What to run
    #[arg(long, value_enum, default_value_t = Scope::Stage)]
    run: Scope,
    /// Name of the stage
    #[arg(long, default_value = "pretrain_autoencoder_mae")]
    stage: String,
    /// Directory or list of sounds, or "synth" for the embedded synthesizer
    #[arg(long, value_name = "PATH|synth")]
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
    /// Build everything, run one step and a validation, write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Settings, for every command that needs some.
#[derive(Args)]
pub struct ExperimentArguments {
    /// Experiment file; it says what differs from the default experiment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Changes one setting, such as data.clip.seconds=2.0
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

impl ExperimentArguments {
    /// The experiment, with `data` in place of its source where given.
    pub fn load(&self, data: Option<&str>) -> Result<Experiment, TrainerError> {
        let mut overrides = self.overrides.clone();
        if let Some(data) = data {
            // A TOML string literal, so that no path is taken for anything else.
            overrides.push(format!("source.path={}", toml::Value::from(data)));
        }
        Experiment::load(self.config.as_deref(), &overrides)
    }
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
    let experiment = arguments.experiment.load(arguments.data.as_deref())?;
    RunDir::check(&arguments.out, arguments.name.as_deref())?;
    let devices = device_name.open()?;

    eprintln!("reading {}", source_name(&experiment));
    let prepared = PreparedStage::open(experiment, stage)?;
    report_data(&prepared);
    if arguments.dry_run {
        print(prepared.experiment().to_toml())?;
        print(prepared.plan(&devices))?;
        return print(prepared.dry_run(&devices)?);
    }

    let run = RunDir::create(&arguments.out, arguments.name.as_deref(), stage.name())?;
    eprintln!("run {} in {}", run.name(), run.path().display());
    let mut progress = Progress::new();
    let summary = prepared.train(&run, &devices, &mut progress)?;
    drop(progress);
    let directory = run.path().join(stage.name());
    let picture = directory.join("reconstruction.png");
    let numbers = directory.join("summary.json");
    print(format_args!(
        "{summary}\n  picture           {}\n  numbers           {}\n  curves            tensorboard --logdir {}",
        picture.display(),
        numbers.display(),
        run.path().display()
    ))
}

fn source_name(experiment: &Experiment) -> String {
    match &experiment.source.path {
        trainer::SoundSource::Synth => format!(
            "{} patches of the embedded synthesizer",
            experiment.source.synth_examples
        ),
        trainer::SoundSource::Files(path) => path.display().to_string(),
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
