//! The study of what pretraining is worth with few labels.

mod desk;

use std::fs;

use desk::{Desk, TINY, stderr};
use serde_json::Value;

const STUDY: [&str; 11] = [
    "label-efficiency",
    "--config",
    "tiny.toml",
    "--seeds",
    "3,4",
    "--shares",
    "0.2,1",
    "--starts",
    "unet-scratch,unet-masked,transformer-contrastive",
    "--name",
    "mine",
];

fn desk() -> Desk {
    let desk = Desk::empty();
    fs::write(desk.path("tiny.toml"), TINY).unwrap();
    desk
}

fn result(desk: &Desk) -> Value {
    let path = desk.path("runs/mine/label-efficiency.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_start_share_and_seed_is_tested_and_an_interrupted_study_ends_with_the_same_numbers() {
    let desk = desk();
    let table = desk.says(&STUDY);
    let whole = result(&desk);
    let rows = whole["finetunings"].as_array().unwrap();
    // Three starts and two floors, of two shares and two seeds.
    assert_eq!(rows.len(), 5 * 2 * 2);
    for start in [
        "U-Net, scratch",
        "U-Net, masked pretraining",
        "Transformer, contrastive pretraining",
    ] {
        let own: Vec<_> = rows.iter().filter(|row| row["start"] == start).collect();
        assert_eq!(own.len(), 4, "{start}");
        for row in own {
            for figure in ["cat_acc_mean", "cont_mse", "cont_mae", "mss", "logmel_l1"] {
                assert!(row[figure].is_f64(), "{start}: no {figure} in {row}");
            }
        }
        assert!(table.contains(start), "{table}");
    }
    let labels = |share: f64| {
        let mut of = rows.iter().filter(|row| row["share"] == share);
        of.next().unwrap()["labels"].as_u64().unwrap()
    };
    assert_eq!(labels(0.2), (labels(1.0) as f64 * 0.2).round() as u64);
    // A second seed is another set of sounds.
    assert_ne!(rows[0]["cont_mse"], rows[2]["cont_mse"]);
    assert!(
        fs::read_to_string(desk.path("runs/mine/label-efficiency.svg"))
            .unwrap()
            .starts_with("<svg")
    );

    // As if it had been killed inside a finetuning, before another, and while sounds were rendered.
    let seed = desk.path("runs/mine/seed-4");
    fs::remove_dir_all(seed.join("unet-masked-1")).unwrap();
    fs::remove_file(
        seed.join("transformer-contrastive-1/finetune_parameters_transformer/summary.json"),
    )
    .unwrap();
    fs::remove_file(seed.join("unet-scratch-0.2/finetune_parameters_autoencoder/rerendered.json"))
        .unwrap();
    fs::remove_file(desk.path("runs/mine/label-efficiency.json")).unwrap();
    let output = desk.inversynth(&STUDY);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(result(&desk), whole);
}

#[test]
fn what_cannot_be_studied_is_refused_before_anything_is_written() {
    let desk = desk();
    let with = |extra: [&'static str; 2]| [&STUDY[..], &extra].concat();
    let few = ["label-efficiency", "--config", "tiny.toml", "--shares", "0"];
    desk.refuses(&few, &["--shares", "above 0"]);
    desk.refuses(&with(["--set", "data.split.test=0"]), &["data.split.test"]);
    let elsewhere = ["label-efficiency", "--config", "tiny.toml", "--name", "a/b"];
    desk.refuses(&elsewhere, &["--name"]);
    fs::create_dir(desk.path("sounds")).unwrap();
    let unlabelled = [
        "label-efficiency",
        "--config",
        "tiny.toml",
        "--data",
        "sounds",
    ];
    desk.refuses(&unlabelled, &["no sound file"]);
    desk.says(&[
        "synth",
        "render",
        "--count",
        "12",
        "--out",
        "sounds/patches",
    ]);
    fs::remove_file(desk.path("sounds/patches/params.json")).unwrap();
    fs::remove_file(desk.path("sounds/patches/manifest.jsonl")).unwrap();
    desk.refuses(&unlabelled, &["aren't known"]);
    assert!(!desk.path("runs/label-efficiency").exists());
    assert!(!desk.path("runs").join("mine").exists());
}
