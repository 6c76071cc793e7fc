//! Heads that begin with what heads of another run have learned.

use std::sync::Arc;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use trainer::{
    Checkpoint, Experiment, Findings, Session, RunDir, WeightSource, HeadTransfer, weights_sha256,
};

use crate::{Bench, NEVER, InterruptAfter, SETTINGS, STAGE, Tones, network, open};

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
fn heads_of_another_run_hand_on_what_hears_and_what_is_called_the_same() {
    let teacher = Bench::new(&["stages.finetune_parameters_autoencoder.start=scratch"]);
    let taught = teacher.run_dir("teacher");
    teacher
        .stage(&taught, STAGE, WeightSource::Run(&taught), &mut { NEVER })
        .unwrap();

    // A rate that moves nothing shows what was taken over.
    let key = "stages.finetune_parameters_autoencoder";
    let from_heads = format!("{key}.start=finetune_parameters_autoencoder");
    let with_own_parameters = |settings: &[&str]| {
        let settings = [&[&*from_heads], settings].concat();
        let opened = Session::over(
            Arc::new(Tones::with_levels(&["soft", "middle", "loud"])),
            open(Tones::labelled(), &settings).experiment().clone(),
            None,
        );
        let bench = Bench {
            opened: opened.unwrap(),
            out: tempfile::tempdir().unwrap(),
        };
        let run = bench.run_dir("run");
        bench
            .stage(&run, STAGE, WeightSource::Path(taught.path()), &mut { NEVER })
            .unwrap();
        (bench, run)
    };
    let (bench, run) = with_own_parameters(&[&format!("{key}.encoder_lr=1e-30")]);

    let estimator = |bench: &Bench, run: &RunDir| {
        let best = Checkpoint::open(&run.stage(STAGE.name()).best()).unwrap();
        let spec = bench.opened.parameters().unwrap();
        let network = network(bench.opened.experiment(), spec, &best);
        let model = best.load_model(network.init(&Device::flex())).unwrap();
        (network, model)
    };
    let (their_network, theirs) = estimator(&teacher, &taught);
    let (our_network, ours) = estimator(&bench, &run);
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

    // The same of everything: the pitch and both levels that have names there are told as there.
    let rates = ["lr", "min_lr"].map(|name| format!("{key}.training.{name}=1e-30"));
    let (still, run) = with_own_parameters(&rates.each_ref().map(String::as_str));
    let (our_network, ours) = estimator(&still, &run);
    let sound = Tensor::<3>::ones([1, 33, 20], &Device::flex());
    let there = their_network.estimate_of_heads(&theirs, sound.clone(), &[20]);
    let here = our_network.estimate_of_heads(&ours, sound, &[20]);
    let list = |x: &Tensor<2>| x.to_data().try_to_vec::<f32>().unwrap();
    assert_ne!(list(&there.continuous), [0.5]);
    assert_eq!(list(&here.continuous), list(&there.continuous));
    let (there, here) = (list(&there.logits[0]), list(&here.logits[0]));
    assert_eq!((here[0], here[2]), (there[0], there[1]));
    assert!(here[1].abs() < 1e-6, "{here:?}");

    // It is no start of its own, and bands of another shape are no start either.
    let refused = |opened: &Session, starts| {
        let prepared = opened.stage(STAGE, starts);
        prepared.err().expect("it can't start").to_string()
    };
    let own = bench.run_dir("own");
    let message = refused(&bench.opened, WeightSource::Run(&own));
    assert!(message.contains("--from"), "{message}");
    let bands = format!("{key}.bands=[{{bins=0,step=1,channels=[8]}}]");
    let other = open(Tones::labelled(), &[&from_heads, &bands]);
    let message = refused(&other, WeightSource::Path(taught.path()));
    assert!(message.contains("bands"), "{message}");
    // Other shares of the split would test on what was learned from.
    let other = open(Tones::labelled(), &[&from_heads, "data.split.test=0.3"]);
    let message = refused(&other, WeightSource::Path(taught.path()));
    assert!(
        message.contains("sounds that are held out here"),
        "{message}"
    );
    assert!(message.contains("data.split"), "{message}");
}

#[test]
fn what_goes_on_of_heads_is_kept_and_heads_that_read_something_else_are_said_to_begin_anew() {
    let key = "stages.finetune_parameters_autoencoder";
    let taught = |more: &[&str]| {
        let scratch = format!("{key}.start=scratch");
        let teacher = Bench::new(&[&[&*scratch], more].concat());
        let run = teacher.run_dir("teacher");
        teacher
            .stage(&run, STAGE, WeightSource::Run(&run), &mut { NEVER })
            .unwrap();
        (teacher, run)
    };
    let (_teacher, finetuned) = taught(&[]);
    let frozen = format!("{key}.encoder=frozen");
    let (_other_teacher, frozen) = taught(&[&frozen]);

    /// What is told, and the weights of the encoder and of what hears beside it.
    struct Heir {
        heads: HeadTransfer,
        weights: [Vec<f32>; 2],
    }
    let stop = |after| InterruptAfter { after };
    let heir = |from: &RunDir, levels: &[&str], more: &[&str], unplugged: Option<u64>| {
        let from_heads = format!("{key}.start=finetune_parameters_autoencoder");
        let settings = [&[&*from_heads], more].concat();
        let opened = open(Tones::labelled(), &settings);
        let source = Arc::new(Tones::with_levels(levels));
        let bench = Bench {
            opened: Session::over(source, opened.experiment().clone(), None).unwrap(),
            out: tempfile::tempdir().unwrap(),
        };
        let run = bench.run_dir("run");
        let mut starts = WeightSource::Path(from.path());
        if let Some(step) = unplugged {
            let pulled = bench.stage(&run, STAGE, starts, &mut stop(step));
            assert!(pulled.is_err());
            // Event files are named by second and process, and this is still the same process.
            std::fs::remove_dir_all(run.stage(STAGE.name()).tensorboard()).unwrap();
            starts = WeightSource::Itself(&run);
        }
        let summary = bench.stage(&run, STAGE, starts, &mut { NEVER }).unwrap();
        let best = Checkpoint::open(&run.stage(STAGE.name()).last()).unwrap();
        let spec = bench.opened.parameters().unwrap();
        let network = network(bench.opened.experiment(), spec, &best);
        let model = best.load_model(network.init(&Device::flex())).unwrap();
        let origin = summary.origin.unwrap();
        let heads = origin.heads.clone().unwrap();
        assert_eq!(best.context.origin, Some(origin));
        Heir {
            heads,
            weights: [weights(&model.encoder), weights(&model.bands)],
        }
    };

    let levels = ["soft", "middle", "loud"];
    let all = heir(&finetuned, &["soft", "loud"], &[], None);
    assert_eq!(all.heads.to_string(), "3 of 3 outputs go on");
    let most = heir(&finetuned, &levels, &[], None);
    let said = "3 of 4 outputs go on, anew: level";
    assert_eq!(most.heads.to_string(), said);
    // The same after an interruption, the rate of what was taken over included.
    let still = format!("{key}.encoder_lr=1e-30");
    let whole = heir(&finetuned, &levels, &[&still], None);
    let killed = heir(&finetuned, &levels, &[&still], Some(3));
    assert_eq!(killed.heads, most.heads);
    assert_eq!(killed.weights, whole.weights);

    let none = heir(&finetuned, &["piano", "forte"], &[], None);
    assert_eq!((none.heads.outputs, none.heads.of), (1, 3));
    let hidden = format!("{key}.heads.hidden=5");
    let hidden = heir(&finetuned, &levels, &[&hidden], None);
    let said = "none goes on, since heads.hidden is another there";
    assert_eq!(hidden.heads.to_string(), said);
    assert_eq!(hidden.heads.outputs, 0);
    assert_eq!(hidden.heads.anew, ["pitch_hz", "level"]);

    // Nothing is read beside a frozen encoder, so that what is read now is new and learns at the rate of the heads.
    let learning = heir(&frozen, &levels, &[&still], None);
    let rates = ["lr", "min_lr"].map(|name| format!("{key}.training.{name}=1e-30"));
    let rates = rates.each_ref().map(String::as_str);
    let resting = heir(&frozen, &levels, &rates, None);
    assert!(!learning.heads.bands);
    assert!(whole.heads.bands);
    let said = learning.heads.to_string();
    assert!(said.contains("beside the encoder"), "{said}");
    let moved = |part: usize| {
        let pairs = learning.weights[part].iter().zip(&resting.weights[part]);
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(moved(0) < 1e-20, "{}", moved(0));
    assert!(moved(1) > 1e-5, "{}", moved(1));
}

#[test]
fn what_learned_from_an_embedded_voice_can_go_on_with_any_split_of_other_sounds() {
    let key = "stages.finetune_parameters_autoencoder";
    let scratch = format!("{key}.start=scratch");
    let settings = [&SETTINGS[..], &[&*scratch, "source.synth_examples=40"]].concat();
    let settings: Vec<String> = settings.iter().map(|&setting| setting.into()).collect();
    let voice = Experiment::load(None, &settings).unwrap();
    let teacher = Bench {
        opened: Session::open(voice, None, Findings::default()).unwrap(),
        out: tempfile::tempdir().unwrap(),
    };
    let taught = teacher.run_dir("teacher");
    teacher
        .stage(&taught, STAGE, WeightSource::Run(&taught), &mut { NEVER })
        .unwrap();

    let from_heads = format!("{key}.start=finetune_parameters_autoencoder");
    let changed = [&*from_heads, "data.split.test=0.4"];
    let start = |opened: &Session| {
        let prepared = opened.stage(STAGE, WeightSource::Path(taught.path()));
        prepared.err().map(|error| error.to_string())
    };
    assert_eq!(start(&open(Tones::labelled(), &changed)), None);
    // The same voice would hold out what was heard.
    let settings = [&settings[..], &changed.map(String::from)].concat();
    let voice = Experiment::load(None, &settings).unwrap();
    let same_voice = Session::open(voice.clone(), None, Findings::default()).unwrap();
    let message = start(&same_voice).expect("it can't start");
    assert!(message.contains("synth "), "{message}");
    // Not one of another seed, though: its patches are others.
    let others = Experiment { seed: 1, ..voice };
    let others = Session::open(others, None, Findings::default()).unwrap();
    assert_eq!(start(&others), None);
}
