//! `inversynth label-efficiency`: what pretraining is worth where labels are few.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use matching::Panel;
use report::{Finetuning, LabelEfficiency};
use stft_data::{Split, TrainStatistics};
use trainer::{
    AutoencoderStart, Devices, OpenExperiment, ParameterErrors, ParameterPredictor, RunDir, Stage,
    StageState, StartsIn, Summary, TransformerStart,
};

use crate::backend::DeviceName;
use crate::command::experiment::ExperimentArguments;
use crate::pipeline_eta::PipelineEta;
use crate::print;
use crate::progress::Progress;
use crate::rendering::render_as_long_as;

#[derive(Args)]
pub struct LabelEfficiencyArguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Directory or list of labelled sounds, or "synth" for the embedded synthesizer
    #[arg(long, value_name = "PATH|synth")]
    data: Option<String>,
    /// Shares of the training sounds' labels
    #[arg(long, value_name = "SHARE", value_delimiter = ',', default_values_t = [0.01, 0.1, 1.0])]
    shares: Vec<f64>,
    /// Seeds: of sounds or their splits, of pretraining and of finetuning
    #[arg(long, value_name = "SEED", value_delimiter = ',', default_values_t = [0, 1, 2])]
    seeds: Vec<u64>,
    /// Ways to begin
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = Start::ALL)]
    starts: Vec<Start>,
    /// Directory that studies are kept in
    #[arg(long, value_name = "DIR", default_value = "runs")]
    out: PathBuf,
    /// Name of the study: of a new one, or of one to go on with
    #[arg(long, default_value = "label-efficiency")]
    name: String,
    /// `cpu`, `wgpu`, `cuda`, or one of several, such as `cuda:1`
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// An encoder under parameter heads, and where its weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Start {
    /// The U-Net's encoder as it is drawn
    UnetScratch,
    /// The U-Net's encoder from masked pretraining
    UnetMasked,
    /// The Transformer's encoder as it is drawn
    TransformerScratch,
    /// The Transformer's encoder from contrastive pretraining
    TransformerContrastive,
    /// The Transformer's encoder after encoder and decoder were trained together
    TransformerFull,
}

impl Start {
    const ALL: [Self; 5] = [
        Self::UnetScratch,
        Self::UnetMasked,
        Self::TransformerScratch,
        Self::TransformerContrastive,
        Self::TransformerFull,
    ];

    /// What tables call it.
    fn title(self) -> &'static str {
        match self {
            Self::UnetScratch => "U-Net, scratch",
            Self::UnetMasked => "U-Net, masked pretraining",
            Self::TransformerScratch => "Transformer, scratch",
            Self::TransformerContrastive => "Transformer, contrastive pretraining",
            Self::TransformerFull => "Transformer, full",
        }
    }

    /// The stage with the heads.
    fn stage(self) -> Stage {
        match self {
            Self::UnetScratch | Self::UnetMasked => Stage::FinetuneParametersAutoencoder,
            Self::TransformerScratch | Self::TransformerContrastive | Self::TransformerFull => {
                Stage::FinetuneParametersTransformer
            }
        }
    }

    /// The stages whose weights it begins with, in their order.
    fn pretraining(self) -> &'static [Stage] {
        match self {
            Self::UnetScratch | Self::TransformerScratch => &[],
            Self::UnetMasked => &[Stage::PretrainAutoencoderMae],
            Self::TransformerContrastive => &[Stage::PretrainTransformerContrastive],
            Self::TransformerFull => &[
                Stage::PretrainTransformerContrastive,
                Stage::TrainTransformerDecoder,
                Stage::TrainFullTransformer,
            ],
        }
    }
}

impl std::fmt::Display for Start {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = clap::ValueEnum::to_possible_value(self).expect("none is left out");
        out.write_str(value.get_name())
    }
}

/// What a finetuning differs by.
#[derive(Clone, Copy)]
struct Cell {
    start: Start,
    share: f64,
    seed: u64,
}

/// What came of it.
struct Finetuned {
    heads: Finetuning,
    /// What they have to beat: the labels' average and the nearest example.
    floors: Vec<Finetuning>,
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
    let LabelEfficiencyArguments {
        shares,
        seeds,
        starts,
        ..
    } = arguments;
    let count = seeds.len() * shares.len() * starts.len();
    let begun = Instant::now();
    let (mut heads, mut floors) = (Vec::new(), Vec::new());
    let mut result = LabelEfficiency::default();
    // Seed by seed, so that a study that was broken off has whole seeds.
    for &seed in seeds {
        study.pretrain(seed)?;
        for &share in shares {
            for (place, &start) in starts.iter().enumerate() {
                let finetuned = study.finetune(Cell { start, share, seed })?;
                heads.push(finetuned.heads);
                // They are the same from every start.
                if place == 0 {
                    floors.extend(finetuned.floors);
                }
                eprintln!(
                    "{} of {count} finetunings, after {:.0} min: seed {seed}, {} labels, {}",
                    heads.len(),
                    begun.elapsed().as_secs_f64() / 60.0,
                    heads[heads.len() - 1].labels,
                    start.title(),
                );
                result.finetunings = heads.iter().chain(&floors).cloned().collect();
                result
                    .write(&study.directory)
                    .with_context(|| format!("can't write to {}", study.directory.display()))?;
            }
        }
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

    /// The run whose weights the finetunings of a seed begin with.
    fn pretraining(&self, seed: u64) -> RunDir {
        RunDir::at(&self.seed_directory(seed).join("pretraining"))
    }

    fn open(
        &self,
        seed: u64,
        change: impl FnOnce(&mut trainer::Stages),
        statistics: Option<TrainStatistics>,
    ) -> anyhow::Result<OpenExperiment> {
        let mut experiment = self
            .arguments
            .experiment
            .load(self.arguments.data.as_deref())?;
        experiment.seed = seed;
        change(&mut experiment.stages);
        let cache = RunDir::sound_cache(&self.arguments.out);
        let opened = OpenExperiment::open(experiment, Some(&cache), statistics)?;
        if opened.parameters().is_none() {
            bail!(
                "the parameters of these sounds aren't known; a manifest.jsonl beside a params.json tells them"
            );
        }
        if opened.dataset().indices(Split::Test).is_empty() {
            bail!("no sound is held out for testing; set data.split.test");
        }
        Ok(opened)
    }

    /// All that the chosen ways to begin need, but what is finished.
    fn pretrain(&self, seed: u64) -> anyhow::Result<()> {
        let needed = |stage: &Stage| {
            let mut starts = self.arguments.starts.iter();
            starts.any(|start| start.pretraining().contains(stage))
        };
        let stages: Vec<Stage> = Stage::ALL.into_iter().filter(needed).collect();
        let run = self.pretraining(seed);
        if stages
            .iter()
            .all(|stage| run.stage(stage.name()).state() == StageState::Finished)
        {
            return Ok(());
        }
        let opened = self.open(seed, |_| (), run.statistics()?)?;
        for stage in stages {
            self.train(&opened, stage, "pretraining", None)?;
        }
        Ok(())
    }

    fn finetune(&self, cell: Cell) -> anyhow::Result<Finetuned> {
        let Cell { start, share, seed } = cell;
        let name = format!("{start}-{share}");
        let run = RunDir::at(&self.seed_directory(seed).join(&name));
        let stage = start.stage();
        let pretraining = self.pretraining(seed);
        let statistics = match run.statistics()? {
            Some(statistics) => Some(statistics),
            None => pretraining.statistics()?,
        };
        let opened = self.open(seed, |stages| choose(stages, start, share), statistics)?;
        let from = (!start.pretraining().is_empty()).then_some(pretraining.path());
        let summary = match self.train(&opened, stage, &name, from)? {
            Some(summary) => summary,
            None => read_json(&run.stage(stage.name()).summary())?,
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
                seed,
                test_examples: test.test_examples,
                figures: figures
                    .into_iter()
                    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
                    .collect(),
            }
        };
        let (own, others) = test
            .estimates
            .split_first()
            .context("nothing was estimated")?;
        let mut heads = row(start.title(), own);
        heads.figures.extend(self.distances(&opened, &run, stage)?);
        let floors = others.iter().map(|errors| row(&errors.estimator, errors));
        Ok(Finetuned {
            heads,
            floors: floors.collect(),
        })
    }

    /// Trains a stage of the run `name`, unless it is finished.
    fn train(
        &self,
        opened: &OpenExperiment,
        stage: Stage,
        name: &str,
        from: Option<&Path>,
    ) -> anyhow::Result<Option<Summary>> {
        let seeds = self.seed_directory(opened.experiment().seed);
        let run = RunDir::open(&seeds, Some(name), name)?;
        let _lock = run.begin(opened.experiment(), opened.dataset().statistics())?;
        let starts = match (run.stage(stage.name()).state(), from) {
            (StageState::Finished, _) => return Ok(None),
            (StageState::Interrupted, _) => StartsIn::Itself(&run),
            (StageState::Fresh, Some(path)) => StartsIn::Path(path),
            (StageState::Fresh, None) => StartsIn::Run(&run),
        };
        let held_out = opened.dataset().indices(Split::Test).len();
        let eta = PipelineEta::new(&[stage], opened.experiment(), held_out);
        let mut progress = Progress::new(&eta, 0);
        eprintln!("{}, {stage}", run.path().display());
        match opened
            .stage(stage, starts)?
            .run(&run, &self.devices, &mut progress)?
        {
            trainer::StageReport::Trained(summary) => Ok(Some(summary)),
            trainer::StageReport::Tested(_) => bail!("{stage} trains nothing"),
        }
    }

    /// Mean distances between held-out sounds and what the embedded synthesizer makes of their estimated parameters;
    /// none for another synthesizer's. They are kept beside the stage's summary.
    fn distances(
        &self,
        opened: &OpenExperiment,
        run: &RunDir,
        stage: Stage,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        if opened.parameters() != Some(synth::spec()) {
            return Ok(BTreeMap::new());
        }
        let kept = run.stage(stage.name()).path().join("rerendered.json");
        if kept.is_file() {
            return read_json(&kept);
        }
        let predictor = ParameterPredictor::open(run.path(), Some(stage), &self.devices.compute)?;
        let panel = Panel::new(opened.experiment().data.clip.sample_rate_hz)?;
        let dataset = opened.dataset();
        let held_out = dataset.indices(Split::Test);
        let mut means: BTreeMap<String, f64> = BTreeMap::new();
        for &index in held_out {
            let sound = dataset.source().load(index)?;
            let patch = predictor.spec().decode(&predictor.predict(&sound)?)?;
            let (_, distances) = render_as_long_as(&sound, &patch, &panel)?;
            for (name, distance) in distances {
                *means.entry(name.to_owned()).or_default() += distance / held_out.len() as f64;
            }
        }
        // Another name first: a file that is there is whole.
        let unfinished = kept.with_extension("tmp");
        serde_json::to_writer_pretty(File::create(&unfinished)?, &means)?;
        fs::rename(&unfinished, &kept)?;
        Ok(means)
    }
}

/// Sets where the heads' encoder begins and how many labels there are.
fn choose(stages: &mut trainer::Stages, start: Start, share: f64) {
    let (unet, transformer) = (
        &mut stages.finetune_parameters_autoencoder,
        &mut stages.finetune_parameters_transformer,
    );
    match start {
        Start::UnetScratch => unet.start = AutoencoderStart::Scratch,
        Start::UnetMasked => unet.start = AutoencoderStart::PretrainAutoencoderMae,
        Start::TransformerScratch => transformer.start = TransformerStart::Scratch,
        Start::TransformerContrastive => {
            transformer.start = TransformerStart::PretrainTransformerContrastive;
        }
        Start::TransformerFull => transformer.start = TransformerStart::TrainFullTransformer,
    }
    unet.label_fraction = share;
    transformer.label_fraction = share;
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text =
        fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("can't read {}", path.display()))
}
