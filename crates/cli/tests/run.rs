//! The program as a user meets it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

mod desk;
use desk::{Cli, TINY, stderr, stdout};

/// A desk with the tiny experiment.
fn desk() -> Cli {
    let desk = Cli::empty();
    fs::write(desk.path("tiny.toml"), TINY).unwrap();
    desk
}

/// Runs the tiny experiment under `name` and returns its summary.
fn train(desk: &Cli, name: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["run", "--config", "tiny.toml", "--run", "stage"];
    arguments.extend(["--stage", "pretrain_autoencoder_mae", "--name", name]);
    arguments.extend(more);
    desk.says(&arguments);
    summary(desk, name)
}

fn summary(desk: &Cli, name: &str) -> Value {
    let path = stage(desk, name).join("summary.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn stage(desk: &Cli, name: &str) -> PathBuf {
    desk.path("runs")
        .join(name)
        .join("pretrain_autoencoder_mae")
}

/// Sounds made by the program itself.
fn sounds(desk: &Cli, count: usize) -> PathBuf {
    let count = count.to_string();
    let arguments = [
        "synth",
        "render",
        "--count",
        &count,
        "--out",
        "sounds",
        "--seconds",
        "0.4",
    ];
    desk.says(&arguments);
    desk.path("sounds")
}

/// Asserts that `arguments` fail as a user's mistake, with all of `said`, and leave no run.
fn refuses(desk: &Cli, arguments: &[&str], said: &[&str]) {
    desk.refuses(arguments, said);
    assert!(!desk.path("runs").exists(), "{arguments:?} wrote something");
}

fn files(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_what_it_promises() {
    let desk = desk();
    let summary = train(&desk, "first", &[]);
    let keys: Vec<&String> = summary.as_object().unwrap().keys().collect();
    let mut expected = vec![
        "stage",
        "run",
        "device",
        "seed",
        "sounds_sha256",
        "steps",
        "seconds",
        "train_examples",
        "valid_examples",
        "files_used",
        "origin",
        "files_rejected",
        "valid_loss",
        "best_valid_loss",
        "baseline",
        "baseline_loss",
        "spec_l1",
        "spec_l1_baseline",
        "spec_l2",
        "spec_l2_baseline",
        "parameters",
        "peak_rss_bytes",
        "weights_sha256",
    ];
    expected.sort_unstable();
    let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(summary["run"], "first");
    assert_eq!(summary["steps"], 6);
    assert!(summary["valid_loss"].as_f64().unwrap() > 0.0);
    assert!(summary["best_valid_loss"].as_f64() <= summary["valid_loss"].as_f64());

    let stage = stage(&desk, "first");
    assert_eq!(
        files(&stage),
        [
            "checkpoints",
            "examples",
            "metrics.jsonl",
            "reconstruction.png",
            "summary.json",
            "tb"
        ]
    );
    assert_eq!(files(&stage.join("checkpoints")), ["best", "last"]);
    assert_eq!(
        files(&stage.join("checkpoints/last")),
        ["heard.json", "model.bpk", "optimizer.bpk", "state.json"]
    );
    assert_eq!(
        files(&stage.join("checkpoints/best")),
        ["heard.json", "model.bpk", "state.json"]
    );
    assert_eq!(
        &fs::read(stage.join("reconstruction.png")).unwrap()[1..4],
        b"PNG"
    );

    let metrics = fs::read_to_string(stage.join("metrics.jsonl")).unwrap();
    let rows: Vec<Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let steps = |tag: &str| -> Vec<u64> {
        let of_tag = rows.iter().filter(|row| row["tag"] == tag);
        of_tag.map(|row| row["step"].as_u64().unwrap()).collect()
    };
    assert_eq!(steps("train/loss"), [2, 4, 6]);
    assert_eq!(steps("train/lr"), [2, 4, 6]);
    assert_eq!(steps("train/grad_norm"), [2, 4, 6]);
    assert_eq!(steps("valid/loss"), [3, 6]);
    assert_eq!(steps("valid/spec_l1"), [3, 6]);
}

#[test]
fn one_seed_gives_one_result_whatever_the_number_of_workers() {
    let desk = desk();
    let first = train(&desk, "first", &[]);
    let metrics =
        |name: &str| fs::read_to_string(stage(&desk, name).join("metrics.jsonl")).unwrap();
    for workers in ["0", "1", "2", "4"] {
        let set = format!("loader.workers={workers}");
        let name = format!("with-{workers}");
        let again = train(&desk, &name, &["--set", &set]);
        assert_eq!(
            again["weights_sha256"], first["weights_sha256"],
            "{workers} workers"
        );
        assert_eq!(
            again["valid_loss"], first["valid_loss"],
            "{workers} workers"
        );
        assert_eq!(metrics(&name), metrics("first"), "{workers} workers");
    }
    let other = train(&desk, "other", &["--set", "seed=1"]);
    assert_ne!(other["weights_sha256"], first["weights_sha256"]);
}

#[test]
fn a_folder_is_trained_on_and_a_corrupt_file_is_listed() {
    let desk = desk();
    let sounds = sounds(&desk, 12);
    fs::write(
        sounds.join("audio/broken.wav"),
        b"RIFF\x10\0\0\0WAVEfmt nonsense",
    )
    .unwrap();
    let output = desk.inversynth(&[
        "run",
        "--config",
        "tiny.toml",
        "--name",
        "mine",
        "--data",
        "sounds/audio",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("broken.wav: "),
        "{}",
        stderr(&output)
    );
    let mine = summary(&desk, "mine");
    assert_eq!(mine["files_used"], 12);
    assert_eq!(mine["files_rejected"], 1);

    // With its manifest the same folder is labelled data, and only what is listed counts.
    train(&desk, "labelled", &["--data", "sounds"]);
    let labelled = summary(&desk, "labelled");
    assert_eq!(labelled["files_used"], 12);
    assert_eq!(labelled["files_rejected"], 0);
}

#[test]
fn a_run_goes_on_only_with_the_sounds_it_began_with_and_a_test_warns_of_others() {
    let desk = desk();
    let audio = sounds(&desk, 12).join("audio");
    for (name, data) in [("files", "sounds/audio"), ("labelled", "sounds")] {
        let call = |stages: &'static str| {
            let more = ["--run", stages, "--name", name, "--data", data];
            [&["run", "--config", "tiny.toml"], &more[..]].concat()
        };
        desk.says(&call("pretrain"));
        let go_on = |said: &str| {
            let file = format!("runs/{name} began with: {said}; bring those back");
            desk.refuses(&call("train"), &[&file, "--name"]);
        };
        // A sound that is another under the name of one that was there, whose preset may be the same.
        let mut paths: Vec<PathBuf> = files(&audio).iter().map(|file| audio.join(file)).collect();
        paths.sort();
        let kept = fs::read(&paths[0]).unwrap();
        fs::copy(&paths[1], &paths[0]).unwrap();
        go_on("as many, 12, but not the same");
        fs::write(&paths[0], &kept).unwrap();
        // A manifest's sounds are those that it lists.
        if name == "files" {
            fs::copy(&paths[1], audio.join("zz.wav")).unwrap();
            go_on("13 in place of 12");
            fs::remove_file(audio.join("zz.wav")).unwrap();
        }
        desk.says(&call("train"));
        fs::copy(&paths[1], &paths[0]).unwrap();
        let output = desk.inversynth(&call("test"));
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("warning: the sounds are not those"), "{said}");
        fs::write(&paths[0], &kept).unwrap();

        // Summaries say which they were.
        let set = |stage: &str| {
            let path = desk.path("runs").join(name).join(stage);
            let text = fs::read_to_string(path.join("summary.json")).unwrap();
            let summary: Value = serde_json::from_str(&text).unwrap();
            summary["sounds_sha256"].as_str().unwrap().to_owned()
        };
        assert_eq!(
            set("pretrain_autoencoder_mae"),
            set("train_full_transformer")
        );
        assert_ne!(set("pretrain_autoencoder_mae"), set("test_autoencoder"));
    }
}

#[test]
fn mistakes_are_named_and_nothing_is_written() {
    let desk = desk();
    fs::create_dir(desk.path("empty")).unwrap();
    fs::create_dir(desk.path("texts")).unwrap();
    fs::write(desk.path("texts/readme.txt"), "no sound").unwrap();
    fs::write(
        desk.path("typo.toml"),
        "seed = 1\n[data.clip]\nsecondes = 2\n",
    )
    .unwrap();
    fs::write(desk.path("channels.toml"), "[unet]\nin_channels = 256\n").unwrap();

    refuses(&desk, &["run", "--data", "nowhere"], &["nowhere"]);
    refuses(
        &desk,
        &["run", "--data", "empty"],
        &["empty", "no sound file"],
    );
    refuses(
        &desk,
        &["run", "--data", "texts"],
        &["texts", "no sound file"],
    );
    refuses(
        &desk,
        &["run", "--config", "typo.toml"],
        &["typo.toml", "line 3", "secondes", "`seconds`"],
    );
    refuses(
        &desk,
        &["run", "--config", "channels.toml"],
        &["in_channels", "256", "257"],
    );
    refuses(
        &desk,
        &["run", "--config", "missing.toml"],
        &["missing.toml"],
    );
    refuses(
        &desk,
        &["run", "--stage", "pretrain_autoencoder_mea"],
        &[
            "pretrain_autoencoder_mea",
            "did you mean `pretrain_autoencoder_mae`",
        ],
    );
    refuses(&desk, &["run", "--device", "gpu"], &["gpu", "cpu"]);
    refuses(
        &desk,
        &["run", "--set", "data.clip.secondes=2"],
        &["--set", "`seconds`"],
    );
    refuses(&desk, &["run", "--name", "a/b"], &["a/b"]);
    refuses(
        &desk,
        &["run", "--data", "tiny.toml"],
        &["tiny.toml", "neither a sound"],
    );
    refuses(
        &desk,
        &["run", "--out", "tiny.toml"],
        &["tiny.toml", "not a directory"],
    );
    refuses(
        &desk,
        &["run", "--set", "data.split.valid=0.0"],
        &["data.split.valid"],
    );
    refuses(
        &desk,
        &["run", "--set", "data.clip.sample_rate_hz=2000"],
        &["4000"],
    );
    refuses(&desk, &["data", "check", "texts"], &["no sound file"]);
}

#[test]
fn a_test_of_nothing_is_refused_before_any_work_and_heads_without_one_say_so() {
    let desk = desk();
    let call = |more: &[&'static str]| {
        let none = ["run", "--config", "tiny.toml", "--set", "data.split.test=0"];
        [&none[..], more].concat()
    };
    let said = "none of the 40 sounds is held out for testing, where data.split.test is 0";
    for more in [
        ["--run", "all"],
        ["--run", "test"],
        ["--stage", "test_autoencoder"],
        ["--stage", "test_transformer"],
    ] {
        refuses(&desk, &call(&[&more[..], &["--dry-run"]].concat()), &[said]);
    }
    refuses(&desk, &call(&["--run", "all"]), &[said]);
    sounds(&desk, 2);
    let two = ["--config", "tiny.toml", "--run", "all", "--data", "sounds"];
    desk.refuses(
        &[&["run"], &two[..]].concat(),
        &["none of the 2 sounds", "three different sounds"],
    );
    assert!(!desk.path("runs/all-001").exists());

    let heads = "finetune_parameters_autoencoder";
    let scratch = "stages.finetune_parameters_autoencoder.start=scratch";
    let output = desk.inversynth(&call(&[
        "--stage", heads, "--set", scratch, "--name", "mine",
    ]));
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    let warned = format!("the estimates of {heads} are not tested; set `data.split.test`");
    assert!(said.contains(&warned), "{said}");
    let report = fs::read_to_string(desk.path("runs/mine/report.json")).unwrap();
    assert!(report.contains("No sound was held out"), "{report}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_no_weights() {
    let desk = desk();
    let training = "stages.pretrain_autoencoder_mae.training";
    for validate_every in [1, 6] {
        let name = format!("every-{validate_every}");
        let settings = [
            format!("{training}.lr=1e30"),
            format!("{training}.warmup_steps=0"),
            format!("{training}.validate_every={validate_every}"),
        ];
        let mut arguments = vec!["run", "--config", "tiny.toml", "--name", &name];
        for setting in &settings {
            arguments.extend(["--set", setting]);
        }
        let output = desk.inversynth(&arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("training.lr"),
            "{}",
            stderr(&output)
        );
        assert!(!stage(&desk, &name).join("checkpoints").exists());
        assert!(!stage(&desk, &name).join("summary.json").exists());
    }
}

#[test]
fn causes_are_said_once_and_a_reader_may_leave_early() {
    let desk = desk();
    let output = desk.inversynth(&["run", "--config", "missing.toml"]);
    let message = stderr(&output);
    assert_eq!(message.matches("No such file").count(), 1, "{message}");

    sounds(&desk, 3);
    let mut child = Command::new(env!("CARGO_BIN_EXE_inversynth"))
        .args(["data", "check", "sounds"])
        .current_dir(desk.path(""))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_no_run_is_left_alone() {
    let desk = desk();
    fs::create_dir_all(desk.path("runs/mine")).unwrap();
    let output = desk.inversynth(&["run", "--config", "tiny.toml", "--name", "mine"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("mine"), "{}", stderr(&output));
    assert!(files(&desk.path("runs/mine")).is_empty());
}

#[test]
fn a_dry_run_describes_and_writes_nothing() {
    let desk = desk();
    let output = desk.inversynth(&[
        "run",
        "--config",
        "tiny.toml",
        "--dry-run",
        "--set",
        "seed=5",
    ]);
    assert!(output.status.success(), "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "seed = 5",
        "in_channels = 65",
        "parameters",
        "peak memory",
        "one step",
    ] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
    assert_eq!(files(&desk.path("")), ["tiny.toml"]);
}

#[test]
fn rendered_sounds_come_with_their_settings_and_pass_the_check() {
    let desk = desk();
    let sounds = sounds(&desk, 5);
    assert_eq!(files(&sounds), ["audio", "manifest.jsonl", "params.json"]);
    let manifest = fs::read_to_string(sounds.join("manifest.jsonl")).unwrap();
    assert_eq!(manifest.lines().count(), 5);
    let row: Value = serde_json::from_str(manifest.lines().next().unwrap()).unwrap();
    assert_eq!(row["path"], "audio/00000.wav");
    assert_eq!(row["frames"], 6554);

    let checked = desk.inversynth(&["data", "check", "sounds"]);
    assert!(checked.status.success());
    assert!(
        stdout(&checked).contains("5 files used"),
        "{}",
        stdout(&checked)
    );

    let again = desk.inversynth(&["synth", "render", "--count", "1", "--out", "sounds"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("not empty"));
}

#[test]
fn the_doctor_names_every_backend() {
    let output = desk().inversynth(&["doctor"]);
    let text = stdout(&output);
    for part in ["inversynth", "burn", "0.22.1", "cpu", "wgpu", "cuda"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn runs_side_by_side_share_decoded_sounds_and_end_with_equal_weights() {
    let desk = desk();
    sounds(&desk, 12);
    let run = |name: &'static str, more: &[&str]| {
        let mut arguments = vec!["--data", "sounds/audio", "--out", "shared"];
        arguments.extend(more);
        let mut whole = vec!["run", "--config", "tiny.toml", "--name", name];
        whole.extend(arguments);
        desk.says(&whole);
        let summary = desk.path(format!(
            "shared/{name}/pretrain_autoencoder_mae/summary.json"
        ));
        let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
        summary["weights_sha256"].as_str().unwrap().to_owned()
    };
    let without = run("without", &["--set", "source.disk_cache_mib=0"]);
    let cache = desk.path("shared/.sounds");
    assert!(!cache.exists());

    std::thread::scope(|scope| {
        let cold: Vec<_> = ["one", "two"]
            .map(|name| scope.spawn(move || run(name, &[])))
            .into_iter()
            .map(|process| process.join().unwrap())
            .collect();
        assert_eq!(cold, [without.clone(), without.clone()]);
    });
    let entries: usize = fs::read_dir(&cache)
        .unwrap()
        .map(|shard| files(&shard.unwrap().path()).len())
        .sum();
    assert_eq!(entries, 12);
    assert_eq!(run("warm", &[]), without);
}
