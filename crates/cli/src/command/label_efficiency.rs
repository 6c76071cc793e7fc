//! `inversynth label-efficiency`: the value of pretraining with few labels.

mod start;
mod time_left;

use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use report::{Finetuning, LabelEfficiency};
use start::Start;
use stft_data::Split;
use time_left::TimeLeft;
use trainer::{
    Devices, Experiment, ParameterErrors, RunDir, Session, SoundSource, Stage, StageReport,
    StageState, Summary, TrainerError, Training, WeightSource, check_start,
};

use crate::backend::DeviceName;
use crate::command::experiment::ExperimentArguments;
use crate::logging::{note, warning};
use crate::print;
use crate::progress::Progress;

#[derive(Args)]
pub struct LabelEfficiencyArguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Directory or list of labelled sounds, or "synth" or "synth:fm" for the embedded synthesizer
    #[arg(long, value_name = "PATH|synth")]
    data: Option<String>,
    /// Shares of the training sounds' labels
    #[arg(long, value_name = "SHARE", value_delimiter = ',', default_values_t = [0.01, 0.1, 1.0])]
    shares: Vec<f64>,
    /// Seeds: of the synthesizer's sounds, of pretraining, and of finetuning and its choice of labels; files are split by
    /// their content, so that all seeds hold out the same
    #[arg(long, value_name = "SEED", value_delimiter = ',', default_values_t = [0, 1, 2], value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seeds: Vec<u64>,
    /// Initialisations
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Start::ALL)]
    starts: Vec<Start>,
    /// Directory that studies are kept in
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Name of the study: a new one, or one to resume; tables and plot cover the last call's starts, shares and seeds
    #[arg(long, default_value = "label-efficiency")]
    name: String,
    /// `cpu`, `wgpu`, `cuda`, or one of several, such as `cuda:1`
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// One fine-tuning.
#[derive(Clone, Copy)]
struct Cell {
    start: Start,
    share: f64,
    seed: u64,
}

/// Its result.
struct Finetuned {
    heads: Finetuning,
    /// The baselines: the labels' average and the nearest example.
    baselines: Vec<Finetuning>,
}

pub fn run(arguments: &LabelEfficiencyArguments) -> anyhow::Result<()> {
    for &share in &arguments.shares {
        if !(share > 0.0 && share <= 1.0) {
            bail!("--shares: expected numbers above 0 and up to 1, got {share}");
        }
    }
    let study = Study {
        arguments,
        directory: arguments.out.join(&arguments.name),
        devices: arguments.device.parse::<DeviceName>()?.open()?,
    };
    RunDir::check(&arguments.out, None)?;
    let mut parts = Path::new(&arguments.name).components();
    if !matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    ) {
        bail!(
            "--name: expected the name of a directory, got `{}`",
            arguments.name
        );
    }
    let starts = unique(&arguments.starts);
    let mut cells = Vec::new();
    // Seed by seed, so that an interrupted study has whole seeds.
    for &seed in &unique(&arguments.seeds) {
        for &share in &unique(&arguments.shares) {
            cells.extend(starts.iter().map(|&start| Cell { start, share, seed }));
        }
    }
    let (mut heads, mut baselines) = (Vec::new(), Vec::new());
    let mut result = LabelEfficiency::default();
    let mut time_left = TimeLeft::default();
    let mut sounds: Option<Session> = None;
    for (place, &cell) in cells.iter().enumerate() {
        // Another seed's sounds are dropped before new ones are read.
        let kept = sounds.take();
        let kept = kept.filter(|session| session.experiment().seed == cell.seed);
        let session = match kept {
            Some(session) => session,
            None => study.pretrained(cell)?,
        };
        let session = sounds.insert(session);
        let source = &session.experiment().source;
        result.seeds_share_sounds = matches!(source.path, SoundSource::Files(_));
        let untrained = |cell: &&Cell| !study.is_finished(**cell);
        let trains = untrained(&&cell);
        note!(
            "fine-tuning {} of {}{}: seed {}, {} of the labels, {}",
            place + 1,
            cells.len(),
            time_left.after(cells[place..].iter().filter(untrained).count()),
            cell.seed,
            cell.share,
            cell.start.title(),
        );
        let begun = Instant::now();
        let finetuned = study.finetune(session, cell)?;
        if trains {
            time_left.took(begun.elapsed());
        }
        heads.push(finetuned.heads);
        // They are the same from every start.
        if cell.start == starts[0] {
            baselines.extend(finetuned.baselines);
        }
        result.finetunings = heads.iter().chain(&baselines).cloned().collect();
        result
            .write(&study.directory)
            .with_context(|| format!("can't write to {}", study.directory.display()))?;
    }
    print(&result)?;
    let written = study.directory.join("label-efficiency");
    print(format_args!(
        "\nplot and numbers  {}.svg, .json, .md",
        written.display()
    ))
}

struct Study<'a> {
    arguments: &'a LabelEfficiencyArguments,
    directory: PathBuf,
    devices: Devices,
}

impl Study<'_> {
    fn seed_directory(&self, seed: u64) -> PathBuf {
        self.directory.join(format!("seed-{seed}"))
    }

    /// The run whose weights the fine-tunings of a seed start from.
    fn pretraining(&self, seed: u64) -> RunDir {
        RunDir::at(&self.seed_directory(seed).join("pretraining"))
    }

    /// The sounds of a seed, whose first cell is `cell`, once the unfinished pretraining stages that the chosen starts need have been
    /// run on them.
    fn pretrained(&self, cell: Cell) -> anyhow::Result<Session> {
        let arguments = &self.arguments;
        let mut experiment = arguments.experiment.load(None, arguments.data.as_deref())?;
        experiment.seed = cell.seed;
        let run = self.pretraining(cell.seed);
        run.check_settings(&experiment)?;
        let statistics = match run.statistics()? {
            Some(statistics) => Some(statistics),
            None => self.run_of(cell).statistics()?,
        };
        let session = Session::open(experiment, statistics)?;
        if session.parameters().is_none() {
            bail!("these sounds have no labels; label them with manifest.jsonl and params.json");
        }
        session.check_held_out()?;
        let needed = |stage: &Stage| {
            let mut starts = self.arguments.starts.iter();
            starts.any(|start| start.pretraining().contains(stage))
        };
        // Finished stages have to be of these sounds, too.
        for stage in Stage::ALL.iter().copied().filter(needed) {
            self.train(&session, stage, "pretraining", None)?;
        }
        Ok(session)
    }

    fn run_of(&self, cell: Cell) -> RunDir {
        RunDir::at(&self.seed_directory(cell.seed).join(cell.name()))
    }

    fn is_finished(&self, cell: Cell) -> bool {
        let stage = self.run_of(cell).stage(cell.start.stage().name());
        stage.state() == StageState::Finished
    }

    /// Checks that earlier fine-tunings started from the present weights of pretraining.
    fn check_start(&self, experiment: &Experiment, cell: Cell, from: &Path) -> anyhow::Result<()> {
        let (run, stage) = (self.run_of(cell), cell.start.stage());
        match check_start(experiment, stage, &run, from, &self.devices) {
            Err(TrainerError::StartChanged { there, here, .. }) => bail!(
                "{stage} of the run at {run} was initialised from {there}, which pretraining has replaced by {here}; restore the \
                 former, remove {run} to fine-tune again, or start another study with --name",
                run = run.path().display()
            ),
            checked => Ok(checked?),
        }
    }

    fn finetune(&self, session: &Session, cell: Cell) -> anyhow::Result<Finetuned> {
        let Cell { start, share, seed } = cell;
        let run = self.run_of(cell);
        let stage = start.stage();
        let pretraining = self.pretraining(seed);
        let mut stages = session.experiment().stages.clone();
        start.choose(&mut stages);
        stages.finetune_parameters_autoencoder.label_fraction = share;
        stages.finetune_parameters_transformer.label_fraction = share;
        let session = session.with_stages(stages);
        run.check_settings(session.experiment())?;
        let from = (!start.pretraining().is_empty()).then_some(pretraining.path());
        if let Some(from) = from {
            self.check_start(session.experiment(), cell, from)?;
        }
        let summary = match self.train(&session, stage, &cell.name(), from)? {
            Some(summary) => summary,
            None => Summary::read(&run.stage(stage.name()).summary())?,
        };
        let test = summary
            .parameter_test
            .context("no sound was held out for testing")?;
        let row = |title: &str, errors: &ParameterErrors| {
            let figures = [
                ("cat_acc_mean", errors.cat_acc_mean),
                ("cont_mse", errors.cont_mse),
                ("cont_mae", errors.cont_mae),
            ];
            Finetuning {
                start: title.to_owned(),
                share,
                labels: test.labelled_examples,
                drawn: None,
                seed,
                test_examples: test.test_examples,
                figures: figures
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                    .chain(errors.distances.clone())
                    .collect(),
            }
        };
        let (own, others) = test
            .estimates
            .split_first()
            .context("nothing was estimated")?;
        let mut heads = row(start.title(), own);
        heads.drawn = Some(drawn(session.experiment().stages.training(stage)));
        let baselines = others.iter().map(|errors| row(&errors.estimator, errors));
        Ok(Finetuned {
            heads,
            baselines: baselines.collect(),
        })
    }

    /// Trains a stage of the run `name`, unless it is finished.
    fn train(
        &self,
        session: &Session,
        stage: Stage,
        name: &str,
        from: Option<&Path>,
    ) -> anyhow::Result<Option<Summary>> {
        let seeds = self.seed_directory(session.experiment().seed);
        let run = RunDir::open(&seeds, Some(name), name)?;
        run.check_sounds(session.sounds())?;
        let _lock = session.begin(&run)?;
        if run.stage(stage.name()).state() == StageState::Finished {
            return Ok(None);
        }
        let mut progress = Progress::new(0, 1);
        note!("{}, {stage}", run.path().display());
        let stage_run = session.stage(stage, WeightSource::of(&run, stage, from))?;
        let labels = stage_run.dataset().indices(Split::Train).len();
        let drawn = drawn(stage_run.training());
        if stage.is_labelled() && drawn < labels as u64 {
            warning!(
                "{stage} draws {drawn} examples and has {labels} labels, so some labels are never used; raise \
                 stages.{stage}.training.steps"
            );
        }
        match stage_run.run(&run, &self.devices, &mut progress)? {
            StageReport::Trained(summary) => Ok(Some(summary)),
            StageReport::Tested(_) => bail!("{stage} trains nothing"),
        }
    }
}

impl Cell {
    /// The name of its run.
    fn name(self) -> String {
        format!("{}-{}", self.start, self.share)
    }
}

/// Examples that a stage draws in training.
fn drawn(training: &Training) -> u64 {
    let of_a_step = (training.batch_size * training.accumulation_steps) as u64;
    training.steps.saturating_mul(of_a_step)
}

/// `given` without repetitions, in its order.
fn unique<T: Copy + PartialEq>(given: &[T]) -> Vec<T> {
    let mut kept = Vec::new();
    for one in given {
        if !kept.contains(one) {
            kept.push(*one);
        }
    }
    kept
}
