//! The program as a user meets it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A model and data so small that a run takes a second or two.
const TINY: &str = r#"
[source]
synth_examples = 40
[data.clip]
seconds = 0.25
sample_rate_hz = 8000
[data.stft]
n_fft = 128
hop_length = 64
[data.split]
valid = 0.2
[unet]
base_channels = 8
channel_mults = [1, 2]
blocks_per_level = 1
[stages.pretrain_autoencoder_mae.training]
steps = 6
batch_size = 5
warmup_steps = 2
validate_every = 3
log_every = 2
pictured_examples = 2
"#;

struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("tiny.toml"), TINY).unwrap();
        Self { directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs the program in the desk's directory.
    fn inversynth(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_inversynth"))
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }

    /// Runs the tiny experiment under `name` and returns its summary.
    fn train(&self, name: &str, more: &[&str]) -> Value {
        let mut arguments = vec!["run", "--config", "tiny.toml", "--run", "stage"];
        arguments.extend(["--stage", "pretrain_autoencoder_mae", "--name", name]);
        arguments.extend(more);
        let output = self.inversynth(&arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        self.summary(name)
    }

    fn summary(&self, name: &str) -> Value {
        let path = self.stage(name).join("summary.json");
        serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    }

    fn stage(&self, name: &str) -> PathBuf {
        self.path("runs")
            .join(name)
            .join("pretrain_autoencoder_mae")
    }

    /// Sounds made by the program itself.
    fn sounds(&self, count: usize) -> PathBuf {
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
        let output = self.inversynth(&arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        self.path("sounds")
    }

    /// Asserts that `arguments` fail as a user's mistake, with all of `said`, and leave no run.
    fn refuses(&self, arguments: &[&str], said: &[&str]) {
        let output = self.inversynth(arguments);
        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        for part in said {
            assert!(
                message.contains(part),
                "{arguments:?}: no {part:?} in: {message}"
            );
        }
        assert!(!self.path("runs").exists(), "{arguments:?} wrote something");
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
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
    let desk = Desk::new();
    let summary = desk.train("first", &[]);
    let keys: Vec<&String> = summary.as_object().unwrap().keys().collect();
    let mut expected = vec![
        "stage",
        "run",
        "device",
        "seed",
        "steps",
        "seconds",
        "train_examples",
        "valid_examples",
        "files_used",
        "files_rejected",
        "valid_loss",
        "best_valid_loss",
        "baseline_loss",
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

    let stage = desk.stage("first");
    assert_eq!(
        files(&stage),
        [
            "checkpoints",
            "metrics.jsonl",
            "reconstruction.png",
            "summary.json",
            "tb"
        ]
    );
    assert_eq!(files(&stage.join("checkpoints")), ["best", "last"]);
    assert_eq!(
        files(&stage.join("checkpoints/last")),
        ["model.bpk", "optimizer.bpk", "state.json"]
    );
    assert_eq!(
        files(&stage.join("checkpoints/best")),
        ["model.bpk", "state.json"]
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
    let desk = Desk::new();
    let first = desk.train("first", &[]);
    let metrics = |name: &str| fs::read_to_string(desk.stage(name).join("metrics.jsonl")).unwrap();
    for workers in ["0", "1", "2", "4"] {
        let set = format!("loader.workers={workers}");
        let name = format!("with-{workers}");
        let again = desk.train(&name, &["--set", &set]);
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
    let other = desk.train("other", &["--set", "seed=1"]);
    assert_ne!(other["weights_sha256"], first["weights_sha256"]);
}

#[test]
fn a_folder_is_trained_on_and_a_corrupt_file_is_listed() {
    let desk = Desk::new();
    let sounds = desk.sounds(12);
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
    let summary = desk.summary("mine");
    assert_eq!(summary["files_used"], 12);
    assert_eq!(summary["files_rejected"], 1);

    // With its manifest the same folder is labelled data, and only what is listed counts.
    desk.train("labelled", &["--data", "sounds"]);
    let summary = desk.summary("labelled");
    assert_eq!(summary["files_used"], 12);
    assert_eq!(summary["files_rejected"], 0);
}

#[test]
fn mistakes_are_named_and_nothing_is_written() {
    let desk = Desk::new();
    fs::create_dir(desk.path("empty")).unwrap();
    fs::create_dir(desk.path("texts")).unwrap();
    fs::write(desk.path("texts/readme.txt"), "no sound").unwrap();
    fs::write(
        desk.path("typo.toml"),
        "seed = 1\n[data.clip]\nsecondes = 2\n",
    )
    .unwrap();
    fs::write(desk.path("channels.toml"), "[unet]\nin_channels = 256\n").unwrap();

    desk.refuses(&["run", "--data", "nowhere"], &["nowhere"]);
    desk.refuses(&["run", "--data", "empty"], &["empty", "no sound file"]);
    desk.refuses(&["run", "--data", "texts"], &["texts", "no sound file"]);
    desk.refuses(
        &["run", "--config", "typo.toml"],
        &["typo.toml", "line 3", "secondes", "`seconds`"],
    );
    desk.refuses(
        &["run", "--config", "channels.toml"],
        &["in_channels", "256", "257"],
    );
    desk.refuses(&["run", "--config", "missing.toml"], &["missing.toml"]);
    desk.refuses(
        &["run", "--stage", "pretrain_autoencoder_mea"],
        &[
            "pretrain_autoencoder_mea",
            "did you mean `pretrain_autoencoder_mae`",
        ],
    );
    desk.refuses(&["run", "--device", "gpu"], &["gpu", "cpu"]);
    desk.refuses(
        &["run", "--set", "data.clip.secondes=2"],
        &["--set", "`seconds`"],
    );
    desk.refuses(&["run", "--name", "a/b"], &["a/b"]);
    desk.refuses(
        &["run", "--data", "tiny.toml"],
        &["tiny.toml", "neither a folder"],
    );
    desk.refuses(
        &["run", "--out", "tiny.toml"],
        &["tiny.toml", "not a directory"],
    );
    desk.refuses(
        &["run", "--set", "data.split.valid=0.0"],
        &["data.split.valid"],
    );
    desk.refuses(
        &["run", "--set", "data.clip.sample_rate_hz=2000"],
        &["4000"],
    );
    desk.refuses(&["data", "check", "texts"], &["no sound file"]);
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_no_weights() {
    let desk = Desk::new();
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
        assert!(!desk.stage(&name).join("checkpoints").exists());
        assert!(!desk.stage(&name).join("summary.json").exists());
    }
}

#[test]
fn causes_are_said_once_and_a_reader_may_leave_early() {
    let desk = Desk::new();
    let output = desk.inversynth(&["run", "--config", "missing.toml"]);
    let message = stderr(&output);
    assert_eq!(message.matches("No such file").count(), 1, "{message}");

    desk.sounds(3);
    let mut child = Command::new(env!("CARGO_BIN_EXE_inversynth"))
        .args(["data", "check", "sounds"])
        .current_dir(desk.directory.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_existing_run_is_left_alone() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("runs/mine")).unwrap();
    let output = desk.inversynth(&["run", "--config", "tiny.toml", "--name", "mine"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("mine"), "{}", stderr(&output));
    assert!(files(&desk.path("runs/mine")).is_empty());
}

#[test]
fn a_dry_run_describes_and_writes_nothing() {
    let desk = Desk::new();
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
    assert_eq!(files(desk.directory.path()), ["tiny.toml"]);
}

#[test]
fn rendered_sounds_come_with_their_settings_and_pass_the_check() {
    let desk = Desk::new();
    let sounds = desk.sounds(5);
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
    let output = Desk::new().inversynth(&["doctor"]);
    let text = stdout(&output);
    for part in ["inversynth", "burn", "0.22.1", "cpu", "wgpu", "cuda"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
