//! The stages of a call, in their order: which run they belong to, what they start from, which are finished.

use std::path::{Path, PathBuf};

use crate::error::TrainerError;
use crate::output::summary::StageReport;
use crate::run::run_dir::{REPORT_FILE, RunDir};
use crate::run::stage_dir::{StageDir, StageState};
use crate::settings::experiment::Experiment;
use crate::settings::stage::{Stage, StageGroup};
use crate::settings::stages::Stages;
use crate::stages::lineage::WeightSource;
use crate::stages::session::Session;
use crate::stages::start::{check_finished, check_start};
use crate::training::devices::Devices;
use crate::training::observe::Observer;

/// Which stages a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of one group.
    Group(StageGroup),
    /// Every stage.
    All,
    /// One.
    Stage(Stage),
}

/// Stages that are run one after another, each initialised from an earlier one or from `--from`.
#[derive(Clone, Debug)]
pub struct Pipeline {
    stages: Vec<Stage>,
    label: &'static str,
    from: Option<PathBuf>,
}

/// What happens in a pipeline.
#[derive(Debug)]
pub enum PipelineEvent<'a> {
    /// The stage was finished by an earlier call and is skipped.
    Skipped {
        /// Its directory.
        directory: &'a StageDir,
        /// Why its result may be out of date: the weights that it was initialised from were replaced since.
        replaced: Option<TrainerError>,
    },
    /// The stage is finished.
    Finished {
        /// Its directory.
        directory: &'a StageDir,
        /// Its result.
        report: &'a StageReport,
    },
}

/// Follows a pipeline.
pub trait PipelineObserver {
    /// Follows the training of `stage`, which begins, or resumes where it was interrupted. It is the one at `place` of
    /// `count`, from 0.
    fn stage<'a>(
        &'a mut self,
        stage: Stage,
        place: usize,
        count: usize,
        resumes: bool,
    ) -> Box<dyn Observer + 'a>;

    /// Takes note of what happened to `stage`.
    ///
    /// # Errors
    /// What is to be shown can't be written; this stops the pipeline.
    fn observe(&mut self, stage: Stage, event: PipelineEvent) -> Result<(), TrainerError>;
}

impl Pipeline {
    /// The stages of `scope`. `from` is a run, or the directory of a stage or checkpoint, with the weights that those stages
    /// start from whose start no earlier stage of the pipeline trains.
    pub fn new(scope: Scope, from: Option<PathBuf>) -> Self {
        let (stages, label) = match scope {
            Scope::Group(group) => {
                let label = match group {
                    StageGroup::Pretrain => "pretrain",
                    StageGroup::Train => "train",
                    StageGroup::Test => "test",
                    StageGroup::Parameters => "parameters",
                };
                (Stage::of(group).collect(), label)
            }
            Scope::All => (Stage::ALL.to_vec(), "all"),
            Scope::Stage(stage) => (vec![stage], stage.name()),
        };
        Self {
            stages,
            label,
            from,
        }
    }

    /// The stages, in their order.
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// What a run without a name is called after.
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// Whether nothing is trained.
    pub fn only_tests(&self) -> bool {
        self.stages.iter().all(|stage| stage.is_test())
    }

    /// Leaves out the stages that need labels.
    pub fn without_labelled(&mut self) {
        self.stages.retain(|stage| !stage.is_labelled());
    }

    /// Whether an earlier stage of the pipeline trains the weights that `stage` starts from.
    fn trains_start_of(&self, stage: Stage, stages: &Stages) -> bool {
        let needs = stage.starts_from(stages);
        needs.is_some_and(|needs| needs != stage && self.stages.contains(&needs))
    }

    fn source<'a>(&'a self, stage: Stage, stages: &Stages, run: &'a RunDir) -> WeightSource<'a> {
        let is_trained_here = self.trains_start_of(stage, stages);
        let from = self.from.as_deref().filter(|_| !is_trained_here);
        WeightSource::of(run, stage, from)
    }

    /// Each stage of `run` that was initialised from other weights than those of `from`, with an error that says so.
    fn differing_starts(
        &self,
        experiment: &Experiment,
        run: &RunDir,
        devices: &Devices,
    ) -> Vec<(Stage, TrainerError)> {
        let Some(from) = self.from.as_deref() else {
            return Vec::new();
        };
        let begun = self.stages.iter().copied().filter(|&stage| {
            let state = run.stage(stage.name()).state();
            state != StageState::Fresh && !self.trains_start_of(stage, &experiment.stages)
        });
        let differs = |stage| {
            let checked = check_start(experiment, stage, run, from, devices);
            checked.err().map(|error| (stage, error))
        };
        begun.filter_map(differs).collect()
    }

    /// Checks that the unfinished stages of `run` were initialised from the weights of `from`. Returns the finished ones that
    /// were not, each with the difference: they stay as they are.
    ///
    /// # Errors
    /// As [`check_start`].
    pub fn check_from(
        &self,
        experiment: &Experiment,
        run: &RunDir,
        devices: &Devices,
    ) -> Result<Vec<(Stage, TrainerError)>, TrainerError> {
        let is_finished = |stage: Stage| run.stage(stage.name()).state() == StageState::Finished;
        let mut differing = self.differing_starts(experiment, run, devices);
        match differing.iter().position(|(stage, _)| !is_finished(*stage)) {
            Some(place) => Err(differing.swap_remove(place).1),
            None => Ok(differing),
        }
    }

    /// The newest unnamed run of this kind in `out` that was interrupted and can be resumed: it has the same settings, was
    /// initialised from the weights of `from`, if any are given, and no process works on it.
    pub fn interrupted_run(
        &self,
        out: &Path,
        experiment: &Experiment,
        devices: &Devices,
    ) -> Option<RunDir> {
        let is_unfinished = |run: &RunDir| {
            // A call ends with the report. Parameter stages may have been left out.
            let has_report = run.path().join(REPORT_FILE).is_file();
            let lacks = |stage: &Stage| match run.stage(stage.name()).state() {
                StageState::Finished => false,
                StageState::Interrupted => true,
                StageState::Fresh => !(has_report && stage.is_labelled()),
            };
            !has_report || self.stages.iter().any(lacks)
        };
        let mut runs = RunDir::unnamed(out, self.label).into_iter();
        runs.find(|run| {
            is_unfinished(run)
                && run.is_open_to(experiment)
                && self.differing_starts(experiment, run, devices).is_empty()
        })
    }

    /// Checks, before anything is written, that `session` has the sounds and `run` (or `from`) the weights that the unfinished
    /// stages need, unless an earlier stage of the pipeline trains them.
    ///
    /// # Errors
    /// As [`Session::stage`].
    pub fn check(&self, session: &Session, run: &RunDir) -> Result<(), TrainerError> {
        let stages = &session.experiment().stages;
        for &stage in &self.stages {
            let state = run.stage(stage.name()).state();
            if state == StageState::Finished {
                continue;
            }
            session.check(stage)?;
            if state == StageState::Interrupted || !self.trains_start_of(stage, stages) {
                session.stage(stage, self.source(stage, stages, run))?;
            }
        }
        Ok(())
    }

    /// Runs the stages in `run`. A stage that is finished is skipped; one that was interrupted resumes.
    ///
    /// # Errors
    /// As [`Session::stage`] and [`StageRun::run`](crate::StageRun::run).
    pub fn run(
        &self,
        session: &Session,
        run: &RunDir,
        devices: &Devices,
        observer: &mut dyn PipelineObserver,
    ) -> Result<(), TrainerError> {
        let _run = tracing::info_span!("run", name = run.name()).entered();
        let stages = &session.experiment().stages;
        for (place, &stage) in self.stages.iter().enumerate() {
            let directory = &run.stage(stage.name());
            let state = directory.state();
            if state == StageState::Finished {
                let checked = check_finished(session.experiment(), stage, run, devices);
                let replaced = checked.err();
                observer.observe(
                    stage,
                    PipelineEvent::Skipped {
                        directory,
                        replaced,
                    },
                )?;
                continue;
            }
            let resumes = state == StageState::Interrupted;
            let mut progress = observer.stage(stage, place, self.stages.len(), resumes);
            let stage_run = session.stage(stage, self.source(stage, stages, run))?;
            let report = &stage_run.run(run, devices, &mut *progress)?;
            drop(progress);
            observer.observe(stage, PipelineEvent::Finished { directory, report })?;
        }
        Ok(())
    }
}
