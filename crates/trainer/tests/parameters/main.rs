//! Estimation of synthesizer parameters, from labels to the test.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use params::{Curve, Param, ParamKind, ParamSpec, ParamVector};
use stft_data::{Audio, DataError, Fingerprint, Source, Split};
use trainer::{
    Average, Checkpoint, Devices, EXAMPLE_NOTE, Event, ExampleNote, Experiment, Exported,
    FeatureEncoder, Observer, ParameterErrors, ParameterNetwork, ParameterPredictor, Renderer,
    RunDir, Session, Setting, Stage, StageReport, Summary, TrainerError, UNetFeatures,
    WeightSource, export, weights_sha256,
};

mod transfer;

const SETTINGS: [&str; 16] = [
    "data.clip.seconds=0.2",
    "data.stft.n_fft=64",
    "data.stft.hop_length=48",
    "data.split.valid=0.15",
    "data.split.test=0.25",
    "unet.base_channels=8",
    "unet.channel_mults=[1,2]",
    "unet.blocks_per_level=1",
    "transformer.encoder.d_model=8",
    "transformer.encoder.d_ff=8",
    "transformer.encoder.n_layers=1",
    "transformer.encoder.dropout=0.2",
    "stages.pretrain_autoencoder_mae.training.steps=2",
    "stages.finetune_parameters_autoencoder.start=pretrain_autoencoder_mae",
    "stages.finetune_parameters_autoencoder.training.steps=4",
    "stages.finetune_parameters_autoencoder.training.validate_every=2",
];

/// The voice of the default experiment.
const VOICE: synth::Voice = synth::Voice::Subtractive;

const STAGE: Stage = Stage::FinetuneParametersAutoencoder;

/// Tones whose pitch is a continuous parameter and whose level is a choice; labelled or not.
struct Tones {
    spec: Option<ParamSpec>,
}

const TONES: usize = 60;

impl Tones {
    fn labelled() -> Self {
        Self::with_levels(&["soft", "loud"])
    }

    fn with_levels(levels: &[&str]) -> Self {
        let pitch = ParamKind::Continuous {
            min: 200.0,
            max: 2_000.0,
            unit: "Hz".into(),
            curve: Curve::Linear,
        };
        let level = ParamKind::Categorical {
            classes: levels.iter().map(|&level| level.into()).collect(),
        };
        let params = [("pitch_hz", pitch), ("level", level)].map(|(name, kind)| Param {
            name: name.into(),
            kind,
        });
        Self {
            spec: Some(ParamSpec::new(params.into()).unwrap()),
        }
    }

    fn vector(index: usize) -> ParamVector {
        ParamVector {
            cont: vec![index as f32 / TONES as f32],
            cat: vec![index % 2],
        }
    }
}

impl Source for Tones {
    fn len(&self) -> usize {
        TONES
    }

    fn name(&self, index: usize) -> String {
        format!("tone {index}")
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        // Multiples of an odd number below 256 differ, and so do the splits.
        Fingerprint([(index * 101 % 256) as u8; 32])
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        Ok(tone(&Self::vector(index)))
    }

    fn spec(&self) -> Option<&ParamSpec> {
        self.spec.as_ref()
    }

    fn truth(&self, index: usize) -> Option<ParamVector> {
        self.spec.as_ref().map(|_| Self::vector(index))
    }
}

fn tone(vector: &ParamVector) -> Audio {
    let hz = 200.0 + 1_800.0 * vector.cont[0];
    let gain = [0.1, 0.8][vector.cat[0]];
    let step = std::f32::consts::TAU * hz / 16_384.0;
    Audio {
        samples: (0..3_200)
            .map(|at| gain * (step * at as f32).sin())
            .collect(),
        sample_rate_hz: 16_384,
    }
}

/// Pulls the plug after a step.
struct InterruptAfter {
    after: u64,
}

const NEVER: InterruptAfter = InterruptAfter { after: u64::MAX };

impl Observer for InterruptAfter {
    fn observe(&mut self, event: &Event) -> Result<(), TrainerError> {
        match event {
            Event::Stepped { step } if *step == self.after => Err(TrainerError::RunName {
                name: "unplugged".into(),
            }),
            _ => Ok(()),
        }
    }
}

fn open(source: Tones, more: &[&str]) -> Session {
    let settings = SETTINGS.iter().chain(more).map(|text| text.to_string());
    let experiment = Experiment::load(None, &settings.collect::<Vec<_>>()).unwrap();
    Session::over(Arc::new(source), experiment, None).unwrap()
}

/// What the weights of `checkpoint` belong to.
fn network(
    experiment: &Experiment,
    spec: &ParamSpec,
    checkpoint: &Checkpoint,
) -> ParameterNetwork<UNetFeatures> {
    ParameterNetwork::new(experiment, spec, checkpoint.context.normalization)
}

fn devices() -> Devices {
    Devices {
        host: Device::flex(),
        compute: Device::flex(),
        name: "cpu".into(),
    }
}

struct Fixture {
    session: Session,
    out: tempfile::TempDir,
}

impl Fixture {
    fn new(more: &[&str]) -> Self {
        Self {
            session: open(Tones::labelled(), more),
            out: tempfile::tempdir().unwrap(),
        }
    }

    fn run_dir(&self, name: &str) -> RunDir {
        RunDir::open(self.out.path(), Some(name), "run")
            .unwrap_or_else(|_| RunDir::at(&self.out.path().join(name)))
    }

    fn stage(
        &self,
        run: &RunDir,
        stage: Stage,
        starts: WeightSource,
        plug: &mut InterruptAfter,
    ) -> Result<Summary, TrainerError> {
        let stage_run = self.session.stage(stage, starts)?;
        match stage_run.run(run, &devices(), plug)? {
            StageReport::Trained(summary) => Ok(summary),
            StageReport::Tested(_) => panic!("{stage} trains"),
        }
    }

    fn pretrained(&self, name: &str) -> RunDir {
        let run = self.run_dir(name);
        let stage = Stage::PretrainAutoencoderMae;
        self.stage(&run, stage, WeightSource::Run(&run), &mut { NEVER })
            .unwrap();
        run
    }
}

#[test]
fn a_larger_share_of_labels_has_all_of_a_smaller_one_and_the_other_splits_stay() {
    let key = "stages.finetune_parameters_autoencoder";
    let mut smaller = BTreeSet::new();
    let mut sizes = Vec::new();
    let whole = open(Tones::labelled(), &[]);
    let all = whole.dataset().indices(Split::Train).len();
    for share in ["0.001", "0.1", "0.5", "1.0"] {
        let settings = [
            format!("{key}.start=scratch"),
            format!("{key}.label_fraction={share}"),
        ];
        let session = open(Tones::labelled(), &[&settings[0], &settings[1]]);
        let stage_run = session.stage(STAGE, WeightSource::Nowhere).unwrap();
        let dataset = stage_run.dataset();
        let train = dataset.indices(Split::Train);
        let train = BTreeSet::from_iter(train.iter().copied());
        assert!(train.is_superset(&smaller), "{share}");
        for split in [Split::Valid, Split::Test] {
            assert_eq!(dataset.indices(split), whole.dataset().indices(split));
        }
        assert_eq!(dataset.normalization(), whole.dataset().normalization());
        sizes.push(train.len());
        smaller = train;
    }
    let tenth = (all as f64 * 0.1).round() as usize;
    let half = (all as f64 * 0.5).round() as usize;
    assert_eq!(sizes, [1, tenth, half, all]);
}

#[test]
fn a_frozen_encoder_stays_bit_equal_while_its_heads_learn_and_a_finetuned_one_moves() {
    let key = "stages.finetune_parameters_autoencoder.encoder";
    for (encoder, stays) in [("frozen", true), ("finetuned", false)] {
        let fixture = Fixture::new(&[&format!("{key}={encoder}")]);
        let run = fixture.pretrained("run");
        let summary = fixture
            .stage(&run, STAGE, WeightSource::Run(&run), &mut { NEVER })
            .unwrap();
        let unet = UNetFeatures(fixture.session.experiment().unet.clone());
        let device = Device::flex();
        let best = |stage: Stage| Checkpoint::open(&run.stage(stage.name()).best()).unwrap();
        let pretrained = unet
            .load(&best(Stage::PretrainAutoencoderMae), &device)
            .unwrap();
        let spec = fixture.session.parameters().unwrap();
        let last = Checkpoint::open(&run.stage(STAGE.name()).last()).unwrap();
        let network = network(fixture.session.experiment(), spec, &last);
        assert_eq!(last.context.parameters.as_ref(), Some(spec));
        let model = last.load_model(network.init(&device)).unwrap();
        let same = weights_sha256(&model.encoder) == weights_sha256(&pretrained);
        assert_eq!(same, stays, "{encoder}");
        // New heads say the middle of everything; nothing is drawn here, since other tests train meanwhile.
        let bands = network.bands.iter().map(heads::BandConfig::n_channels);
        let channels: Vec<usize> = network
            .encoder
            .channels()
            .into_iter()
            .chain(bands)
            .collect();
        assert_eq!(
            network.bands.is_empty(),
            stays,
            "only next to a fine-tuned encoder"
        );
        let features = network.pooling.features(&channels);
        let printed = model.heads.forward(Tensor::ones([1, features], &device));
        let position: f32 = printed.continuous.unwrap().into_scalar();
        assert_ne!(position, 0.5, "{encoder}: the heads have learned");
        assert!(summary.measures.contains_key("param/cat_acc/level"));
        assert!(summary.measures.contains_key("param/cont_mae/pitch_hz"));
    }
}

#[test]
fn a_linear_probe_is_fitted_to_the_labels_in_use_next_to_a_fine_tuned_encoder_and_never_trained() {
    let key = "stages.finetune_parameters_autoencoder";
    let map = |settings: [&str; 3]| {
        let settings = settings.map(|setting| format!("{key}.{setting}"));
        let fixture = Fixture::new(&settings.each_ref().map(String::as_str));
        let run = fixture.pretrained("run");
        fixture
            .stage(&run, STAGE, WeightSource::Run(&run), &mut { NEVER })
            .unwrap();
        let last = Checkpoint::open(&run.stage(STAGE.name()).last()).unwrap();
        let spec = fixture.session.parameters().unwrap();
        let network = network(fixture.session.experiment(), spec, &last);
        let model = last.load_model(network.init(&Device::flex())).unwrap();
        model.linear.as_ref().map(weights_sha256)
    };
    let solved = map(["training.steps=2", "label_fraction=0.5", "probe_share=0.5"]);
    assert!(solved.is_some());
    let longer = map(["training.steps=4", "label_fraction=0.5", "probe_share=0.2"]);
    assert_eq!(solved, longer);
    let more = map(["training.steps=2", "label_fraction=1.0", "probe_share=0.5"]);
    assert_ne!(solved, more);
    for none in ["probe_share=0.0", "encoder=frozen"] {
        assert_eq!(
            map(["training.steps=2", "label_fraction=0.5", none]),
            None,
            "{none}"
        );
    }
}

#[test]
fn heads_learn_a_labelled_toy_better_than_both_baselines() {
    let key = "stages.finetune_parameters_autoencoder";
    let fixture = Fixture::new(&[
        &format!("{key}.start=scratch"),
        &format!("{key}.training.steps=150"),
        &format!("{key}.training.validate_every=50"),
        &format!("{key}.training.lr=3e-3"),
        &format!("{key}.training.warmup_steps=20"),
    ]);
    let run = fixture.run_dir("run");
    let summary = fixture
        .stage(&run, STAGE, WeightSource::Run(&run), &mut { NEVER })
        .unwrap();
    let test = summary.parameter_test.clone().unwrap();
    let [heads, average, nearest] = &test.estimates[..] else {
        panic!("heads and two baselines: {test:?}");
    };
    assert_eq!(heads.cat_acc_mean, Some(1.0), "{test}");
    assert!(
        heads.cont_mse.unwrap() < 0.2 * average.cont_mse.unwrap(),
        "{test}"
    );
    assert!(average.cat_acc_mean.unwrap() < 0.9, "{test}");
    // The nearest of tones that are evenly spread is near, unless the level leads astray.
    assert!(
        nearest.cont_mse.unwrap() < average.cont_mse.unwrap(),
        "{test}"
    );
    assert!(
        heads.cont_mse.unwrap() < nearest.cont_mse.unwrap(),
        "{test}"
    );
    assert_eq!(
        test.test_examples,
        fixture.session.dataset().indices(Split::Test).len()
    );

    // The summary is read back, and the tags are there.
    let stage = run.stage(STAGE.name());
    let text = std::fs::read_to_string(stage.summary()).unwrap();
    let read: Summary = serde_json::from_str(&text).unwrap();
    let read = read.parameter_test.unwrap();
    assert_eq!(read.labelled_examples, test.labelled_examples);
    assert_eq!(read.estimates.len(), test.estimates.len());
    for (read, test) in read.estimates.iter().zip(&test.estimates) {
        assert_eq!(read.estimator, test.estimator);
        assert_eq!(read.cat_acc_mean, test.cat_acc_mean);
        // serde_json reads some numbers one unit in the last place off.
        let off = read.cont_mse.unwrap() - test.cont_mse.unwrap();
        assert!(off.abs() < 1e-15, "{off}");
        assert_eq!(read.categorical, test.categorical);
        assert_eq!(read.continuous[0].name, test.continuous[0].name);
    }
    let metrics = std::fs::read_to_string(stage.metrics()).unwrap();
    for split in ["train", "valid", "test"] {
        for name in [
            "cont_mse",
            "cat_acc_mean",
            "cat_acc/level",
            "cont_mae/pitch_hz",
        ] {
            let tag = format!("\"tag\":\"{split}/param/{name}\"");
            assert!(metrics.contains(&tag), "{tag}");
        }
    }

    // A new sound, from the run and from one file of it.
    let device = Device::flex();
    let vector = ParamVector {
        cont: vec![0.4321],
        cat: vec![1],
    };
    let predictor = ParameterPredictor::open(run.path(), None, &device).unwrap();
    let estimate = predictor.predict(&tone(&vector)).unwrap();
    assert_eq!(estimate.cat, vector.cat);
    assert!(
        (estimate.cont[0] - vector.cont[0]).abs() < 0.15,
        "{estimate:?}"
    );
    let file = fixture.out.path().join("model.safetensors");
    let best = Checkpoint::open(&stage.best()).unwrap();
    export(&best, &file, &device).unwrap();
    assert_eq!(Exported::open(&file).unwrap().context, best.context);
    let exported = ParameterPredictor::open(&file, None, &device).unwrap();
    assert_eq!(exported.predict(&tone(&vector)).unwrap(), estimate);
}

#[test]
fn an_interrupted_stage_goes_on_and_ends_as_an_uninterrupted_one() {
    let fixture = Fixture::new(&[]);
    let whole = fixture.pretrained("whole");
    let expected = fixture
        .stage(&whole, STAGE, WeightSource::Run(&whole), &mut { NEVER })
        .unwrap();
    let broken = fixture.pretrained("broken");
    fixture
        .stage(
            &broken,
            STAGE,
            WeightSource::Run(&broken),
            &mut InterruptAfter { after: 3 },
        )
        .expect_err("the plug was pulled");
    // Event files are named by second and process, and this is still the same process.
    let tensorboard = broken.stage(STAGE.name()).tensorboard();
    std::fs::remove_dir_all(tensorboard).unwrap();
    let resumed = fixture
        .stage(&broken, STAGE, WeightSource::Itself(&broken), &mut {
            NEVER
        })
        .unwrap();
    assert_eq!(resumed.steps, 4);
    assert_eq!(resumed.weights_sha256, expected.weights_sha256);
    assert_eq!(resumed.parameter_test, expected.parameter_test);
}

#[test]
fn what_a_stage_lacks_is_named() {
    let fixture = Fixture::new(&[]);
    let run = fixture.run_dir("run");
    let refused = |session: &Session, stage, starts| {
        let stage_run = session.stage(stage, starts);
        stage_run.err().expect("it can't start").to_string()
    };
    let message = refused(&fixture.session, STAGE, WeightSource::Run(&run));
    for name in [
        "finetune_parameters_autoencoder",
        "pretrain_autoencoder_mae",
    ] {
        assert!(message.contains(name), "{message}");
    }
    let transformer = Stage::FinetuneParametersTransformer;
    let message = refused(&fixture.session, transformer, WeightSource::Run(&run));
    assert!(message.contains("train_full_transformer"), "{message}");

    let unlabelled = open(Tones { spec: None }, &[]);
    let message = refused(&unlabelled, STAGE, WeightSource::Run(&run));
    assert!(message.contains("manifest.jsonl"), "{message}");

    let scratch = open(
        Tones::labelled(),
        &["stages.finetune_parameters_autoencoder.start=scratch"],
    );
    let message = refused(&scratch, STAGE, WeightSource::Path(run.path()));
    assert!(message.contains("starts from scratch"), "{message}");

    let nothing = ParameterPredictor::open(run.path(), None, &Device::flex());
    let message = nothing.err().expect("there are no heads").to_string();
    assert!(message.contains("--run parameters"), "{message}");
}

#[test]
fn errors_and_averages_are_those_of_a_hand_computed_example() {
    let spec = Tones::labelled().spec.unwrap();
    let vector = |cont: f32, cat: usize| ParamVector {
        cont: vec![cont],
        cat: vec![cat],
    };
    let truths = [
        vector(0.0, 0),
        vector(0.5, 1),
        vector(1.0, 1),
        vector(0.25, 0),
    ];
    let estimates = [
        vector(0.5, 0),
        vector(0.5, 0),
        vector(0.5, 1),
        vector(0.25, 1),
    ];
    let errors = ParameterErrors::new("test", &spec, &estimates, &truths);
    assert_eq!(errors.cat_acc_mean, Some(0.5));
    assert_eq!(errors.cont_mse, Some(0.125));
    assert_eq!(errors.cont_mae, Some(0.25));
    assert_eq!(errors.categorical[0].name, "level");
    assert_eq!(errors.continuous[0].name, "pitch_hz");

    let average = Average::of(&[vector(0.25, 1), vector(0.5, 1), vector(0.75, 0)], &spec);
    assert_eq!(average.vector, vector(0.5, 1));
    let shares: Vec<f32> = average.log_shares[0].iter().map(|log| log.exp()).collect();
    // Two more have been seen, one of each: 2 of 5 and 3 of 5.
    assert!((shares[0] - 0.4).abs() < 1e-6 && (shares[1] - 0.6).abs() < 1e-6);
}

/// Tones that continue inverted for the same time again.
struct LongTones(Tones);

impl Source for LongTones {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> String {
        self.0.name(index)
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        self.0.fingerprint(index)
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        let mut sound = self.0.load(index)?;
        let ParamVector { cont, cat } = Tones::vector(index);
        let contrary = ParamVector {
            cont: vec![1.0 - cont[0]],
            cat: vec![1 - cat[0]],
        };
        sound.samples.truncate(2_000);
        sound.samples.extend(tone(&contrary).samples);
        sound.samples.extend(tone(&contrary).samples);
        Ok(sound)
    }

    fn spec(&self) -> Option<&ParamSpec> {
        self.0.spec()
    }

    fn truth(&self, index: usize) -> Option<ParamVector> {
        self.0.truth(index)
    }
}

#[test]
fn a_test_hears_of_long_sounds_what_a_prediction_hears() {
    let key = "stages.finetune_parameters_autoencoder";
    let settings = [&format!("{key}.start=scratch")[..], "data.clip.seconds=0.1"];
    let experiment = open(Tones::labelled(), &settings).experiment().clone();
    let source = Arc::new(LongTones(Tones::labelled()));
    let fixture = Fixture {
        session: Session::over(source.clone(), experiment, None).unwrap(),
        out: tempfile::tempdir().unwrap(),
    };
    let run = fixture.run_dir("run");
    let summary = fixture
        .stage(&run, STAGE, WeightSource::Run(&run), &mut { NEVER })
        .unwrap();
    let tested = &summary.parameter_test.unwrap().estimates[0];

    let predictor = ParameterPredictor::open(run.path(), None, &Device::flex()).unwrap();
    let held_out = fixture.session.dataset().indices(Split::Test);
    let predict = |&index: &usize| predictor.predict(&source.load(index).unwrap()).unwrap();
    let estimates: Vec<_> = held_out.iter().map(predict).collect();
    let truths: Vec<_> = held_out.iter().map(|&index| Tones::vector(index)).collect();
    let predicted = ParameterErrors::new("heads", predictor.spec(), &estimates, &truths);
    let off = predicted.cont_mse.unwrap() - tested.cont_mse.unwrap();
    assert!(off.abs() < 1e-7, "{predicted:?} is not {tested:?}");
    assert_eq!(predicted.cat_acc_mean, tested.cat_acc_mean);
    // Of another synthesizer nothing can be rendered: the sound is left, and what was estimated.
    assert!(tested.distances.is_empty());
    let example = run.stage(STAGE.name()).example(2);
    let note = std::fs::read(example.join(EXAMPLE_NOTE)).unwrap();
    let note: ExampleNote = serde_json::from_slice(&note).unwrap();
    assert_eq!((note.pictures.len(), note.sounds.len()), (1, 1));
    assert!(
        (note.seconds - 0.1).abs() < 1e-4,
        "as long as the analysed sound"
    );
    assert_eq!(note.parameters[0].unit, "Hz");
    assert_eq!(note.parameters[1].name, "level");
    assert!(matches!(&note.parameters[1].truth, Setting::Class(_)));
    assert!(example.join("input.wav").is_file() && !example.join("reconstruction.wav").exists());
}

#[test]
fn what_heads_have_to_beat_is_rendered_as_their_estimates_are() {
    let key = "stages.finetune_parameters_autoencoder";
    let own = [
        "source.synth_examples=40",
        &format!("{key}.start=scratch")[..],
    ];
    let settings: Vec<String> = SETTINGS
        .iter()
        .chain(&own)
        .map(ToString::to_string)
        .collect();
    let experiment = Experiment::load(None, &settings).unwrap();
    let fixture = Fixture {
        session: Session::open(experiment, None).unwrap(),
        out: tempfile::tempdir().unwrap(),
    };
    let run = fixture.run_dir("run");
    let summary = fixture
        .stage(&run, STAGE, WeightSource::Run(&run), &mut { NEVER })
        .unwrap();
    let test = summary.parameter_test.unwrap();
    let dataset = fixture.session.dataset();
    let truth = |&index: &usize| dataset.source().truth(index).unwrap();
    let labels: Vec<_> = dataset.indices(Split::Train).iter().map(truth).collect();
    let average = Average::of(&labels, VOICE.spec()).vector;
    let predictor = ParameterPredictor::open(run.path(), None, &Device::flex()).unwrap();

    let renderer = Renderer::new(VOICE, 16_384).unwrap();
    let held_out = dataset.indices(Split::Test);
    let mean = |name: &str, estimate: &dyn Fn(&Audio) -> ParamVector| {
        let distance = |&index: &usize| {
            let sound = dataset.source().load(index).unwrap();
            let patch = VOICE.spec().decode(&estimate(&sound)).unwrap();
            renderer.render_as_long_as(&sound, &patch).unwrap().1[name]
        };
        held_out.iter().map(distance).sum::<f64>() / held_out.len() as f64
    };
    let [heads, of_labels, nearest] = &test.estimates[..] else {
        panic!("heads and two baselines: {test:?}");
    };
    assert!(held_out.len() > 3);
    for name in ["mss", "logmel_l1", "wmfcc", "sot", "rms_cosine"] {
        let of_heads = mean(name, &|sound| predictor.predict(sound).unwrap());
        assert!((heads.distances[name] - of_heads).abs() < 1e-3, "{name}");
        let of_average = mean(name, &|_| average.clone());
        assert!(
            (of_labels.distances[name] - of_average).abs() < 1e-9,
            "{name}"
        );
        assert!(nearest.distances[name].is_finite());
        assert!(
            test.to_string().contains(&format!("rendered, {name} ")),
            "{test}"
        );
    }
    // A sound that was picked for how it sounds is nearer than one for all.
    assert!(nearest.distances["logmel_l1"] < of_labels.distances["logmel_l1"]);
    let metrics = std::fs::read_to_string(run.stage(STAGE.name()).metrics()).unwrap();
    assert!(metrics.contains("test/rendered/mss"), "{metrics}");

    // A few of the sounds are kept with renders of their estimates.
    let stage = run.stage(STAGE.name());
    assert!(stage.picture().is_file());
    for place in 0..3 {
        let file = |name: &str| std::fs::read(stage.example(place).join(name)).unwrap();
        let note: ExampleNote = serde_json::from_slice(&file(EXAMPLE_NOTE)).unwrap();
        assert_eq!(note.pictures, ["input", "reconstruction", "error"]);
        assert_eq!(note.sounds, ["input", "reconstruction"]);
        for picture in note.pictures {
            assert_eq!(&file(&format!("{picture}.png"))[1..4], b"PNG");
        }
        let index = held_out[place * held_out.len() / 3];
        assert_eq!(note.name, dataset.source().name(index));
        let sound = dataset.source().load(index).unwrap();
        let estimate = predictor.predict(&sound).unwrap();
        let patch = VOICE.spec().decode(&estimate).unwrap();
        let (rendered, _) = renderer.render_as_long_as(&sound, &patch).unwrap();
        for (name, expected) in [("input.wav", sound), ("reconstruction.wav", rendered)] {
            let bytes = file(name);
            let reader = hound::WavReader::new(&bytes[..]).unwrap();
            let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
            assert_eq!(samples.len(), expected.samples.len());
            for (sample, expected) in samples.iter().zip(&expected.samples) {
                let off = f32::from(*sample) / f32::from(i16::MAX) - expected.clamp(-1.0, 1.0);
                assert!(off.abs() < 1e-2, "{name}: {off}");
            }
        }
        // What made it and what was estimated, in musical units.
        let truth = VOICE.draw(0, index as u64);
        assert_eq!(note.parameters.len(), VOICE.spec().params().len());
        for compared in note.parameters {
            let Setting::Number(number) = compared.truth else {
                continue;
            };
            let off = number - truth.cont[&compared.name];
            assert!(
                off.abs() <= 1e-3 * number.abs().max(1.0),
                "{}",
                compared.name
            );
            let Setting::Number(estimate) = compared.estimate else {
                panic!("{} is a number", compared.name);
            };
            let off = estimate - patch.cont[&compared.name];
            assert!(
                off.abs() <= 1e-3 * estimate.abs().max(1.0),
                "{}",
                compared.name
            );
        }
    }
}

/// Sounds of the embedded synthesizer that come from somewhere else.
struct Voice;

impl Source for Voice {
    fn len(&self) -> usize {
        40
    }

    fn name(&self, index: usize) -> String {
        format!("patch {index}")
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        Tones::labelled().fingerprint(index)
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        let mut samples = vec![0.0; 3_200];
        VOICE
            .render(&VOICE.draw(0, index as u64), 16_384, &mut samples)
            .unwrap();
        Ok(Audio {
            samples,
            sample_rate_hz: 16_384,
        })
    }

    fn spec(&self) -> Option<&ParamSpec> {
        Some(VOICE.spec())
    }

    fn truth(&self, index: usize) -> Option<ParamVector> {
        VOICE.spec().encode(&VOICE.draw(0, index as u64)).ok()
    }
}

#[test]
fn a_rate_without_renders_is_reported_and_the_parameters_are_still_compared() {
    let settings = [
        "source.path=elsewhere",
        "data.clip.sample_rate_hz=3000",
        "stages.finetune_parameters_autoencoder.start=scratch",
    ];
    let experiment = open(Tones::labelled(), &settings).experiment().clone();
    let fixture = Fixture {
        session: Session::over(Arc::new(Voice), experiment, None).unwrap(),
        out: tempfile::tempdir().unwrap(),
    };
    let run = fixture.run_dir("run");
    let summary = fixture
        .stage(&run, STAGE, WeightSource::Run(&run), &mut { NEVER })
        .unwrap();
    let test = summary.parameter_test.unwrap();
    let reason = test.not_rendered.as_deref().unwrap();
    assert!(reason.contains("got 3000 Hz"), "{reason}");
    let printed = format!("not rendered: {reason}");
    assert!(test.to_string().contains(&printed), "{test}");
    assert_eq!(test.estimates.len(), 3);
    for errors in &test.estimates {
        assert!(errors.distances.is_empty());
        assert!(errors.cont_mse.unwrap().is_finite());
    }
    let read = Summary::read(&run.stage(STAGE.name()).summary()).unwrap();
    assert_eq!(read.parameter_test.unwrap().not_rendered, test.not_rendered);
}
