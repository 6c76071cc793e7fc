//! Sounds that are held out, in tests and from weights that others begin with.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde_json::Value;
use stft_data::Split;
use trainer::{Findings, Session, RunDir};

use crate::desk::stderr;
use crate::{arguments, desk, stage, summary};

/// Bytes that are no sound in place of those of `path`, whose length and date stay.
fn spoil(path: &Path) {
    let facts = fs::metadata(path).unwrap();
    fs::write(path, vec![b'x'; facts.len() as usize]).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(facts.modified().unwrap()).unwrap();
}

#[test]
fn a_test_opens_no_file_that_was_trained_on() {
    let desk = desk();
    let render = "synth render --count 20 --seconds 0.3 --out labelled";
    desk.says(&render.split(' ').collect::<Vec<_>>());
    let folder = desk.path("labelled");
    for (name, data) in [("list", folder.clone()), ("folder", folder.join("audio"))] {
        // With and without the samples of an earlier call at hand.
        let data = data.to_str().unwrap();
        let call = |run: &'static str, cache_mib: &'static str| {
            let more = ["--data", data, "--set", "data.split.test=0.3"];
            desk.inversynth(&arguments(
                run,
                name,
                &[&more[..], &["--set", cache_mib]].concat(),
            ))
        };
        let kept = "source.disk_cache_mib=64";
        assert!(call("pretrain", kept).status.success());
        assert!(call("train", kept).status.success());
        assert!(call("test", kept).status.success());
        let tests = ["test_autoencoder", "test_transformer"];
        let before = tests.map(|test| summary(&desk, name, test)["rows"].clone());

        let run = RunDir::at(&desk.path("runs").join(name));
        let opened =
            Session::open(run.experiment().unwrap(), None, Findings::default()).unwrap();
        let source = opened.dataset().source();
        let files = |split| -> Vec<PathBuf> {
            let indices = opened.dataset().indices(split).iter();
            indices
                .map(|&index| Path::new(data).join(source.name(index)))
                .collect()
        };
        let learned: Vec<PathBuf> = [Split::Train, Split::Valid].map(files).concat();
        assert!(learned.len() > 10, "{learned:?}");
        let contents: Vec<Vec<u8>> = learned.iter().map(|path| fs::read(path).unwrap()).collect();
        learned.iter().for_each(|path| spoil(path));
        for cache in [kept, "source.disk_cache_mib=0"] {
            for test in tests {
                fs::remove_dir_all(stage(&desk, name, test)).unwrap();
            }
            let output = call("test", cache);
            let said = stderr(&output);
            assert!(output.status.success(), "{said}");
            assert!(said.contains("20 files used, 0 rejected"), "{said}");
            assert!(!said.contains("warning"), "{said}");
            let after = tests.map(|test| summary(&desk, name, test)["rows"].clone());
            assert_eq!(after, before);
        }
        // Training looks into every file, whatever its date.
        let output = call("pretrain", kept);
        assert!(stderr(&output).contains("rejected"), "{}", stderr(&output));
        // A file of another date is looked at by a test, too, and it is said.
        fs::write(&learned[0], "no sound").unwrap();
        let output = call("test", kept);
        let said = stderr(&output);
        assert!(said.contains("19 files used, 1 rejected"), "{said}");
        for (path, bytes) in learned.iter().zip(contents) {
            fs::write(path, bytes).unwrap();
        }
        let opened = format!("{} of them are not as an earlier call", learned.len());
        let said = stderr(&call("test", kept));
        assert!(said.contains(&opened), "{said}");
        // Once they were looked at, they are known again.
        let said = stderr(&call("test", kept));
        assert!(!said.contains("of them are not as"), "{said}");
        // A held-out sound that is another in secret is found out.
        let held_out = files(Split::Test);
        let (one, other) = (&held_out[0], &held_out[1]);
        let (bytes, date) = (fs::read(one).unwrap(), fs::metadata(one).unwrap());
        fs::copy(other, one).unwrap();
        let file = File::options().write(true).open(one).unwrap();
        file.set_modified(date.modified().unwrap()).unwrap();
        fs::remove_dir_all(stage(&desk, name, tests[0])).unwrap();
        let output = call("test", kept);
        let said = stderr(&output);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("holds another sound than"), "{said}");
        fs::write(one, bytes).unwrap();
    }
}

#[test]
fn weights_that_have_heard_held_out_sounds_are_no_start() {
    let desk = desk();
    let render = "synth render --count 30 --seconds 0.3 --out sounds/labelled";
    desk.says(&render.split(' ').collect::<Vec<_>>());
    // The folder above has no list, so that each file goes by its samples, and with the list by its preset.
    let split = ["--set", "data.split.test=0.3"];
    let pretrained = |name, data, split: [&'static str; 2]| {
        let stage = ["--stage", "pretrain_autoencoder_mae"];
        let more = [&stage[..], &["--data", data], &split].concat();
        desk.says(&arguments("stage", name, &more));
    };
    pretrained("above", "sounds", split);
    pretrained("voice", "synth", ["--set", "data.split.test=0"]);
    pretrained("same", "sounds/labelled", split);
    let heads = |name, from| {
        let more = ["--data", "sounds/labelled", "--from", from];
        let stage = ["--stage", "finetune_parameters_autoencoder"];
        let start = "stages.finetune_parameters_autoencoder.start=pretrain_autoencoder_mae";
        arguments(
            "stage",
            name,
            &[&more[..], &stage, &split, &["--set", start]].concat(),
        )
    };
    let said = [
        "runs/above/pretrain_autoencoder_mae",
        "sounds that are held out here",
        ".wav among them",
        "--data",
    ];
    desk.refuses(&heads("leaking", "runs/above"), &said);
    // So would be patches of the voice that were rendered to files: those are its first ones.
    desk.refuses(&heads("leaking", "runs/voice"), &said[1..]);
    assert!(!desk.path("runs/leaking").exists());
    desk.says(&heads("sound", "runs/same"));
    // Units are for people: sounds stay known where they are called otherwise.
    let described = desk.path("sounds/labelled/params.json");
    let text = fs::read_to_string(&described).unwrap();
    let other_unit = text.replace("\"Hz\"", "\"hertz\"");
    assert_ne!(other_unit, text);
    fs::write(&described, other_unit).unwrap();
    desk.refuses(&heads("leaking", "runs/voice"), &said[1..]);
    fs::write(&described, text).unwrap();
    // What the heads know is told by them, and by whatever starts from them.
    let heard_by =
        |run, stage: &str| self::stage(&desk, run, stage).join("checkpoints/best/heard.json");
    let heard = |run, stage: &str| -> Vec<Value> {
        let text = fs::read_to_string(heard_by(run, stage)).unwrap();
        let heard: Value = serde_json::from_str(&text).unwrap();
        heard["sounds"].as_array().unwrap().clone()
    };
    let ours = heard("sound", "finetune_parameters_autoencoder");
    assert_eq!(ours, heard("same", "pretrain_autoencoder_mae"));
    // A sound is known by its samples and by its preset.
    let test = &summary(&desk, "sound", "finetune_parameters_autoencoder")["parameter_test"];
    let tested = test["test_examples"].as_u64().unwrap();
    assert_eq!(ours.len() as u64 / 2 + tested, 30);

    // Weights that don't say what they have heard are no start.
    let said = [
        "same/pretrain_autoencoder_mae",
        "heard.json",
        "train them again",
    ];
    let path = heard_by("same", "pretrain_autoencoder_mae");
    fs::write(&path, r#"{"version":0,"sounds":[]}"#).unwrap();
    desk.refuses(&heads("other", "runs/same"), &said);
    fs::remove_file(&path).unwrap();
    desk.refuses(&heads("other", "runs/same"), &said);
    // Nor is anything tested on what can't be read.
    let path = heard_by("sound", "finetune_parameters_autoencoder");
    let test = [
        "predict",
        "--run",
        "runs/sound",
        "--test",
        "sounds/labelled",
    ];
    desk.says(&test);
    fs::write(&path, "[1,2").unwrap();
    desk.refuses(&test, &["heard.json"]);
}
