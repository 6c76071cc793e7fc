//! Training that is interrupted and resumed ends with the weights of uninterrupted training.

use std::time::Instant;

use burn::tensor::Device;
use trainer::{
    Checkpoint, Context, Devices, Event, Experiment, Fit, Fitted, Observer, Progress, RunDir,
    Scored, Session, SpectrogramAutoencoder, Stage, StageDir, StageReport, TrainedOn, TrainerError,
    Training, WeightSource, weights_sha256,
};

const SETTINGS: [&str; 13] = [
    "source.synth_examples=30",
    "data.clip.seconds=0.2",
    "data.stft.n_fft=64",
    "data.stft.hop_length=48",
    "data.split.valid=0.2",
    "unet.base_channels=8",
    "unet.channel_mults=[1,2]",
    "unet.blocks_per_level=1",
    "stages.pretrain_autoencoder_mae.training.steps=7",
    "stages.pretrain_autoencoder_mae.training.batch_size=4",
    "stages.pretrain_autoencoder_mae.training.accumulation_steps=2",
    "stages.pretrain_autoencoder_mae.training.validate_every=3",
    // Does not divide the steps between checkpoints.
    "stages.pretrain_autoencoder_mae.training.log_every=2",
];

/// What a whole stage needs, session once.
struct Fixture {
    session: Session,
    out: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let settings: Vec<String> = SETTINGS.iter().map(|text| text.to_string()).collect();
        let experiment = Experiment::load(None, &settings).unwrap();
        Self {
            session: Session::open(experiment, None).unwrap(),
            out: tempfile::tempdir().unwrap(),
        }
    }

    fn directory(&self, name: &str) -> StageDir {
        let run = RunDir::open(self.out.path(), Some(name), "stage").unwrap();
        let directory = run.stage("stage");
        directory.create().unwrap();
        directory
    }

    fn training(&self) -> &Training {
        &self
            .session
            .experiment()
            .stages
            .pretrain_autoencoder_mae
            .training
    }

    fn fit(
        &self,
        directory: &StageDir,
        resume: Option<Checkpoint>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainerError> {
        let experiment = self.session.experiment();
        let dataset = self.session.dataset();
        let fit = Fit {
            training: self.training(),
            dataset: dataset.clone().into(),
            workers: 1,
            devices: devices(),
            started: Instant::now(),
            context: Context {
                stage: "stage".into(),
                normalization: dataset.normalization(),
                experiment: experiment.clone(),
                parameters: None,
                provenance: None,
            },
            trained_on: TrainedOn::default(),
        };
        let task = SpectrogramAutoencoder {
            model: experiment.unet.clone(),
            start: None,
            loss: experiment.stages.pretrain_autoencoder_mae.loss,
            scored: Scored::Hidden,
            spectral: None,
        };
        let Fitted {
            model, progress, ..
        } = fit.run(&task, Some(directory), resume, &mut [observer])?;
        assert!(progress.seconds > 0.0);
        Ok(Outcome {
            weights: weights_sha256(&model),
            // No two calls take as long.
            progress: Progress {
                seconds: 0.0,
                ..progress
            },
        })
    }
}

fn devices() -> Devices {
    Devices {
        host: Device::flex(),
        compute: Device::flex(),
        name: "cpu".into(),
    }
}

#[derive(Debug, PartialEq)]
struct Outcome {
    weights: String,
    progress: Progress,
}

/// Interrupts training after a step, and keeps what was logged.
struct InterruptAfter {
    after: u64,
    logged: Vec<(u64, Vec<(String, f32)>)>,
}

impl InterruptAfter {
    fn step(after: u64) -> Self {
        Self {
            after,
            logged: Vec::new(),
        }
    }

    fn never() -> Self {
        Self::step(u64::MAX)
    }
}

impl Observer for InterruptAfter {
    fn observe(&mut self, event: &Event) -> Result<(), TrainerError> {
        match event {
            Event::Stepped { step } if *step == self.after => Err(TrainerError::RunName {
                name: "interrupted".into(),
            }),
            Event::Logged { step, scalars } => {
                self.logged.push((*step, scalars.to_vec()));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn interrupted_and_resumed_training_ends_as_uninterrupted_training() {
    let fixture = Fixture::new();
    let mut observed = InterruptAfter::never();
    let whole = fixture
        .fit(&fixture.directory("whole"), None, &mut observed)
        .unwrap();
    let logged = observed.logged;
    let steps: Vec<u64> = logged.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, [2, 3, 4, 6, 7]);
    assert_eq!(whole.progress.step, 7);

    let mut compared = 0;
    for after in [4, 5] {
        let directory = fixture.directory(&format!("interrupted-{after}"));
        fixture
            .fit(&directory, None, &mut InterruptAfter::step(after))
            .expect_err("it is interrupted");
        let checkpoint = Checkpoint::open(&directory.last()).unwrap();
        assert_eq!(checkpoint.progress.step, 3);
        let mut observed = InterruptAfter::never();
        let rest = fixture
            .fit(&directory, Some(checkpoint), &mut observed)
            .unwrap();
        assert_eq!(rest, whole);
        assert_eq!(observed.logged, logged[2..]);
        compared += 1;
    }
    assert_eq!(compared, 2);
}

#[test]
fn a_stage_that_goes_on_adds_up_its_seconds_and_has_tensorboard_drop_what_it_does_again() {
    let fixture = Fixture::new();
    for (noted, least) in [(true, 1e6), (false, 0.0)] {
        let name = format!("noted-{noted}");
        let run = RunDir::open(fixture.out.path(), Some(&name), "run").unwrap();
        let stage = Stage::PretrainAutoencoderMae;
        let call = |starts, after| {
            let stage_run = fixture.session.stage(stage, starts)?;
            stage_run.run(&run, &devices(), &mut InterruptAfter::step(after))
        };
        call(WeightSource::Run(&run), 5).expect_err("it is interrupted");
        let directory = run.stage(stage.name());
        let path = directory.last().join("state.json");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut state: serde_json::Value = serde_json::from_str(&text).unwrap();
        let progress = state["progress"].as_object_mut().unwrap();
        assert!(progress["seconds"].as_f64() > Some(0.0));
        match noted {
            true => progress.insert("seconds".into(), least.into()),
            // As checkpoints were before they had it.
            false => progress.remove("seconds"),
        };
        std::fs::write(&path, state.to_string()).unwrap();
        // Event files are named by second and process, and this is still the same process.
        std::fs::remove_dir_all(directory.tensorboard()).unwrap();

        let StageReport::Trained(summary) = call(WeightSource::Itself(&run), u64::MAX).unwrap()
        else {
            panic!("{stage} trains");
        };
        let of_this_call = summary.seconds - least;
        assert!(
            of_this_call > 0.0 && of_this_call < 1e3,
            "{}",
            summary.seconds
        );
        let mut files = std::fs::read_dir(directory.tensorboard()).unwrap();
        let events = std::fs::read(files.next().unwrap().unwrap().path()).unwrap();
        // After the checkpoint's step 3 follows step 4: field 2 of the event, then `session_log { status: START }`.
        let start = [2 << 3, 4, 7 << 3 | 2, 2, 1 << 3, 1];
        let mut near_the_beginning = events[..100].windows(start.len());
        assert!(near_the_beginning.any(|bytes| bytes == start));
    }
}

#[test]
fn a_checkpoint_of_another_model_is_refused_with_its_path() {
    let fixture = Fixture::new();
    let directory = fixture.directory("source");
    fixture
        .fit(&directory, None, &mut InterruptAfter::never())
        .unwrap();
    let checkpoint = Checkpoint::open(&directory.best()).unwrap();
    assert_eq!(&checkpoint.context.experiment, fixture.session.experiment());

    let mut other = fixture.session.experiment().unet.clone();
    other.base_channels = 16;
    let model = other.init(&Device::flex());
    let message = checkpoint.load_model(model).unwrap_err().to_string();
    assert!(message.contains("model.bpk"), "{message}");
}
