//! The work of a stage that tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;
use stft_data::Split;

use crate::run::checkpoint::Checkpoint;
use crate::training::devices::Devices;
use crate::error::TrainerError;
use crate::training::evaluate::Evaluation;
use crate::training::fit::notify;
use crate::output::illustration::Illustration;
use crate::stages::job::Job;
use crate::training::memory::{MemoryEstimate, peak_rss_bytes};
use crate::training::observe::{Event, MetricsFile, Observer};
use crate::stages::session::nothing_hidden;
use crate::stages::stage_run::StageRun;
use crate::output::summary::{DryRun, Plan, StageReport, TestRow, TestSummary};
use crate::run::run_dir::RunDir;
use crate::training::task::{ScoreName, Task};
use crate::tasks::Scored;
use crate::output::tensorboard::TensorBoard;
use crate::training::weights::weights_sha256;

/// Scores trained models on the test split: what they make of a spectrogram with something hidden, and of
/// a whole one.
pub(crate) struct TestStage<T> {
    /// Guessing what is hidden.
    pub(crate) hidden: T,
    /// Reproducing what is in plain sight.
    pub(crate) whole: T,
    /// Which of the two the tested model was trained for.
    pub(crate) trained_for: Scored,
    /// The model that is tested; none for a look at sizes and speed.
    pub(crate) tested: Option<Checkpoint>,
}

impl<T: Task> Job for TestStage<T> {
    fn run(
        &self,
        prepared: &StageRun,
        run: &RunDir,
        devices: &Devices,
        progress: &mut dyn Observer,
    ) -> Result<StageReport, TrainerError> {
        let started = Instant::now();
        let directory = run.stage(prepared.stage.name());
        directory.create()?;
        let mut metrics = MetricsFile::open(&directory.metrics(), None)?;
        directory.forget_events()?;
        let mut tensorboard = TensorBoard::create(&directory.tensorboard(), 0)?;

        let tested = self.tested.as_ref().expect("a test has weights to test");
        let model = self.load(tested, &devices.compute)?;
        let earlier = grown_from(tested, &devices.host);
        let mut rows = Vec::new();
        for scored in [Scored::Hidden, Scored::Everything] {
            let evaluation = self.evaluation(scored, prepared, devices)?;
            let task = self.task(scored);
            let mut row = |model: &str, scores: Vec<(ScoreName, f64)>| {
                rows.push(TestRow {
                    model: model.to_owned(),
                    scored,
                    measures: named(scores),
                });
            };
            row(&tested.context.stage, evaluation.scores(task, &model)?);
            if let Some(other) = &earlier {
                let model = self.load(other, &devices.compute)?;
                row(&other.context.stage, evaluation.scores(task, &model)?);
            }
            row(task.baseline_name(), evaluation.baseline(task)?);
        }

        let shown = prepared.training().pictured_examples.max(1);
        let evaluation = self.evaluation(self.trained_for, prepared, devices)?;
        let illustrations = evaluation.illustrate(self.task(self.trained_for), &model, shown)?;
        Illustration::keep(&illustrations, &directory)?;
        let opened = prepared.opened;
        let summary = TestSummary {
            stage: prepared.stage.name().into(),
            run: run.name().into(),
            device: devices.name.clone(),
            seed: opened.experiment().seed,
            origin: prepared.beginning.origin(&devices.host)?,
            seconds: started.elapsed().as_secs_f64(),
            sounds_sha256: Some(opened.sounds().sha256.clone()),
            test_examples: prepared.dataset.indices(Split::Test).len(),
            mask: prepared.dataset.config().mask,
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

    fn plan(&self, prepared: &StageRun, devices: &Devices) -> Plan {
        let model = self.hidden.init(&devices.host);
        Plan {
            stage: prepared.stage.name().into(),
            // Nothing is kept for a backward pass.
            memory: MemoryEstimate::new(model.num_params(), 0),
            blocks: self.hidden.parts(&model),
        }
    }

    fn dry_run(&self, prepared: &StageRun, devices: &Devices) -> Result<DryRun, TrainerError> {
        let started = Instant::now();
        let evaluation = self.evaluation(self.trained_for, prepared, devices)?;
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

    /// The test split, under the stage's mask or under none.
    fn evaluation(
        &self,
        scored: Scored,
        prepared: &StageRun,
        devices: &Devices,
    ) -> Result<Evaluation, TrainerError> {
        let mut evaluation = prepared.fit(prepared.training(), devices).evaluation();
        evaluation.split = Split::Test;
        if scored == Scored::Everything {
            let mask = nothing_hidden(evaluation.dataset.config().mask);
            evaluation.dataset = Arc::new(evaluation.dataset.with_mask(mask)?);
        }
        Ok(evaluation)
    }
}

/// The model that `tested` began with, if it is still there.
fn grown_from(tested: &Checkpoint, device: &Device) -> Option<Checkpoint> {
    let origin = tested.context.origin.as_ref();
    let found = origin.and_then(|origin| origin.find(tested, device));
    if found.is_none() {
        let began_with = origin.map_or_else(
            || "weights of which it kept no note".to_owned(),
            |origin| format!("{origin}, which isn't there any more"),
        );
        tracing::warn!(
            "{} began with {began_with}: it is not compared with that",
            tested.path().display()
        );
    }
    found
}

/// `total_loss` is left out: `loss` says the same.
fn named(scores: Vec<(ScoreName, f64)>) -> BTreeMap<String, f64> {
    let owned = |(name, value): (ScoreName, f64)| (name.into_owned(), value);
    let once = scores.into_iter().filter(|(name, _)| name != "total_loss");
    once.map(owned).collect()
}
