//! The program as a user meets it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

mod fixture;
use fixture::{Cli, TINY, stderr, stdout};

/// A directory with the tiny experiment.
fn tiny() -> Cli {
    let cli = Cli::empty();
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    cli
}

/// Runs the tiny experiment under `name` and returns its summary.
fn train(cli: &Cli, name: &str, more: &[&str]) -> Value {
    let mut arguments = vec!["run", "--config", "tiny.toml", "--run", "stage"];
    arguments.extend(["--stage", "pretrain_autoencoder_mae", "--name", name]);
    arguments.extend(more);
    cli.run(&arguments);
    summary(cli, name)
}

fn summary(cli: &Cli, name: &str) -> Value {
    let path = stage(cli, name).join("summary.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn stage(cli: &Cli, name: &str) -> PathBuf {
    cli.path("runs").join(name).join("pretrain_autoencoder_mae")
}

#[test]
fn every_distance_of_a_reconstruction_is_logged_by_its_name() {
    let cli = tiny();
    let key = "stages.train_autoencoder_nomask_finetune";
    let names = ["itakura_saito", "spec_a_weighted", "spec_mel"].map(|name| ("composite", name));
    let of_sounds = ["multi_resolution_stft", "esr", "dc"].map(|name| ("waveform", name));
    let weights = names.iter().chain(&of_sounds);
    let mut settings: Vec<String> = weights
        .map(|(table, name)| format!("{key}.{table}.{name}=0.1"))
        .collect();
    settings.push(format!("{key}.composite.mel.bands=12"));
    let set: Vec<&str> = settings.iter().flat_map(|text| ["--set", text]).collect();
    for stage in [
        "pretrain_autoencoder_mae",
        "train_autoencoder_nomask_finetune",
    ] {
        let run = [
            "run",
            "--config",
            "tiny.toml",
            "--name",
            "all",
            "--stage",
            stage,
        ];
        cli.run(&[&run, &set[..]].concat());
    }
    let run = ["run", "--name", "all", "--stage", "test_autoencoder"];
    cli.run(&run);
    let path = cli.path("runs/all/train_autoencoder_nomask_finetune/summary.json");
    let summary: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let page = fs::read_to_string(cli.path("runs/all/report.html")).unwrap();
    assert!(page.contains("Multi-resolution STFT loss (sounds)"));
    for (_, name) in names.iter().chain(&of_sounds) {
        assert!(summary[name].as_f64().unwrap() > 0.0, "{name}");
        assert!(
            summary[format!("{name}_baseline")].as_f64().unwrap() > 0.0,
            "{name}"
        );
    }
    // What can't be is refused by its key.
    for (setting, said) in [
        ("composite.mel.bands=4000", "bands"),
        ("waveform.esr=-1", "waveform.esr"),
        (
            "waveform.stft.resolutions=[]",
            "waveform.stft.resolutions` is []",
        ),
    ] {
        let set = format!("{key}.{setting}");
        let more = format!("{key}.waveform.multi_resolution_stft=1");
        let refused = [
            "run",
            "--config",
            "tiny.toml",
            "--set",
            &more,
            "--set",
            &format!("{key}.composite.spec_mel=1"),
            "--set",
            &set,
        ];
        cli.refuses(&refused, &[said]);
    }
}

/// Sounds made by the program itself.
fn sounds(cli: &Cli, count: usize) -> PathBuf {
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
    cli.run(&arguments);
    cli.path("sounds")
}

/// Asserts that `arguments` fail as a user's mistake, with all of `said`, and leave no run.
fn refuses(cli: &Cli, arguments: &[&str], said: &[&str]) {
    cli.refuses(arguments, said);
    assert!(!cli.path("runs").exists(), "{arguments:?} wrote something");
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
    let cli = tiny();
    let summary = train(&cli, "first", &[]);
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
        "provenance",
        "files_rejected",
        "valid_loss",
        "best_valid_loss",
        "baseline",
        "baseline_loss",
        "normalized_l1",
        "normalized_l1_baseline",
        "normalized_l2",
        "normalized_l2_baseline",
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

    let stage = stage(&cli, "first");
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
        [
            "model.bpk",
            "optimizer.bpk",
            "state.json",
            "trained_on.json"
        ]
    );
    assert_eq!(
        files(&stage.join("checkpoints/best")),
        ["model.bpk", "state.json", "trained_on.json"]
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
    assert_eq!(steps("train/loss"), [2, 3, 4, 6]);
    assert_eq!(steps("train/lr"), [2, 3, 4, 6]);
    assert_eq!(steps("train/grad_norm"), [2, 3, 4, 6]);
    assert_eq!(steps("valid/loss"), [3, 6]);
    assert_eq!(steps("valid/normalized_l1"), [3, 6]);
}

#[test]
fn one_seed_gives_one_result_whatever_the_number_of_workers() {
    let cli = tiny();
    let first = train(&cli, "first", &[]);
    let metrics = |name: &str| fs::read_to_string(stage(&cli, name).join("metrics.jsonl")).unwrap();
    for workers in ["0", "1", "2", "4"] {
        let set = format!("loader.workers={workers}");
        let name = format!("with-{workers}");
        let again = train(&cli, &name, &["--set", &set]);
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
    let other = train(&cli, "other", &["--set", "seed=1"]);
    assert_ne!(other["weights_sha256"], first["weights_sha256"]);
}

#[test]
fn a_folder_is_trained_on_and_a_corrupt_file_is_listed() {
    let cli = tiny();
    let sounds = sounds(&cli, 12);
    fs::write(
        sounds.join("audio/broken.wav"),
        b"RIFF\x10\0\0\0WAVEfmt nonsense",
    )
    .unwrap();
    let output = cli.inversynth(&[
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
    let mine = summary(&cli, "mine");
    assert_eq!(mine["files_used"], 12);
    assert_eq!(mine["files_rejected"], 1);

    // With its manifest the same folder is labelled data, and only what is listed counts.
    train(&cli, "labelled", &["--data", "sounds"]);
    let labelled = summary(&cli, "labelled");
    assert_eq!(labelled["files_used"], 12);
    assert_eq!(labelled["files_rejected"], 0);
}

#[test]
fn a_run_is_continued_only_with_its_own_sounds_and_a_test_warns_of_others() {
    let cli = tiny();
    let audio = sounds(&cli, 12).join("audio");
    for (name, data) in [("files", "sounds/audio"), ("labelled", "sounds")] {
        let call = |stages: &'static str| {
            let more = ["--run", stages, "--name", name, "--data", data];
            [&["run", "--config", "tiny.toml"], &more[..]].concat()
        };
        cli.run(&call("pretrain"));
        let go_on = |said: &str| {
            let file = format!("runs/{name} began with: {said}; restore those");
            cli.refuses(&call("train"), &[&file, "--name"]);
        };
        // A sound that is another under the name of one that was there, whose patch may be the same.
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
        cli.run(&call("train"));
        fs::copy(&paths[1], &paths[0]).unwrap();
        let output = cli.inversynth(&call("test"));
        let said = stderr(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("warning: the sounds are not those"), "{said}");
        fs::write(&paths[0], &kept).unwrap();

        // Summaries say which they were.
        let set = |stage: &str| {
            let path = cli.path("runs").join(name).join(stage);
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
    let cli = tiny();
    fs::create_dir(cli.path("empty")).unwrap();
    fs::create_dir(cli.path("texts")).unwrap();
    fs::write(cli.path("texts/readme.txt"), "no sound").unwrap();
    fs::write(
        cli.path("typo.toml"),
        "seed = 1\n[data.clip]\nsecondes = 2\n",
    )
    .unwrap();
    fs::write(cli.path("channels.toml"), "[unet]\nin_channels = 256\n").unwrap();

    refuses(&cli, &["run", "--data", "nowhere"], &["nowhere"]);
    refuses(
        &cli,
        &["run", "--data", "empty"],
        &["empty", "no sound file"],
    );
    refuses(
        &cli,
        &["run", "--data", "texts"],
        &["texts", "no sound file"],
    );
    refuses(
        &cli,
        &["run", "--config", "typo.toml"],
        &["typo.toml", "line 3", "secondes", "`seconds`"],
    );
    refuses(
        &cli,
        &["run", "--config", "channels.toml"],
        &["in_channels", "256", "257"],
    );
    refuses(
        &cli,
        &["run", "--config", "missing.toml"],
        &["missing.toml"],
    );
    refuses(
        &cli,
        &["run", "--stage", "pretrain_autoencoder_mea"],
        &[
            "pretrain_autoencoder_mea",
            "did you mean `pretrain_autoencoder_mae`",
        ],
    );
    refuses(&cli, &["run", "--device", "gpu"], &["gpu", "cpu"]);
    refuses(
        &cli,
        &["run", "--set", "data.clip.secondes=2"],
        &["--set", "`seconds`"],
    );
    refuses(&cli, &["run", "--name", "a/b"], &["a/b"]);
    refuses(
        &cli,
        &["run", "--data", "tiny.toml"],
        &["tiny.toml", "neither a sound"],
    );
    refuses(
        &cli,
        &["run", "--out", "tiny.toml"],
        &["tiny.toml", "not a directory"],
    );
    refuses(
        &cli,
        &["run", "--set", "data.split.valid=0.0"],
        &["data.split.valid"],
    );
    refuses(
        &cli,
        &["run", "--set", "data.clip.sample_rate_hz=2000"],
        &["4000"],
    );
    refuses(&cli, &["data", "check", "texts"], &["no sound file"]);
}

#[test]
fn a_test_of_nothing_is_refused_before_any_work_and_heads_without_one_say_so() {
    let cli = tiny();
    let call = |more: &[&'static str]| {
        let none = ["run", "--config", "tiny.toml", "--set", "data.split.test=0"];
        [&none[..], more].concat()
    };
    let said = "none of the 40 sounds is held out for testing (data.split.test is 0)";
    for more in [
        ["--run", "all"],
        ["--run", "test"],
        ["--stage", "test_autoencoder"],
        ["--stage", "test_transformer"],
    ] {
        refuses(&cli, &call(&[&more[..], &["--dry-run"]].concat()), &[said]);
    }
    refuses(&cli, &call(&["--run", "all"]), &[said]);
    sounds(&cli, 2);
    let two = ["--config", "tiny.toml", "--run", "all", "--data", "sounds"];
    cli.refuses(
        &[&["run"], &two[..]].concat(),
        &["none of the 2 sounds", "three different sounds"],
    );
    assert!(!cli.path("runs/all-001").exists());

    let heads = "finetune_parameters_autoencoder";
    let scratch = "stages.finetune_parameters_autoencoder.start=scratch";
    let output = cli.inversynth(&call(&[
        "--stage", heads, "--set", scratch, "--name", "mine",
    ]));
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    let warned = format!("the estimates of {heads} are not tested; set `data.split.test`");
    assert!(said.contains(&warned), "{said}");
    let report = fs::read_to_string(cli.path("runs/mine/report.json")).unwrap();
    assert!(report.contains("No sound was held out"), "{report}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_keeps_no_weights() {
    let cli = tiny();
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
        let output = cli.inversynth(&arguments);
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(
            stderr(&output).contains("training.lr"),
            "{}",
            stderr(&output)
        );
        assert!(!stage(&cli, &name).join("checkpoints").exists());
        assert!(!stage(&cli, &name).join("summary.json").exists());
    }
}

#[test]
fn causes_are_printed_once_and_a_reader_may_leave_early() {
    let cli = tiny();
    let output = cli.inversynth(&["run", "--config", "missing.toml"]);
    let message = stderr(&output);
    assert_eq!(message.matches("No such file").count(), 1, "{message}");

    sounds(&cli, 3);
    let mut child = Command::new(env!("CARGO_BIN_EXE_inversynth"))
        .args(["data", "check", "sounds"])
        .current_dir(cli.path(""))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn what_is_no_run_is_left_alone() {
    let cli = tiny();
    fs::create_dir_all(cli.path("runs/mine")).unwrap();
    let output = cli.inversynth(&["run", "--config", "tiny.toml", "--name", "mine"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("mine"), "{}", stderr(&output));
    assert!(files(&cli.path("runs/mine")).is_empty());
}

#[test]
fn a_dry_run_describes_and_writes_nothing() {
    let cli = tiny();
    let output = cli.inversynth(&[
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
    assert_eq!(files(&cli.path("")), ["tiny.toml"]);
}

#[test]
fn rendered_sounds_come_with_their_settings_and_pass_the_check() {
    let cli = tiny();
    let sounds = sounds(&cli, 5);
    assert_eq!(files(&sounds), ["audio", "manifest.jsonl", "params.json"]);
    let manifest = fs::read_to_string(sounds.join("manifest.jsonl")).unwrap();
    assert_eq!(manifest.lines().count(), 5);
    let row: Value = serde_json::from_str(manifest.lines().next().unwrap()).unwrap();
    assert_eq!(row["path"], "audio/00000.wav");
    assert_eq!(row["frames"], 6554);

    let checked = cli.inversynth(&["data", "check", "sounds"]);
    assert!(checked.status.success());
    assert!(
        stdout(&checked).contains("5 files used"),
        "{}",
        stdout(&checked)
    );

    let again = cli.inversynth(&["synth", "render", "--count", "1", "--out", "sounds"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("not empty"));
}

#[test]
fn the_doctor_names_every_backend() {
    let output = tiny().inversynth(&["doctor"]);
    let text = stdout(&output);
    for part in ["inversynth", "burn", "0.22.1", "cpu", "wgpu", "cuda"] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
