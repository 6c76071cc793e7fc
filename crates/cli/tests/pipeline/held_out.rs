//! Held-out sounds are kept from the weights that stages start from.

use std::fs;

use serde_json::Value;

use crate::{arguments, stage, summary, tiny};

#[test]
fn weights_that_were_trained_on_held_out_sounds_are_refused() {
    let cli = tiny();
    let render = "synth render --count 30 --seconds 0.3 --out sounds/labelled";
    cli.run(&render.split(' ').collect::<Vec<_>>());
    // Without a list a file is recognised by its samples, with a list by its patch.
    let split = ["--set", "data.split.test=0.3"];
    let pretrained = |name, data, split: [&'static str; 2]| {
        let stage = ["--stage", "pretrain_autoencoder_mae"];
        let more = [&stage[..], &["--data", data], &split].concat();
        cli.run(&arguments("stage", name, &more));
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
        "test scores would be contaminated",
        ".wav)",
        "--data",
    ];
    cli.refuses(&heads("contaminated", "runs/above"), &said);
    // The files are renders of the first patches of the voice.
    cli.refuses(&heads("contaminated", "runs/voice"), &said[1..]);
    assert!(!cli.path("runs/contaminated").exists());
    cli.run(&heads("sound", "runs/same"));
    // Other names of units change nothing.
    let described = cli.path("sounds/labelled/params.json");
    let text = fs::read_to_string(&described).unwrap();
    let other_unit = text.replace("\"Hz\"", "\"hertz\"");
    assert_ne!(other_unit, text);
    fs::write(&described, other_unit).unwrap();
    cli.refuses(&heads("contaminated", "runs/voice"), &said[1..]);
    fs::write(&described, text).unwrap();
    // The heads keep the record of the weights that they start from.
    let record_of =
        |run, stage: &str| self::stage(&cli, run, stage).join("checkpoints/best/trained_on.json");
    let sounds = |run, stage: &str| -> Vec<Value> {
        let text = fs::read_to_string(record_of(run, stage)).unwrap();
        let record: Value = serde_json::from_str(&text).unwrap();
        record["sounds"].as_array().unwrap().clone()
    };
    let ours = sounds("sound", "finetune_parameters_autoencoder");
    assert_eq!(ours, sounds("same", "pretrain_autoencoder_mae"));
    // A sound has an entry for its samples and one for its patch.
    let test = &summary(&cli, "sound", "finetune_parameters_autoencoder")["parameter_test"];
    let tested = test["test_examples"].as_u64().unwrap();
    assert_eq!(ours.len() as u64 / 2 + tested, 30);

    // Weights without a readable record are refused.
    let said = [
        "same/pretrain_autoencoder_mae",
        "trained_on.json",
        "train the weights again",
    ];
    let path = record_of("same", "pretrain_autoencoder_mae");
    fs::write(&path, r#"{"version":0,"sounds":[]}"#).unwrap();
    cli.refuses(&heads("other", "runs/same"), &said);
    fs::remove_file(&path).unwrap();
    cli.refuses(&heads("other", "runs/same"), &said);
    // Nor is anything tested with a record that can't be read.
    let path = record_of("sound", "finetune_parameters_autoencoder");
    let test = [
        "predict",
        "--run",
        "runs/sound",
        "--test",
        "sounds/labelled",
    ];
    cli.run(&test);
    fs::write(&path, "[1,2").unwrap();
    cli.refuses(&test, &["trained_on.json"]);
}
