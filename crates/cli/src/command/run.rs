//! `inversynth run`: trains stages.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use report::write_report;
use trainer::{
    Devices, Experiment, Findings, Session, RunDir, STATISTICS_FILE, Stage, StageReport,
    StageState, Stages, WeightSource, Summary, TrainerError, check_finished, check_start,
};

use crate::backend::DeviceName;
use crate::command::experiment::ExperimentArguments;
use crate::pipeline_eta::PipelineEta;
use crate::progress::Progress;
use crate::{print, tell_rejected};

#[derive(Args)]
pub struct RunArguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// What to run [default: pretrain, or the stage that --stage names]
    #[arg(long, value_enum)]
    run: Option<Scope>,
    /// Name of the stage, for `--run stage`
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// Directory or list of sounds, or "synth" or "synth:fm" for the embedded synthesizer
    #[arg(long, value_name = "PATH|synth")]
    data: Option<String>,
    /// Directory that runs are kept in
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Name of the run: of a new one, or of one to go on with, whose settings then need not be told again [default: what is
    /// run and the next free number]
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
enum Scope {
    /// Both kinds of pretraining, from nothing
    Pretrain,
    /// The Transformer's decoder, then encoder and decoder together, then the U-Net with nothing hidden
    Train,
    /// What was trained, on sounds that were held out
    Test,
    /// Parameter heads on both encoders, where the parameters of the sounds are known
    Parameters,
    /// All of these, with the parameter heads last
    All,
    /// The stage that --stage names
    Stage,
}

/// What was asked for.
struct Plan {
    stages: Vec<Stage>,
    /// What a run without a name is called after.
    label: &'static str,
}

impl Plan {
    /// Whether nothing is trained.
    fn only_tests(&self) -> bool {
        self.stages.iter().all(|stage| stage.is_test())
    }

    /// Whether an earlier stage of the plan leaves the weights that `stage` starts from.
    fn leaves_start_of(&self, stage: Stage, stages: &Stages) -> bool {
        let needs = stage.starts_from(stages);
        needs.is_some_and(|needs| needs != stage && self.stages.contains(&needs))
    }
}

impl RunArguments {
    fn plan(&self) -> anyhow::Result<Plan> {
        let scope = match (self.run, &self.stage) {
            (Some(Scope::Stage), None) => bail!("--run stage: name the stage with --stage"),
            (Some(scope), Some(_)) if scope != Scope::Stage => {
                bail!("--stage goes with --run stage alone; leave one of them out")
            }
            (Some(scope), _) => scope,
            (None, Some(_)) => Scope::Stage,
            (None, None) => Scope::Pretrain,
        };
        Ok(match scope {
            Scope::Pretrain => Plan {
                stages: Stage::PRETRAIN.to_vec(),
                label: "pretrain",
            },
            Scope::Train => Plan {
                stages: Stage::TRAIN.to_vec(),
                label: "train",
            },
            Scope::Test => Plan {
                stages: Stage::TEST.to_vec(),
                label: "test",
            },
            Scope::Parameters => Plan {
                stages: Stage::PARAMETERS.to_vec(),
                label: "parameters",
            },
            Scope::All => Plan {
                stages: Stage::ALL.to_vec(),
                label: "all",
            },
            Scope::Stage => {
                let stage: Stage = self.stage.as_deref().unwrap_or_default().parse()?;
                Plan {
                    stages: vec![stage],
                    label: stage.name(),
                }
            }
        })
    }
}

impl RunArguments {
    /// Where the weights are that a stage of `plan` starts from: in the path that was given, if no earlier stage of the
    /// plan leaves them.
    fn starts<'a>(
        &'a self,
        plan: &Plan,
        stage: Stage,
        stages: &Stages,
        run: &'a RunDir,
    ) -> WeightSource<'a> {
        let made_here = plan.leaves_start_of(stage, stages);
        let from = self.from.as_deref().filter(|_| !made_here);
        WeightSource::of(run, stage, from)
    }

    /// Each stage of `run` that was begun with other weights than those that --from names, with an error that says so.
    fn begun_otherwise(
        &self,
        plan: &Plan,
        experiment: &Experiment,
        run: &RunDir,
        devices: &Devices,
    ) -> Vec<(Stage, TrainerError)> {
        let begun = plan.stages.iter().copied().filter(|&stage| {
            let state = run.stage(stage.name()).state();
            state != StageState::Fresh && !plan.leaves_start_of(stage, &experiment.stages)
        });
        let otherwise = begun.filter_map(|stage| {
            let from = self.from.as_deref()?;
            let checked = check_start(experiment, stage, run, from, devices);
            checked.err().map(|error| (stage, error))
        });
        otherwise.collect()
    }

    /// That the stages of a run that was named were begun with what --from names; one that is finished stays as it is,
    /// whatever is named now.
    fn check_from(
        &self,
        plan: &Plan,
        experiment: &Experiment,
        run: &RunDir,
        devices: &Devices,
    ) -> anyhow::Result<()> {
        for (stage, error) in self.begun_otherwise(plan, experiment, run, devices) {
            if run.stage(stage.name()).state() != StageState::Finished {
                return Err(error.into());
            }
            eprintln!("note: {stage} is finished, and isn't done again: {error}");
        }
        Ok(())
    }
}

/// What is known of the sounds without a look at them: of the training split as a whole from an earlier call of the same run. Where
/// nothing is trained, it is also taken from the run that is tested, or whose checkpoint is, and so is what is in each file, so that a
/// file of the training split isn't opened.
///
/// # Errors
/// Nothing is trained, and nothing is known: a test listens to no sound of the training split.
fn known_sounds(
    arguments: &RunArguments,
    plan: &Plan,
    named: Option<&RunDir>,
) -> anyhow::Result<Findings> {
    /// A run, its stage, `checkpoints`, and one of them.
    const LEVELS: usize = 4;
    let from = arguments.from.as_deref().filter(|_| plan.only_tests());
    let tested = from
        .into_iter()
        .flat_map(|path| path.ancestors().take(LEVELS));
    for run in named.cloned().into_iter().chain(tested.map(RunDir::at)) {
        if let Some(statistics) = run.statistics()? {
            // Training looks at every file.
            let index = plan.only_tests().then(|| run.index()).flatten();
            return Ok(Findings {
                statistics: Some(statistics),
                index,
            });
        }
    }
    // A dry run tests new weights, which tells nothing but sizes and speed.
    if plan.only_tests() && !arguments.dry_run {
        let place = match (from, named) {
            (Some(path), _) => format!("{} or the run around it", path.display()),
            (None, Some(run)) => run.path().display().to_string(),
            (None, None) => arguments.out.display().to_string(),
        };
        bail!(
            "a test listens to no training sound, and takes from its run what was measured of them; there is no \
             {STATISTICS_FILE} in {place}: name the run that is tested with --name or --from, or copy that file from it \
             to beside the weights"
        );
    }
    Ok(Findings::default())
}

/// The last run of this kind without a name of its own that has the same settings, began with the weights that are named, if
/// any are, was interrupted, and is no other process's: calling the same once more goes on with it.
fn unfinished(
    arguments: &RunArguments,
    plan: &Plan,
    experiment: &Experiment,
    devices: &Devices,
) -> Option<RunDir> {
    let is_unfinished = |run: &RunDir| {
        // A call ends with the report. Parameter stages may have been left out.
        let has_report = run.path().join("report.html").is_file();
        let lacks = |stage: &Stage| match run.stage(stage.name()).state() {
            StageState::Finished => false,
            StageState::Interrupted => true,
            StageState::Fresh => !(has_report && stage.is_labelled()),
        };
        !has_report || plan.stages.iter().any(lacks)
    };
    let run = RunDir::unnamed(&arguments.out, plan.label)
        .into_iter()
        .find(|run| {
            let begun_otherwise = || arguments.begun_otherwise(plan, experiment, run, devices);
            is_unfinished(run) && run.is_open_to(experiment) && begun_otherwise().is_empty()
        })?;
    if !arguments.dry_run {
        eprintln!(
            "going on with {}, which was interrupted; --name starts another",
            run.name()
        );
    }
    Some(run)
}

pub fn run(arguments: &RunArguments) -> anyhow::Result<()> {
    // Everything that can be wrong is looked at before a run is made.
    let mut plan = arguments.plan()?;
    let device_name: DeviceName = arguments.device.parse()?;
    RunDir::check(&arguments.out, arguments.name.as_deref())?;
    let named = arguments.name.as_ref();
    let named = named.map(|name| RunDir::at(&arguments.out.join(name)));
    let (settings, data) = (&arguments.experiment, arguments.data.as_deref());
    let experiment = settings.load(named.as_ref(), data)?;
    let devices = device_name.open()?;

    let named = match named {
        Some(run) => {
            // What can't go on is refused before its sounds are read.
            run.check_settings(&experiment)?;
            arguments.check_from(&plan, &experiment, &run, &devices)?;
            Some(run)
        }
        None => unfinished(arguments, &plan, &experiment, &devices),
    };
    let known = known_sounds(arguments, &plan, named.as_ref())?;
    eprintln!("reading {}", source_name(&experiment));
    // A dry run writes nothing, not even decoded sounds.
    let cache = (!arguments.dry_run).then(|| RunDir::sound_cache(&arguments.out));
    let opened = Session::open(experiment, cache.as_deref(), known)?;
    report_data(&opened);
    if plan.only_tests() && opened.files_opened() > 0 {
        eprintln!(
            "{} of them are not as an earlier call has left them, and were opened to see what they are",
            opened.files_opened()
        );
    }
    let sounds = opened.sounds();
    if let Some(run) = &named {
        match run.check_sounds(sounds) {
            // Nothing goes on; what is tested is said in its summary.
            Err(error @ TrainerError::SoundsDiffer { .. }) if plan.only_tests() => {
                eprintln!("warning: {error}");
            }
            checked => checked?,
        }
    }
    if arguments.run == Some(Scope::All) && opened.parameters().is_none() {
        eprintln!("the parameters of these sounds aren't known: parameter stages are left out");
        plan.stages.retain(|stage| !stage.is_labelled());
    }
    if arguments.dry_run {
        print(opened.experiment().to_toml())?;
        for &stage in &plan.stages {
            let prepared = opened.stage(stage, WeightSource::Nowhere)?;
            print(prepared.plan(&devices))?;
            print(prepared.dry_run(&devices)?)?;
        }
        return Ok(());
    }

    // What stages start from has to be there already, where no earlier one leaves it.
    let missing = RunDir::at(&arguments.out);
    let there = named.as_ref().unwrap_or(&missing);
    let stages = opened.experiment().stages.clone();
    let starts = |stage, run| arguments.starts(&plan, stage, &stages, run);
    let unfinished = |stage: &&Stage| there.stage(stage.name()).state() != StageState::Finished;
    for &stage in plan.stages.iter().filter(unfinished) {
        opened.check(stage)?;
        if !plan.leaves_start_of(stage, &stages)
            || there.stage(stage.name()).state() == StageState::Interrupted
        {
            opened.stage(stage, starts(stage, there))?;
        }
    }

    let name = named.as_ref().map(RunDir::name);
    let run = RunDir::open(&arguments.out, name, plan.label)?;
    let _lock = opened.begin(&run)?;
    eprintln!("run {} in {}", run.name(), run.path().display());
    let held_out = opened.dataset().indices(stft_data::Split::Test).len();
    let mut eta = PipelineEta::new(&plan.stages, opened.experiment(), held_out);
    for (place, stage) in plan.stages.iter().enumerate() {
        let directory = run.stage(stage.name());
        if directory.state() == StageState::Finished {
            // Those of a stage that trained; a test's summary is of another kind.
            let summary = Summary::read(&directory.summary()).ok();
            let timed = summary.map_or((0, 0.0), |summary| (summary.steps, summary.seconds));
            eta.finished(place, timed);
        }
    }
    for (place, &stage) in plan.stages.iter().enumerate() {
        let directory = run.stage(stage.name());
        match directory.state() {
            StageState::Finished => {
                print(format_args!(
                    "{stage} is finished already: {}",
                    directory.summary().display()
                ))?;
                // Nothing is done again, so that nothing is refused either.
                if let Err(error) = check_finished(opened.experiment(), stage, &run, &devices) {
                    eprintln!("warning: {error}");
                }
                continue;
            }
            StageState::Interrupted => eprintln!("{stage} was interrupted, and goes on"),
            StageState::Fresh => eprintln!("{stage}"),
        }
        let prepared = opened.stage(stage, starts(stage, &run))?;
        let mut progress = Progress::new(&eta, place);
        let summary = prepared.run(&run, &devices, &mut progress)?;
        let timed = progress.timed();
        drop(progress);
        eta.finished(place, timed);
        say(&run, stage, &summary)?;
    }
    let page = write_report(run.path(), None)?;
    print(format_args!("report  {}", page.display()))?;
    print(format_args!(
        "curves  tensorboard --logdir {}",
        run.path().display()
    ))
}

fn say(run: &RunDir, stage: Stage, summary: &StageReport) -> anyhow::Result<()> {
    let directory = run.stage(stage.name());
    print(summary)?;
    // Nothing may be held out for heads to draw.
    if directory.picture().is_file() {
        let path = directory.picture();
        print(format_args!("  picture           {}", path.display()))?;
    }
    print(format_args!(
        "  numbers           {}",
        directory.summary().display()
    ))
}

fn source_name(experiment: &Experiment) -> String {
    match &experiment.source.path {
        trainer::SoundSource::Synth(voice) => format!(
            "{} patches of the embedded synthesizer's {voice} voice",
            experiment.source.synth_examples
        ),
        trainer::SoundSource::Files(path) => path.display().to_string(),
    }
}

fn report_data(prepared: &Session) {
    if prepared.files_used() > 0 {
        eprintln!(
            "{} files used, {} rejected",
            prepared.files_used(),
            prepared.rejected().len()
        );
    }
    tell_rejected(prepared.rejected());
    let count = |split| prepared.dataset().indices(split).len();
    eprintln!(
        "{} examples to train, {} to validate, {} held out for testing",
        count(stft_data::Split::Train),
        count(stft_data::Split::Valid),
        count(stft_data::Split::Test)
    );
}
