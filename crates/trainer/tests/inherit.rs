//! The weights that one stage inherits from another.

use burn::tensor::Device;
use trainer::{
    Checkpoint, Devices, Event, Experiment, Observer, RunDir, Session, Stage, TrainerError,
    WeightSource, weights_sha256,
};

const SETTINGS: [&str; 21] = [
    "source.synth_examples=30",
    "data.clip.seconds=0.2",
    "data.stft.n_fft=64",
    "data.stft.hop_length=48",
    "data.split.valid=0.2",
    "transformer.encoder.patch_bins=6",
    "transformer.encoder.patch_frames=4",
    "transformer.encoder.d_model=12",
    "transformer.encoder.n_heads=2",
    "transformer.encoder.d_ff=20",
    "transformer.encoder.n_layers=2",
    "transformer.encoder.dropout=0.2",
    "transformer.contrastive.proj_dim=8",
    "transformer.decoder.d_model=8",
    "transformer.decoder.n_heads=2",
    "transformer.decoder.n_layers=1",
    "transformer.decoder.dropout=0.2",
    // Decay would move weights that no gradient reaches.
    "stages.train_transformer_decoder.training.optimizer.weight_decay=0.5",
    "stages.pretrain_transformer_contrastive.training.steps=3",
    "stages.train_transformer_decoder.training.steps=3",
    "stages.train_full_transformer.training.steps=3",
];

struct Quiet;

impl Observer for Quiet {
    fn observe(&mut self, _event: &Event) -> Result<(), TrainerError> {
        Ok(())
    }
}

#[test]
fn the_frozen_encoder_is_bit_equal_after_the_decoders_stage_and_moves_in_the_next() {
    let settings = SETTINGS.map(str::to_owned);
    let experiment = Experiment::load(None, &settings).unwrap();
    let session = Session::open(experiment, None).unwrap();
    let out = tempfile::tempdir().unwrap();
    let run = RunDir::open(out.path(), Some("run"), "run").unwrap();
    let devices = Devices {
        host: Device::flex(),
        compute: Device::flex(),
        name: "cpu".into(),
    };
    for stage in [
        Stage::PretrainTransformerContrastive,
        Stage::TrainTransformerDecoder,
        Stage::TrainFullTransformer,
    ] {
        let stage_run = session.stage(stage, WeightSource::Run(&run)).unwrap();
        stage_run.run(&run, &devices, &mut Quiet).unwrap();
    }

    let config = &session.experiment().transformer;
    let device = Device::flex();
    let best = |stage: Stage| Checkpoint::open(&run.stage(stage.name()).best()).unwrap();
    let contrast = best(Stage::PretrainTransformerContrastive)
        .load_model(config.init_contrastive(&device))
        .unwrap();
    let last = |stage: Stage| {
        let checkpoint = Checkpoint::open(&run.stage(stage.name()).last()).unwrap();
        checkpoint.load_model(config.init(&device)).unwrap()
    };
    let decoder = last(Stage::TrainTransformerDecoder);
    let full = last(Stage::TrainFullTransformer);
    let encoder = weights_sha256(&contrast.encoder);
    assert_eq!(weights_sha256(&decoder.encoder), encoder);
    assert_ne!(weights_sha256(&full.encoder), encoder);
    assert_ne!(
        weights_sha256(&full.decoder),
        weights_sha256(&decoder.decoder)
    );
}
