//! The report of a run, as a user gets it.

use std::fs;

use serde_json::Value;

mod fixture;
use fixture::{Cli, TINY, stderr};

#[test]
fn a_run_ends_with_its_report_and_an_unfinished_one_has_one_on_demand() {
    let cli = Cli::empty();
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    let run = [
        "run",
        "--config",
        "tiny.toml",
        "--run",
        "pretrain",
        "--name",
        "mine",
    ];
    let output = cli.inversynth(&run);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = fixture::stdout(&output);
    assert!(said.contains("report  runs/mine/report.html"), "{said}");
    let progress = stderr(&output);
    for line in ["stage 1/2  step 3/6", "stage 2/2  step 2/6"] {
        assert!(progress.contains(line), "{progress}");
    }

    let report = fs::read_to_string(cli.path("runs/mine/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let mut examples = 0;
    for stage in &report["stages"].as_array().unwrap()[..2] {
        let directory = cli.path("runs/mine").join(stage["stage"].as_str().unwrap());
        let summary = fs::read_to_string(directory.join("summary.json")).unwrap();
        let summary: Value = serde_json::from_str(&summary).unwrap();
        for (key, value) in summary.as_object().unwrap() {
            let reported = &stage["summary"][key];
            match (value.as_f64(), reported.as_f64()) {
                (Some(value), Some(reported)) => {
                    assert!((value - reported).abs() <= 1e-15 * value.abs(), "{key}");
                }
                _ => assert_eq!(value, reported, "{key}"),
            }
        }
        assert_eq!(stage["problems"], serde_json::json!([]));
        for example in stage["examples"].as_array().unwrap() {
            for file in ["pictures", "sounds"].map(|kind| example[kind].as_array().unwrap()) {
                for file in file {
                    assert!(directory.join(file.as_str().unwrap()).is_file(), "{file}");
                    examples += 1;
                }
            }
        }
    }
    // Two examples of the first stage and one of the second, of four pictures and two sounds.
    assert_eq!(examples, 3 * 6);
    let page = fs::read_to_string(cli.path("runs/mine/report.html")).unwrap();
    assert_eq!(page.matches("<audio").count(), 3 * 2);

    let stage = cli.path("runs/mine/pretrain_transformer_contrastive");
    fs::remove_file(stage.join("summary.json")).unwrap();
    let said = cli.run(&["report", "runs/mine", "--out", "later.html"]);
    assert_eq!(said.trim(), "report  later.html");
    let page = fs::read_to_string(cli.path("later.html")).unwrap();
    assert!(page.contains("unfinished, at step 6"));
    assert!(cli.path("later.json").is_file());

    cli.refuses(&["report", "runs"], &["runs is no run", "experiment.toml"]);
}
