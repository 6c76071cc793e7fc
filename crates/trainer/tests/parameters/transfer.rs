//! Heads that are initialised from heads of another run.

use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use trainer::{
    Checkpoint, Experiment, HeadTransfer, RunDir, Session, WeightSource, weights_sha256,
};

use crate::{Fixture, InterruptAfter, NEVER, SETTINGS, STAGE, Tones, network, open};

/// All weights of `model`, one after the other.
fn weights<M: Module>(model: &M) -> Vec<f32> {
    struct Collector(Vec<f32>);
    impl ModuleVisitor for Collector {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().to_data().iter::<f32>());
        }
    }
    let mut collector = Collector(vec![]);
    model.visit(&mut collector);
    collector.0
}

#[test]
fn the_encoder_and_outputs_with_matching_names_are_transferred_from_other_heads() {
    let teacher = Fixture::new(&["stages.finetune_parameters_autoencoder.start=scratch"]);
    let teacher_run = teacher.run_dir("teacher");
    teacher
        .stage(&teacher_run, STAGE, WeightSource::Run(&teacher_run), &mut {
            NEVER
        })
        .unwrap();

    // A rate that changes nothing shows what was copied.
    let key = "stages.finetune_parameters_autoencoder";
    let from_heads = format!("{key}.start=finetune_parameters_autoencoder");
    let with_own_parameters = |settings: &[&str]| {
        let settings = [&[&*from_heads], settings].concat();
        let session = Session::over(
            Arc::new(Tones::with_levels(&["soft", "middle", "loud"])),
            open(Tones::labelled(), &settings).experiment().clone(),
            None,
        );
        let fixture = Fixture {
            session: session.unwrap(),
            out: tempfile::tempdir().unwrap(),
        };
        let run = fixture.run_dir("run");
        fixture
            .stage(&run, STAGE, WeightSource::Path(teacher_run.path()), &mut {
                NEVER
            })
            .unwrap();
        (fixture, run)
    };
    let (fixture, run) = with_own_parameters(&[&format!("{key}.encoder_lr=1e-30")]);

    let estimator = |fixture: &Fixture, run: &RunDir| {
        let best = Checkpoint::open(&run.stage(STAGE.name()).best()).unwrap();
        let spec = fixture.session.parameters().unwrap();
        let network = network(fixture.session.experiment(), spec, &best);
        let model = best.load_model(network.init(&Device::flex())).unwrap();
        (network, model)
    };
    let (their_network, theirs) = estimator(&teacher, &teacher_run);
    let (our_network, ours) = estimator(&fixture, &run);
    assert_eq!(our_network.normalization, their_network.normalization);
    assert_eq!(
        weights_sha256(&ours.encoder),
        weights_sha256(&theirs.encoder)
    );
    assert_eq!(ours.bands.len(), 2);
    assert_eq!(weights_sha256(&ours.bands), weights_sha256(&theirs.bands));
    assert_ne!(
        weights_sha256(&ours.heads.clone()),
        weights_sha256(&theirs.heads.clone())
    );

    // With no training at all, the pitch and both levels with matching names are estimated as by the source.
    let rates = ["lr", "min_lr"].map(|name| format!("{key}.training.{name}=1e-30"));
    let (still, run) = with_own_parameters(&rates.each_ref().map(String::as_str));
    let (our_network, ours) = estimator(&still, &run);
    let sound = Tensor::<3>::ones([1, 33, 20], &Device::flex());
    let there = their_network.estimate_of_heads(&theirs, sound.clone(), &[20]);
    let here = our_network.estimate_of_heads(&ours, sound, &[20]);
    let list = |x: &Tensor<2>| x.to_data().try_to_vec::<f32>().unwrap();
    let [of_theirs, of_ours] = [&there, &here].map(|of| list(of.continuous.as_ref().unwrap()));
    assert_ne!(of_theirs, [0.5]);
    assert_eq!(of_ours, of_theirs);
    let (there, here) = (list(&there.logits[0]), list(&here.logits[0]));
    assert_eq!((here[0], here[2]), (there[0], there[1]));
    assert!(here[1].abs() < 1e-6, "{here:?}");

    // A run can't start from itself, nor from band networks of another shape.
    let refused = |session: &Session, starts| {
        let stage_run = session.stage(STAGE, starts);
        stage_run.err().expect("it can't start").to_string()
    };
    let own = fixture.run_dir("own");
    let message = refused(&fixture.session, WeightSource::Run(&own));
    assert!(message.contains("--from"), "{message}");
    let bands = format!("{key}.bands=[{{bins=0,step=1,channels=[8]}}]");
    let other = open(Tones::labelled(), &[&from_heads, &bands]);
    let message = refused(&other, WeightSource::Path(teacher_run.path()));
    assert!(message.contains("bands"), "{message}");
    // Another split would test on training sounds.
    let other = open(Tones::labelled(), &[&from_heads, "data.split.test=0.3"]);
    let message = refused(&other, WeightSource::Path(teacher_run.path()));
    assert!(message.contains("would be contaminated"), "{message}");
    assert!(message.contains("data.split"), "{message}");
}

#[test]
fn the_transfer_is_recorded_and_heads_that_read_other_features_are_newly_initialised() {
    let key = "stages.finetune_parameters_autoencoder";
    let teacher_run = |more: &[&str]| {
        let scratch = format!("{key}.start=scratch");
        let teacher = Fixture::new(&[&[&*scratch], more].concat());
        let run = teacher.run_dir("teacher");
        teacher
            .stage(&run, STAGE, WeightSource::Run(&run), &mut { NEVER })
            .unwrap();
        (teacher, run)
    };
    let (_teacher, finetuned) = teacher_run(&[]);
    let frozen = format!("{key}.encoder=frozen");
    let (_other_teacher, frozen) = teacher_run(&[&frozen]);

    /// The recorded transfer, and the weights of the encoder and of the band networks.
    struct Transferred {
        heads: HeadTransfer,
        weights: [Vec<f32>; 2],
    }
    let stop = |after| InterruptAfter { after };
    let transfer = |from: &RunDir, levels: &[&str], more: &[&str], unplugged: Option<u64>| {
        let from_heads = format!("{key}.start=finetune_parameters_autoencoder");
        let settings = [&[&*from_heads], more].concat();
        let session = open(Tones::labelled(), &settings);
        let source = Arc::new(Tones::with_levels(levels));
        let fixture = Fixture {
            session: Session::over(source, session.experiment().clone(), None).unwrap(),
            out: tempfile::tempdir().unwrap(),
        };
        let run = fixture.run_dir("run");
        let mut starts = WeightSource::Path(from.path());
        if let Some(step) = unplugged {
            let pulled = fixture.stage(&run, STAGE, starts, &mut stop(step));
            assert!(pulled.is_err());
            // Event files are named by second and process, and this is still the same process.
            std::fs::remove_dir_all(run.stage(STAGE.name()).tensorboard()).unwrap();
            starts = WeightSource::Itself(&run);
        }
        let summary = fixture.stage(&run, STAGE, starts, &mut { NEVER }).unwrap();
        let best = Checkpoint::open(&run.stage(STAGE.name()).last()).unwrap();
        let spec = fixture.session.parameters().unwrap();
        let network = network(fixture.session.experiment(), spec, &best);
        let model = best.load_model(network.init(&Device::flex())).unwrap();
        let provenance = summary.provenance.unwrap();
        let heads = provenance.heads.clone().unwrap();
        assert_eq!(best.context.provenance, Some(provenance));
        Transferred {
            heads,
            weights: [weights(&model.encoder), weights(&model.bands)],
        }
    };

    let levels = ["soft", "middle", "loud"];
    let all = transfer(&finetuned, &["soft", "loud"], &[], None);
    assert_eq!(all.heads.to_string(), "3 of 3 outputs copied");
    let most = transfer(&finetuned, &levels, &[], None);
    let said = "3 of 4 outputs copied, newly initialised: level";
    assert_eq!(most.heads.to_string(), said);
    // The same after an interruption, the rate of copied parts included.
    let still = format!("{key}.encoder_lr=1e-30");
    let whole = transfer(&finetuned, &levels, &[&still], None);
    let killed = transfer(&finetuned, &levels, &[&still], Some(3));
    assert_eq!(killed.heads, most.heads);
    assert_eq!(killed.weights, whole.weights);

    let none = transfer(&finetuned, &["piano", "forte"], &[], None);
    assert_eq!((none.heads.outputs, none.heads.of), (1, 3));
    let hidden = format!("{key}.heads.hidden=5");
    let hidden = transfer(&finetuned, &levels, &[&hidden], None);
    let said = "no output copied: heads.hidden differs";
    assert_eq!(hidden.heads.to_string(), said);
    assert_eq!(hidden.heads.outputs, 0);
    assert_eq!(hidden.heads.new, ["pitch_hz", "level"]);

    // A frozen encoder has no band networks, so those here are new and learn at the rate of the heads.
    let learning = transfer(&frozen, &levels, &[&still], None);
    let rates = ["lr", "min_lr"].map(|name| format!("{key}.training.{name}=1e-30"));
    let rates = rates.each_ref().map(String::as_str);
    let resting = transfer(&frozen, &levels, &rates, None);
    assert!(!learning.heads.bands);
    assert!(whole.heads.bands);
    let said = learning.heads.to_string();
    assert!(said.contains("band networks"), "{said}");
    let moved = |part: usize| {
        let pairs = learning.weights[part].iter().zip(&resting.weights[part]);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(moved(0) < 1e-20, "{}", moved(0));
    assert!(moved(1) > 1e-5, "{}", moved(1));
}

#[test]
fn heads_of_an_embedded_voice_transfer_to_any_split_of_other_sounds() {
    let key = "stages.finetune_parameters_autoencoder";
    let scratch = format!("{key}.start=scratch");
    let settings = [&SETTINGS[..], &[&*scratch, "source.synth_examples=40"]].concat();
    let settings: Vec<String> = settings.iter().map(|&setting| setting.into()).collect();
    let voice = Experiment::load(None, &settings).unwrap();
    let teacher = Fixture {
        session: Session::open(voice, None).unwrap(),
        out: tempfile::tempdir().unwrap(),
    };
    let teacher_run = teacher.run_dir("teacher");
    teacher
        .stage(&teacher_run, STAGE, WeightSource::Run(&teacher_run), &mut {
            NEVER
        })
        .unwrap();

    let from_heads = format!("{key}.start=finetune_parameters_autoencoder");
    let changed = [&*from_heads, "data.split.test=0.4"];
    let start = |session: &Session| {
        let stage_run = session.stage(STAGE, WeightSource::Path(teacher_run.path()));
        stage_run.err().map(|error| error.to_string())
    };
    assert_eq!(start(&open(Tones::labelled(), &changed)), None);
    // The same voice would hold out training sounds.
    let settings = [&settings[..], &changed.map(String::from)].concat();
    let voice = Experiment::load(None, &settings).unwrap();
    let same_voice = Session::open(voice.clone(), None).unwrap();
    let message = start(&same_voice).expect("it can't start");
    assert!(message.contains("synth "), "{message}");
    // A voice of another seed has other patches.
    let others = Experiment { seed: 1, ..voice };
    let others = Session::open(others, None).unwrap();
    assert_eq!(start(&others), None);
}
