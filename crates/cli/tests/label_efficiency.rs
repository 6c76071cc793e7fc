//! The study of what pretraining is worth with few labels.

mod fixture;

use std::fs;

use fixture::{Cli, TINY, stderr};
use serde_json::Value;

/// Labelled sounds in a folder of their own.
const RENDER: [&str; 8] = [
    "synth",
    "render",
    "--count",
    "40",
    "--out",
    "patches",
    "--seconds",
    "0.25",
];

/// Finetuning the Transformer takes so many steps that it can be killed in between.
const STUDY: [&str; 13] = [
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
    "--set",
    "stages.finetune_parameters_transformer.training.steps=40",
];

fn tiny() -> Cli {
    let cli = Cli::empty();
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    cli
}

fn result(cli: &Cli) -> Value {
    let path = cli.path("runs/mine/label-efficiency.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_start_share_and_seed_is_tested_and_an_interrupted_study_ends_with_the_same_numbers() {
    let cli = tiny();
    let table = cli.run(&STUDY);
    let whole = result(&cli);
    let rows = whole["finetunings"].as_array().unwrap();
    // Three starts and two baselines, of two shares and two seeds.
    assert_eq!(rows.len(), 5 * 2 * 2);
    for start in [
        "U-Net, scratch",
        "U-Net, masked pretraining",
        "Transformer, contrastive pretraining",
        "average of labels",
        "nearest example",
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
    // A second seed is another set of sounds, on which untrained baselines differ, too.
    let mut pairs = 0;
    for one in rows {
        let same = |other: &&Value| {
            (&other["start"], &other["share"]) == (&one["start"], &one["share"])
                && other["seed"] != one["seed"]
        };
        let other = rows.iter().find(same).unwrap();
        assert_ne!(one["cont_mse"], other["cont_mse"], "{one}");
        pairs += 1;
    }
    assert_eq!(pairs, rows.len());
    assert!(table.contains("over seeds 3 and 4"), "{table}");
    assert!(table.contains("Each seed has sounds of its own"), "{table}");
    assert!(
        fs::read_to_string(cli.path("runs/mine/label-efficiency.svg"))
            .unwrap()
            .starts_with("<svg")
    );

    // Killed inside a finetuning.
    let seed = cli.path("runs/mine/seed-4");
    let last = seed.join("transformer-contrastive-1");
    let summary = last.join("finetune_parameters_transformer/summary.json");
    fs::remove_dir_all(&last).unwrap();
    let checkpoint = last.join("finetune_parameters_transformer/checkpoints/last/state.json");
    cli.kill_when(&STUDY, || checkpoint.exists());
    assert!(!summary.exists(), "it was killed too late");
    // As if it had been killed before another.
    fs::remove_dir_all(seed.join("unet-masked-1")).unwrap();
    fs::remove_file(cli.path("runs/mine/label-efficiency.json")).unwrap();
    let output = cli.inversynth(&STUDY);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(result(&cli), whole);
    assert!(summary.exists());
    // Two of twelve are trained: after the first, the other takes as long.
    let numbered: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("fine-tuning "))
        .collect();
    assert_eq!(numbered.len(), 12, "{said}");
    assert!(
        numbered[11].starts_with("fine-tuning 12 of 12, about "),
        "{said}"
    );

    // Other settings of what the finetunings began with are another study.
    let other = |setting| [&STUDY[..], &["--set", setting]].concat();
    let steps = "stages.pretrain_autoencoder_mae.training.steps";
    let longer = other("stages.pretrain_autoencoder_mae.training.steps=7");
    cli.refuses(&longer, &["seed-3/pretraining", steps, "6, not 7"]);
    cli.refuses(&other("data.mask.ratio=0.2"), &["data.mask.ratio"]);
    assert_eq!(result(&cli), whole);
}

#[test]
fn fine_tunings_match_the_weights_and_sounds_of_the_present_pretraining() {
    let cli = tiny();
    cli.run(&RENDER);
    let study = [
        "label-efficiency",
        "--config",
        "tiny.toml",
        "--data",
        "patches",
        "--seeds",
        "3",
        "--starts",
        "unet-masked",
        "--name",
        "mine",
        "--shares",
    ];
    let with = |more: &[&'static str]| [&study[..], more].concat();
    cli.run(&with(&["1"]));
    let whole = result(&cli);

    // Pretraining that is repeated ends with equal weights.
    let pretraining = cli.path("runs/mine/seed-3/pretraining");
    fs::remove_dir_all(&pretraining).unwrap();
    cli.run(&with(&["1"]));
    assert_eq!(result(&cli), whole);

    // Sounds that were changed are another study's, also where a finetuning is new.
    let sound = |name: &str| cli.path("patches/audio").join(name);
    let kept = fs::read(sound("00000.wav")).unwrap();
    fs::copy(sound("00001.wav"), sound("00000.wav")).unwrap();
    let said = ["runs/mine/seed-3/pretraining began with: as many, 40"];
    cli.refuses(&with(&["0.5"]), &said);
    assert!(!cli.path("runs/mine/seed-3/unet-masked-0.5").exists());
    fs::write(sound("00000.wav"), kept).unwrap();

    fs::remove_dir_all(&pretraining).unwrap();
    let other = "stages.pretrain_autoencoder_mae.training.steps=7";
    let other = with(&["1", "--set", other]);
    let said = [
        "finetune_parameters_autoencoder of the run at runs/mine/seed-3/unet-masked-1 was initialised from \
         pretrain_autoencoder_mae after step 6, runs/mine/seed-3/pretraining (",
        "which pretraining has replaced by pretrain_autoencoder_mae after step 7, runs/mine/seed-3/pretraining (",
        "remove runs/mine/seed-3/unet-masked-1 to fine-tune again",
    ];
    cli.refuses(&other, &said);
    assert_eq!(result(&cli), whole);
    fs::remove_dir_all(cli.path("runs/mine/seed-3/unet-masked-1")).unwrap();
    cli.run(&other);
    assert_ne!(result(&cli), whole);
}

#[test]
fn labels_that_no_step_draws_and_seeds_that_share_their_sounds_are_reported() {
    let cli = tiny();
    cli.run(&RENDER);
    let study = [
        "label-efficiency",
        "--config",
        "tiny.toml",
        "--data",
        "patches",
        "--seeds",
        "3,4,3",
        "--shares",
        "1,0.2,1",
        "--starts",
        "unet-scratch,transformer-scratch,unet-scratch",
        "--name",
        "mine",
    ];
    let output = cli.inversynth(&study);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    // Twice the same is once: two starts and two baselines, of two shares and two seeds.
    let result = result(&cli);
    let rows = result["finetunings"].as_array().unwrap();
    assert_eq!(rows.len(), 4 * 2 * 2);

    // The U-Net's six steps of five draw 30 examples, the Transformer's four 20.
    let mut short = 0;
    for row in rows {
        let trained = row["start"].as_str().unwrap().ends_with("scratch");
        assert_eq!(row["drawn"].is_u64(), trained, "{row}");
        short += usize::from(row["drawn"].as_u64() < row["labels"].as_u64() && trained);
    }
    let labels = rows[0]["labels"].as_u64().unwrap();
    assert!((21..=30).contains(&labels), "{labels} labels");
    assert_eq!(short, 2);
    let warned = format!("draws 20 examples and has {labels} labels");
    assert_eq!(said.matches("warning: ").count(), 2, "{said}");
    assert_eq!(said.matches(&warned).count(), 2, "{said}");
    let table = fs::read_to_string(cli.path("runs/mine/label-efficiency.md")).unwrap();
    let unseen = format!("Transformer, scratch with 100 % of labels (20 drawn, {labels} labels)");
    for part in [
        "draws 30 labelled examples (U-Net, scratch), 20 (Transformer, scratch)",
        &unseen,
        "All seeds have the same sounds",
        "whole labelled validation split",
    ] {
        assert!(table.contains(part), "no {part:?} in {table}");
    }
    // The same sounds are held out, so that what needs no training and all labels comes to the same.
    let baselines: Vec<_> = rows
        .iter()
        .filter(|row| row["start"] == "average of labels" && row["share"] == 1.0)
        .collect();
    assert_eq!(baselines.len(), 2);
    assert_eq!(baselines[0]["cont_mse"], baselines[1]["cont_mse"]);
}

#[test]
fn what_cannot_be_studied_is_refused_before_anything_is_written() {
    let cli = tiny();
    let with = |extra: [&'static str; 2]| [&STUDY[..], &extra].concat();
    let few = ["label-efficiency", "--config", "tiny.toml", "--shares", "0"];
    cli.refuses(&few, &["--shares", "above 0"]);
    cli.refuses(&with(["--set", "data.split.test=0"]), &["data.split.test"]);
    let elsewhere = ["label-efficiency", "--config", "tiny.toml", "--name", "a/b"];
    cli.refuses(&elsewhere, &["--name"]);
    fs::create_dir(cli.path("sounds")).unwrap();
    let unlabelled = [
        "label-efficiency",
        "--config",
        "tiny.toml",
        "--data",
        "sounds",
    ];
    cli.refuses(&unlabelled, &["no sound file"]);
    cli.run(&[
        "synth",
        "render",
        "--count",
        "12",
        "--out",
        "sounds/patches",
    ]);
    fs::remove_file(cli.path("sounds/patches/params.json")).unwrap();
    fs::remove_file(cli.path("sounds/patches/manifest.jsonl")).unwrap();
    cli.refuses(&unlabelled, &["no labels"]);
    assert!(!cli.path("runs/label-efficiency").exists());
    assert!(!cli.path("runs").join("mine").exists());
}
