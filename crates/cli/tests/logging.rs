//! What the program says on standard error, and a profile of its time.

mod fixture;

use std::fs;

use fixture::{Cli, TINY, stderr};
use serde_json::Value;

const STAGE: &str = "pretrain_autoencoder_mae";

fn train(cli: &Cli, more: &[&str]) -> String {
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    let run = ["run", "--config", "tiny.toml", "--stage", STAGE];
    let output = cli.inversynth(&[&run, more].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn json_logs_are_one_object_a_line_with_the_same_notes() {
    let cli = Cli::empty();
    let said = train(&cli, &["--log-format", "json"]);
    let rows: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let messages: Vec<&str> = rows
        .iter()
        .map(|row| row["fields"]["message"].as_str().unwrap())
        .collect();
    let has = |part: &str| messages.iter().any(|message| message.contains(part));
    assert!(has("examples to train") && has("step 6/6"), "{messages:?}");
    assert!(rows.iter().all(|row| row["level"] == "INFO"), "{said}");

    // A mistake is an object, too.
    let refused = cli.refuses(&["run", "--log-format", "json", "--set", "seeed=1"], &[]);
    let row: Value = serde_json::from_str(stderr(&refused).trim()).unwrap();
    assert_eq!(row["level"], "ERROR");
}

#[test]
fn a_profile_has_the_time_of_every_kind_of_work_and_replaces_no_file() {
    let cli = Cli::empty();
    let profile = ["--profile", "trace.json"];
    let said = train(&cli, &profile);
    let trace = fs::read_to_string(cli.path("trace.json")).unwrap();
    let events: Vec<Value> = serde_json::from_str(&trace).unwrap();
    let (_, table) = said.split_once("time, all threads").unwrap();
    let names = [
        "open_sounds",
        "run",
        "stage",
        "step",
        "wait_for_batch",
        "forward",
        "backward",
        "optimizer",
        "validation",
        "save",
        "make_batch",
    ];
    for name in names {
        assert!(events.iter().any(|event| event["name"] == name), "{name}");
        let of_name = |line: &&str| line.split_whitespace().next() == Some(name);
        let line = table.lines().find(of_name);
        let line = line.unwrap_or_else(|| panic!("{name} in {said}"));
        if name == "step" {
            assert_eq!(line.split_whitespace().nth(1), Some("6"), "{line}");
        }
    }
    let again = [&["doctor", "--log-format", "json"][..], &profile].concat();
    let refused = cli.refuses(&again, &["trace.json"]);
    let row: Value = serde_json::from_str(stderr(&refused).trim()).unwrap();
    assert_eq!(row["level"], "ERROR");
    assert_eq!(fs::read_to_string(cli.path("trace.json")).unwrap(), trace);
}
