//! The work of a stage that tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use stft_data::Split;

use crate::error::TrainerError;
use crate::output::illustration::Illustration;
use crate::output::summary::{DryRun, Plan, StageReport, TestRow, TestSummary};
use crate::output::tensorboard::TensorBoard;
use crate::run::checkpoint::Checkpoint;
use crate::run::run_dir::RunDir;
use crate::stages::context::{StageContext, Work};
use crate::stages::lineage::NO_RECORD;
use crate::training::devices::Devices;
use crate::training::evaluation::Evaluation;
use crate::training::fit::notify;
use crate::training::memory::{MemoryEstimate, peak_rss_bytes};
use crate::training::observe::{Event, MetricsFile, Observer};
use crate::training::task::{ScoreName, Scored, Task};
use crate::training::weights::weights_sha256;

/// Scores trained models on the test split, with part of each spectrogram hidden and with nothing hidden.
pub(crate) struct TestStage<T> {
    /// Reconstruction of what is hidden.
    pub(crate) hidden: T,
    /// Reconstruction of the whole spectrogram.
    pub(crate) whole: T,
    /// Which of the two the tested model was trained for.
    pub(crate) trained_for: Scored,
    /// The model that is tested; none for a look at sizes and speed.
    pub(crate) tested: Option<Checkpoint>,
}

impl<T: Task> Work for TestStage<T> {
    fn run(
        &self,
        context: &StageContext,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError> {
        let started = Instant::now();
        let directory = run.stage(context.stage.name());
        directory.create()?;
        let mut metrics = MetricsFile::open(&directory.metrics(), None)?;
        directory.remove_events()?;
        let mut tensorboard = TensorBoard::create(&directory.tensorboard(), 0)?;

        let tested = self.tested.as_ref().expect("a test has weights to test");
        let model = self.load(tested, &devices.compute)?;
        let rows = self.rows(tested, &model, context, devices)?;
        let shown = context.training.pictured_examples.max(1);
        let evaluation = self.evaluation(self.trained_for, context, devices)?;
        let illustrations = evaluation.illustrate(self.task(self.trained_for), &model, shown)?;
        Illustration::keep(&illustrations, &directory)?;
        let summary = TestSummary {
            stage: context.stage.name().into(),
            run: run.name().into(),
            device: devices.name.clone(),
            seed: context.experiment.seed,
            provenance: context.provenance(devices)?,
            seconds: started.elapsed().as_secs_f64(),
            sounds_sha256: Some(context.sounds.sha256.clone()),
            test_examples: context.dataset.indices(Split::Test).len(),
            mask: context.dataset.config().mask,
            trained_for: self.trained_for,
            rows,
            parameters: model.num_params(),
            peak_rss_bytes: peak_rss_bytes(),
            weights_sha256: weights_sha256(&model),
        };
        notify(
            &mut [&mut metrics, &mut tensorboard, progress],
            &Event::Validated {
                split: "test",
                step: tested.progress.step,
                scalars: &summary.scalars(),
                best: false,
                illustrations: &illustrations,
            },
        )?;
        summary.write(&directory.summary())?;
        Ok(StageReport::Tested(summary))
    }

    fn plan(&self, context: &StageContext, devices: &Devices) -> Plan {
        let model = self.hidden.init(&devices.host);
        Plan {
            stage: context.stage.name().into(),
            // Nothing is kept for a backward pass.
            memory: MemoryEstimate::new(model.num_params(), 0),
            blocks: self.hidden.parts(&model),
        }
    }

    fn dry_run(&self, context: &StageContext, devices: &Devices) -> Result<DryRun, TrainerError> {
        let started = Instant::now();
        let evaluation = self.evaluation(self.trained_for, context, devices)?;
        let task = self.task(self.trained_for);
        let model = task.init(&devices.compute);
        let loss = |scores| named(scores)["loss"];
        Ok(DryRun {
            valid_loss: loss(evaluation.scores(task, &model)?),
            baseline: task.baseline_name().into(),
            baseline_loss: loss(evaluation.baseline(task)?),
            seconds: started.elapsed().as_secs_f64(),
            peak_rss_bytes: peak_rss_bytes(),
        })
    }
}

impl<T: Task> TestStage<T> {
    fn task(&self, scored: Scored) -> &T {
        match scored {
            Scored::Hidden => &self.hidden,
            Scored::Everything => &self.whole,
        }
    }

    fn load(&self, checkpoint: &Checkpoint, device: &Device) -> Result<T::Model, TrainerError> {
        checkpoint.load_model(self.hidden.init(device))
    }

    /// Scores of the tested model, of the one it was initialised from, if that still exists, and of the baseline.
    fn rows(
        &self,
        tested: &Checkpoint,
        model: &T::Model,
        context: &StageContext,
        devices: &Devices,
    ) -> Result<Vec<TestRow>, TrainerError> {
        let parent = context.parent(tested, devices);
        if parent.is_none() {
            warn_without_parent(tested);
        }
        let mut rows = Vec::new();
        for scored in [Scored::Hidden, Scored::Everything] {
            let evaluation = self.evaluation(scored, context, devices)?;
            let task = self.task(scored);
            let mut row = |model: &str, scores: Vec<(ScoreName, f64)>| {
                rows.push(TestRow {
                    model: model.to_owned(),
                    scored,
                    measures: named(scores),
                });
            };
            row(&tested.context.stage, evaluation.scores(task, model)?);
            if let Some(parent) = &parent {
                let model = self.load(parent, &devices.compute)?;
                row(&parent.context.stage, evaluation.scores(task, &model)?);
            }
            row(task.baseline_name(), evaluation.baseline(task)?);
        }
        Ok(rows)
    }

    /// The test split, under the stage's mask or under none.
    fn evaluation(
        &self,
        scored: Scored,
        context: &StageContext,
        devices: &Devices,
    ) -> Result<Evaluation, TrainerError> {
        let mut evaluation = context.held_out(devices);
        if scored == Scored::Everything {
            let mask = evaluation.dataset.config().mask.nothing_hidden();
            evaluation.dataset = Arc::new(evaluation.dataset.with_mask(mask)?);
        }
        Ok(evaluation)
    }
}

fn warn_without_parent(tested: &Checkpoint) {
    let provenance = tested.context.provenance.as_ref();
    let parent = provenance.map_or_else(
        || NO_RECORD.to_owned(),
        |provenance| format!("{provenance}, which no longer exists"),
    );
    tracing::warn!(
        "{} was initialised from {parent}: it is not compared with that",
        tested.path().display()
    );
}

/// `total_loss` is left out: `loss` says the same.
fn named(scores: Vec<(ScoreName, f64)>) -> BTreeMap<String, f64> {
    let owned = |(name, value): (ScoreName, f64)| (name.into_owned(), value);
    let once = scores.into_iter().filter(|(name, _)| name != "total_loss");
    once.map(owned).collect()
}
