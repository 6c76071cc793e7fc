//! The test split stays held out.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use stft_data::{Audio, DataError, Fingerprint, Source, Split};
use trainer::{
    Devices, Event, Experiment, Observer, RunDir, Session, Stage, StageGroup, StageReport,
    TrainerError, WeightSource,
};

const SETTINGS: [&str; 18] = [
    "data.clip.seconds=0.2",
    "data.stft.n_fft=64",
    "data.stft.hop_length=48",
    "data.split.valid=0.2",
    "data.split.test=0.3",
    "unet.base_channels=8",
    "unet.channel_mults=[1,2]",
    "unet.blocks_per_level=1",
    "transformer.encoder.d_model=8",
    "transformer.encoder.d_ff=8",
    "transformer.encoder.n_layers=1",
    "transformer.decoder.d_model=8",
    "transformer.decoder.d_ff=8",
    "stages.pretrain_autoencoder_mae.training.steps=2",
    "stages.pretrain_transformer_contrastive.training.steps=2",
    "stages.train_transformer_decoder.training.steps=2",
    "stages.train_full_transformer.training.steps=2",
    "stages.train_autoencoder_nomask_finetune.training.steps=2",
];

/// Tones that record which of them were loaded.
#[derive(Default)]
struct Tones {
    loaded: Mutex<BTreeSet<usize>>,
}

impl Source for Tones {
    fn len(&self) -> usize {
        40
    }

    fn name(&self, index: usize) -> String {
        format!("tone {index}")
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        // Multiples of an odd number below 256 differ, and so do the splits.
        Fingerprint([(index * 101 % 256) as u8; 32])
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        self.loaded.lock().unwrap().insert(index);
        let step = 0.05 + 0.01 * index as f32;
        Ok(Audio {
            samples: (0..3000).map(|at| (step * at as f32).sin()).collect(),
            sample_rate_hz: 16_384,
        })
    }
}

struct Quiet;

impl Observer for Quiet {
    fn observe(&mut self, _event: &Event) -> Result<(), TrainerError> {
        Ok(())
    }
}

#[test]
fn tests_load_only_held_out_sounds_and_training_loads_none_of_them() {
    let settings = SETTINGS.map(str::to_owned);
    let experiment = Experiment::load(None, &settings).unwrap();
    let out = tempfile::tempdir().unwrap();
    let run = RunDir::open(out.path(), Some("run"), "run").unwrap();
    let devices = Devices {
        host: Device::flex(),
        compute: Device::flex(),
        name: "cpu".into(),
    };
    let indices = |session: &Session, splits: &[Split]| -> BTreeSet<usize> {
        let all = splits
            .iter()
            .flat_map(|&split| session.dataset().indices(split));
        all.copied().collect()
    };

    let source = Arc::new(Tones::default());
    let session = Session::over(source.clone(), experiment.clone(), None).unwrap();
    let lock = run
        .begin(&experiment, session.dataset().statistics())
        .unwrap();
    for stage in Stage::of(StageGroup::Pretrain).chain(Stage::of(StageGroup::Train)) {
        let stage_run = session.stage(stage, WeightSource::Run(&run)).unwrap();
        stage_run.run(&run, &devices, &mut Quiet).unwrap();
    }
    let seen = indices(&session, &[Split::Train, Split::Valid]);
    assert_eq!(*source.loaded.lock().unwrap(), seen);
    drop(lock);

    let source = Arc::new(Tones::default());
    let statistics = run.statistics().unwrap();
    assert!(statistics.is_some());
    let session = Session::over(source.clone(), experiment, statistics).unwrap();
    for stage in Stage::of(StageGroup::Test) {
        let stage_run = session.stage(stage, WeightSource::Run(&run)).unwrap();
        let report = stage_run.run(&run, &devices, &mut Quiet).unwrap();
        let StageReport::Tested(summary) = report else {
            panic!("{stage} is a test");
        };
        assert_eq!(
            summary.test_examples,
            session.dataset().indices(Split::Test).len()
        );
    }
    let held_out = indices(&session, &[Split::Test]);
    assert!(held_out.len() > 3, "{held_out:?}");
    assert_eq!(*source.loaded.lock().unwrap(), held_out);
}
