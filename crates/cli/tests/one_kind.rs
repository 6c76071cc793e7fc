//! Labels of one kind: only categorical, only continuous, a single parameter, a class that never occurs, a constant.

mod fixture;

use std::fs;

use fixture::{Cli, TINY};
use serde_json::{Value, json};

const HEADS: [&str; 2] = [
    "finetune_parameters_autoencoder",
    "finetune_parameters_transformer",
];

/// A directory with 60 labelled sounds in `sounds`, whose labels `change` has changed: the parameters, and the continuous and
/// categorical values of a sound.
fn labelled(change: impl Fn(&mut Vec<Value>, &mut Value)) -> Cli {
    let cli = Cli::empty();
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    let render = "synth render --count 60 --seconds 0.25 --sample-rate-hz 8000 --out sounds";
    cli.run(&render.split(' ').collect::<Vec<_>>());
    let path = cli.path("sounds/params.json");
    let mut description: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let before = description["params"].as_array().unwrap().clone();
    let mut params = before.clone();
    change(&mut params, &mut json!({"cont": {}, "cat": {}}));
    let kept: Vec<&Value> = params.iter().map(|param| &param["name"]).collect();
    let list = cli.path("sounds/manifest.jsonl");
    let rows = fs::read_to_string(&list).unwrap();
    let rows = rows.lines().map(|line| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        for kind in ["cont", "cat"] {
            let values = row[kind].as_object_mut().unwrap();
            values.retain(|name, _| kept.contains(&&json!(name)));
        }
        change(&mut before.clone(), &mut row);
        row.to_string() + "\n"
    });
    let rows: String = rows.collect();
    fs::write(list, rows).unwrap();
    description["params"] = params.into();
    fs::write(path, description.to_string()).unwrap();
    cli
}

/// Trains, tests, exports, asks and reports heads of both encoders, and returns the test of each.
fn end_to_end(cli: &Cli) -> Vec<Value> {
    let tests = HEADS.map(|stage| {
        let scratch = format!("stages.{stage}.start=scratch");
        let run_name = stage.replace("finetune", "run");
        let name = ["--name", &run_name, "--stage", stage];
        let run = [
            &["run", "--config", "tiny.toml", "--data", "sounds"][..],
            &["--set", &scratch],
            &name,
        ]
        .concat();
        assert!(
            cli.run(&[&run[..], &["--dry-run"]].concat())
                .contains(stage)
        );
        cli.run(&run);
        let directory = format!("runs/{run_name}");
        let export = format!("{stage}.safetensors");
        cli.run(&["export", &directory, "--out", &export]);
        let sound = "sounds/audio/00001.wav";
        let ask = |model: &str| cli.run(&["predict", "--run", model, "--json", sound]);
        let said = ask(&directory);
        assert_eq!(ask(&export), said);
        let for_people = cli.run(&["predict", "--run", &directory, sound]);
        assert!(!for_people.is_empty());
        cli.run(&["predict", "--run", &directory, "--test", "sounds"]);
        let page = fs::read_to_string(cli.path(format!("{directory}/report.html"))).unwrap();
        assert!(!page.contains(">NaN"), "{stage}");
        let summary = cli.path(format!("{directory}/{stage}/summary.json"));
        let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
        summary["parameter_test"]["estimates"][0].clone()
    });
    tests.to_vec()
}

fn is(param: &Value, kind: &str) -> bool {
    param["kind"] == kind
}

#[test]
fn only_categorical_parameters_are_learned_and_reported() {
    let cli = labelled(|params, _| params.retain(|param| is(param, "categorical")));
    for test in end_to_end(&cli) {
        assert!(test["cont_mse"].is_null() && test["cat_acc_mean"].is_number());
        assert_eq!(test["continuous"], json!([]));
        assert_eq!(test["categorical"].as_array().unwrap().len(), 7);
    }
}

#[test]
fn only_continuous_parameters_are_learned_and_reported() {
    let cli = labelled(|params, _| params.retain(|param| is(param, "continuous")));
    for test in end_to_end(&cli) {
        assert!(test["cat_acc_mean"].is_null() && test["cont_mse"].is_number());
        assert_eq!(test["categorical"], json!([]));
        assert_eq!(test["continuous"].as_array().unwrap().len(), 14);
    }
}

#[test]
fn a_single_continuous_parameter_is_enough() {
    let cli = labelled(|params, _| params.retain(|param| param["name"] == "cutoff_hz"));
    for test in end_to_end(&cli) {
        assert_eq!(test["continuous"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_single_categorical_parameter_is_enough() {
    let cli = labelled(|params, _| params.retain(|param| param["name"] == "filter_type"));
    for test in end_to_end(&cli) {
        assert_eq!(test["categorical"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn a_class_that_never_occurs_and_a_constant_parameter_are_trained_and_tested() {
    let cli = labelled(|params, row| {
        for param in params
            .iter_mut()
            .filter(|param| param["name"] == "filter_type")
        {
            param["classes"]
                .as_array_mut()
                .unwrap()
                .push("never".into());
        }
        if let Some(value) = row["cont"].get_mut("cutoff_hz") {
            *value = json!(0.25);
        }
    });
    for test in end_to_end(&cli) {
        assert!(test["cont_mse"].is_number() && test["cat_acc_mean"].is_number());
        let filter = test["categorical"].as_array().unwrap().iter();
        let filter = filter.filter(|of| of["name"] == "filter_type");
        let classes: Vec<_> = filter.map(|of| of["classes"].clone()).collect();
        assert_eq!(classes, [4]);
    }
}
