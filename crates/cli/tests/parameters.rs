//! Estimating parameters: training heads, asking them, and taking them elsewhere.

mod desk;

use std::fs;

use desk::{Desk, TINY, stderr, stdout};
use serde_json::Value;

const STAGE: &str = "finetune_parameters_autoencoder";

/// A desk with a run `mine`, whose heads were trained from scratch, and three labelled sounds of the synthesizer.
fn desk() -> Desk {
    let desk = Desk::empty();
    fs::write(desk.path("tiny.toml"), TINY).unwrap();
    let scratch = format!("stages.{STAGE}.start=scratch");
    let train = [
        "run",
        "--config",
        "tiny.toml",
        "--stage",
        STAGE,
        "--name",
        "mine",
    ];
    desk.says(&[&train[..], &["--set", &scratch]].concat());
    let render = [
        "synth", "render", "--count", "3", "--out", "sounds", "--seed", "9",
    ];
    desk.says(&render);
    desk
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn heads_tell_the_parameters_of_files_from_a_run_and_from_an_exported_model() {
    let desk = desk();
    let files = ["sounds/audio/00000.wav", "sounds/audio/00002.wav"];
    let asked = [&["predict", "--run", "runs/mine", "--json"][..], &files].concat();
    let told = desk.says(&asked);
    let rows = lines(&told);
    assert_eq!(rows.len(), 2);
    let truth = lines(&fs::read_to_string(desk.path("sounds/manifest.jsonl")).unwrap());
    for (row, file) in rows.iter().zip(files) {
        assert_eq!(row["path"], file);
        for kind in ["cont", "cat"] {
            let names = |row: &Value| -> Vec<String> {
                row[kind].as_object().unwrap().keys().cloned().collect()
            };
            assert_eq!(names(row), names(&truth[0]), "{kind}");
        }
    }

    let summary = desk.path(format!("runs/mine/{STAGE}/summary.json"));
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    let estimates = summary["parameter_test"]["estimates"].as_array().unwrap();
    let kinds: Vec<_> = estimates.iter().map(|of| of["estimator"].clone()).collect();
    assert_eq!(kinds, ["heads", "average of labels", "nearest example"]);

    let export = ["export", "runs/mine", "--out", "mine.safetensors"];
    assert!(desk.says(&export).contains(STAGE));
    let again = [
        &["predict", "--run", "mine.safetensors", "--json"][..],
        &files,
    ]
    .concat();
    assert_eq!(desk.says(&again), told);
    // Nothing is overwritten, and a stage that isn't there is named.
    desk.refuses(&export, &["mine.safetensors", "--out"]);
    let other = [
        "export",
        "runs/mine",
        "--stage",
        "train_full_transformer",
        "--out",
        "x",
    ];
    desk.refuses(&other, &["train_full_transformer", "runs/mine"]);
    desk.refuses(
        &["predict", "--run", "runs", files[0]],
        &["no checkpoint with parameter heads"],
    );

    // For people, in musical units, and to be heard.
    let render = [
        "predict",
        "--run",
        "runs/mine",
        "--render",
        "heard",
        files[1],
    ];
    let said = desk.says(&render);
    assert!(said.contains("Hz") && said.contains("mss"), "{said}");
    let heard = hound::WavReader::open(desk.path("heard/00002.wav")).unwrap();
    assert_eq!(heard.spec().sample_rate, 8000);
    assert_eq!(heard.duration(), 8000);
    desk.refuses(&render, &["00002.wav", "nothing is overwritten"]);
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_the_others_are_not_lost() {
    let desk = desk();
    fs::write(desk.path("broken.wav"), "no sound").unwrap();
    let files = [
        "sounds/audio/00000.wav",
        "broken.wav",
        "sounds/audio/00001.wav",
    ];
    let asked = [&["predict", "--run", "runs/mine", "--json"][..], &files].concat();
    let output = desk.inversynth(&asked);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(lines(&stdout(&output)).len(), 2);
    let said = stderr(&output);
    assert!(
        said.contains("broken.wav") && said.contains("1 of 3"),
        "{said}"
    );
}

#[test]
fn sounds_without_labels_train_no_heads_and_all_says_so() {
    let desk = Desk::empty();
    fs::write(desk.path("tiny.toml"), TINY).unwrap();
    let render = [
        "synth",
        "render",
        "--count",
        "20",
        "--out",
        "more",
        "--seconds",
        "0.2",
    ];
    desk.says(&render);
    fs::remove_file(desk.path("more/manifest.jsonl")).unwrap();
    fs::remove_file(desk.path("more/params.json")).unwrap();
    let base = ["run", "--config", "tiny.toml", "--data", "more"];
    let asked = [&base[..], &["--run", "parameters", "--name", "none"]].concat();
    desk.refuses(
        &asked,
        &["finetune_parameters_autoencoder", "manifest.jsonl"],
    );
    let all = desk.inversynth(&[&base[..], &["--run", "all", "--dry-run"]].concat());
    assert!(all.status.success(), "{}", stderr(&all));
    assert!(stderr(&all).contains("parameter stages are left out"));
    assert!(!stdout(&all).contains("model of finetune_parameters"));
}
