//! `inversynth run`: runs stages of the pipeline.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use report::{sounds_caption, write_report};
use stft_data::{Split, TrainStatistics};
use trainer::{
    Devices, Experiment, Observer, Pipeline, PipelineEvent, PipelineObserver, RunDir, Scope,
    Session, Stage, StageGroup, TrainerError, WeightSource,
};

use crate::backend::DeviceName;
use crate::command::experiment::ExperimentArguments;
use crate::logging::{note, warning};
use crate::progress::Progress;
use crate::{print, print_rejected};

#[derive(Args)]
pub struct RunArguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// What to run [default: pretrain, or the stage that --stage names]
    #[arg(long, value_enum)]
    run: Option<RunScope>,
    /// Name of the stage, for `--run stage`
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Directory or list of sounds, or "synth" or "synth:fm" for the embedded synthesizer
    #[arg(long, value_name = "PATH|synth")]
    data: Option<String>,
    /// Directory that runs are kept in
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Name of the run: a new one, or one to resume, which keeps its settings [default: the group and a number, such as
    /// pretrain-001]
    #[arg(long)]
    name: Option<String>,
    /// Run, or directory of a checkpoint, with the weights to start from [default: those of the same run]
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// `cpu`, `wgpu`, `cuda`, or one of several, such as `cuda:1`
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Build everything, run one step and a validation of each stage, write nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RunScope {
    /// Both kinds of pretraining, from scratch
    Pretrain,
    /// The Transformer's decoder, then encoder and decoder together, then the U-Net with nothing hidden
    Train,
    /// Tests of the trained models on held-out sounds
    Test,
    /// Parameter heads on both encoders, where the parameters of the sounds are known
    Parameters,
    /// All of these, with the parameter heads last
    All,
    /// The stage that --stage names
    Stage,
}

impl RunArguments {
    fn pipeline(&self) -> anyhow::Result<Pipeline> {
        let scope = match (self.run, &self.stage) {
            (Some(RunScope::Stage), None) => bail!("--run stage: name the stage with --stage"),
            (Some(scope), Some(_)) if scope != RunScope::Stage => {
                bail!("--stage goes with --run stage alone; leave one of them out")
            }
            (_, Some(name)) => Scope::Stage(name.parse()?),
            (None | Some(RunScope::Pretrain), None) => Scope::Group(StageGroup::Pretrain),
            (Some(RunScope::Train), None) => Scope::Group(StageGroup::Train),
            (Some(RunScope::Test), None) => Scope::Group(StageGroup::Test),
            (Some(RunScope::Parameters), None) => Scope::Group(StageGroup::Parameters),
            (Some(RunScope::All), None) => Scope::All,
        };
        Ok(Pipeline::new(scope, self.from.clone()))
    }

    /// The run that is continued: the named one, or one of this kind that was interrupted; none if a new one begins.
    ///
    /// # Errors
    /// The named run has other settings, or other weights than those that --from names.
    fn earlier_run(
        &self,
        named: Option<RunDir>,
        pipeline: &Pipeline,
        experiment: &Experiment,
        devices: &Devices,
    ) -> anyhow::Result<Option<RunDir>> {
        if let Some(run) = named {
            // What can't be continued is refused before its sounds are read.
            run.check_settings(experiment)?;
            for (stage, difference) in pipeline.check_from(experiment, &run, devices)? {
                note!("note: {stage} is finished and is not run again: {difference}");
            }
            return Ok(Some(run));
        }
        let interrupted = pipeline.interrupted_run(&self.out, experiment, devices);
        if let (Some(run), false) = (&interrupted, self.dry_run) {
            note!(
                "resuming {}, which was interrupted; --name starts another run",
                run.name()
            );
        }
        Ok(interrupted)
    }

    /// The statistics of the training split from an earlier call; where nothing is trained, also those of the tested run, whose
    /// mean spectrogram is the baseline.
    fn statistics(
        &self,
        pipeline: &Pipeline,
        earlier: Option<&RunDir>,
    ) -> anyhow::Result<Option<TrainStatistics>> {
        /// A run, its stage, `checkpoints`, and one of them.
        const LEVELS: usize = 4;
        let from = self.from.as_deref().filter(|_| pipeline.only_tests());
        let tested = from
            .into_iter()
            .flat_map(|path| path.ancestors().take(LEVELS));
        for run in earlier.cloned().into_iter().chain(tested.map(RunDir::at)) {
            if let Some(statistics) = run.statistics()? {
                return Ok(Some(statistics));
            }
        }
        Ok(None)
    }
}

pub fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    // Everything that can be wrong is checked before a run is made.
    let mut pipeline = arguments.pipeline()?;
    let device_name: DeviceName = arguments.device.parse()?;
    RunDir::check(&arguments.out, arguments.name.as_deref())?;
    let named = arguments.name.as_ref();
    let named = named.map(|name| RunDir::at(&arguments.out.join(name)));
    let (settings, data) = (&arguments.experiment, arguments.data.as_deref());
    let experiment = settings.load(named.as_ref(), data)?;
    let devices = device_name.open()?;
    let earlier = arguments.earlier_run(named, &pipeline, &experiment, &devices)?;

    let missing = RunDir::at(&arguments.out);
    let there = earlier.as_ref().unwrap_or(&missing);
    note!("reading {}", sounds_caption(&experiment));
    let statistics = arguments.statistics(&pipeline, earlier.as_ref())?;
    let session = Session::open(experiment, statistics)?;
    report_data(&session);
    if let Some(run) = &earlier {
        check_sounds(run, &session, &pipeline)?;
    }
    if arguments.run == Some(RunScope::All) && session.parameters().is_none() {
        note!("these sounds have no labels: parameter stages are left out");
        pipeline.without_labelled();
    }
    if arguments.dry_run {
        return dry_run(&session, &pipeline, &devices);
    }
    pipeline.check(&session, there)?;

    let name = earlier.as_ref().map(RunDir::name);
    let run = RunDir::open(&arguments.out, name, pipeline.label())?;
    let _lock = session.begin(&run)?;
    note!("run {} in {}", run.name(), run.path().display());
    pipeline.run(&session, &run, &devices, &mut Terminal)?;
    let page = write_report(run.path(), None)?;
    print(format_args!("report  {}", page.display()))?;
    print(format_args!(
        "curves  tensorboard --logdir {}",
        run.path().display()
    ))
}

/// Refuses to continue `run` with other sounds. A test continues nothing: its summary says which sounds it is of.
fn check_sounds(run: &RunDir, session: &Session, pipeline: &Pipeline) -> anyhow::Result<()> {
    match run.check_sounds(session.sounds()) {
        Err(error @ TrainerError::SoundsDiffer { .. }) if pipeline.only_tests() => {
            warning!("{error}");
            Ok(())
        }
        checked => Ok(checked?),
    }
}

fn dry_run(session: &Session, pipeline: &Pipeline, devices: &Devices) -> anyhow::Result<()> {
    print(session.experiment().to_toml())?;
    for &stage in pipeline.stages() {
        let stage_run = session.stage(stage, WeightSource::Nowhere)?;
        print(stage_run.plan(devices))?;
        print(stage_run.dry_run(devices)?)?;
    }
    Ok(())
}

/// Shows a pipeline on the terminal.
struct Terminal;

impl PipelineObserver for Terminal {
    fn stage(
        &mut self,
        stage: Stage,
        place: usize,
        count: usize,
        resumes: bool,
    ) -> Box<dyn Observer> {
        match resumes {
            true => note!("{stage} was interrupted and resumes"),
            false => note!("{stage}"),
        }
        Box::new(Progress::new(place, count))
    }

    fn observe(&mut self, stage: Stage, event: PipelineEvent) -> Result<(), TrainerError> {
        let text = match event {
            PipelineEvent::Skipped {
                directory,
                replaced,
            } => {
                if let Some(error) = replaced {
                    warning!("{error}");
                }
                let summary = directory.summary();
                format!("{stage} is already finished: {}", summary.display())
            }
            PipelineEvent::Finished { directory, report } => {
                let mut text = report.to_string();
                // A test of heads on no held-out sound has no picture.
                let picture = directory.picture();
                if picture.is_file() {
                    text += &format!("\n  picture           {}", picture.display());
                }
                let summary = directory.summary();
                text + &format!("\n  numbers           {}", summary.display())
            }
        };
        print(text).map_err(|error| TrainerError::Write {
            path: "standard output".into(),
            source: std::io::Error::other(error),
        })
    }
}

fn report_data(session: &Session) {
    if session.files_used() > 0 {
        note!(
            "{} files used, {} rejected",
            session.files_used(),
            session.rejected().len()
        );
    }
    print_rejected(session.rejected());
    let count = |split| session.dataset().indices(split).len();
    note!(
        "{} examples to train, {} to validate, {} held out for testing",
        count(Split::Train),
        count(Split::Valid),
        count(Split::Test)
    );
}
