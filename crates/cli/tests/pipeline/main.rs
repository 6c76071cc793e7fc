//! Several stages in one run, as a user calls them.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

#[path = "../fixture/mod.rs"]
mod fixture;
mod held_out;

use fixture::{Cli, TINY, stderr};

const CONTRASTIVE: &str = "pretrain_transformer_contrastive";

fn tiny() -> Cli {
    let cli = Cli::empty();
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    cli
}

/// A directory with runs `first` and `second`, whose contrastive pretraining came to different weights.
fn two_pretrainings() -> Cli {
    let cli = tiny();
    cli.run(&arguments("stage", "first", &["--stage", CONTRASTIVE]));
    let other_seed = ["--stage", CONTRASTIVE, "--set", "seed=5"];
    cli.run(&arguments("stage", "second", &other_seed));
    cli
}

fn arguments<'a>(run: &'a str, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["run", "--config", "tiny.toml", "--run", run, "--name", name];
    arguments.extend(more);
    arguments
}

fn stage(cli: &Cli, run: &str, stage: &str) -> PathBuf {
    cli.path("runs").join(run).join(stage)
}

fn summary(cli: &Cli, run: &str, name: &str) -> Value {
    let path = stage(cli, run, name).join("summary.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Runs a stage and kills it when it has left its first checkpoint.
fn kill_in_training(cli: &Cli, run: &str, name: &str, more: &[&str]) {
    let directory = stage(cli, run, name);
    let checkpoint = directory.join("checkpoints/last/state.json");
    cli.kill_when(&arguments("stage", run, more), || checkpoint.exists());
    assert!(!directory.join("summary.json").exists());
}

#[test]
fn one_call_runs_every_stage_and_the_tests_score_held_out_sounds() {
    let cli = tiny();
    cli.run(&arguments("all", "mine", &[]));
    for (name, tested, earlier) in [
        (
            "test_autoencoder",
            "train_autoencoder_nomask_finetune",
            "pretrain_autoencoder_mae",
        ),
        (
            "test_transformer",
            "train_full_transformer",
            "train_transformer_decoder",
        ),
    ] {
        let test = summary(&cli, "mine", name);
        let trained = summary(&cli, "mine", tested);
        assert_eq!(test["weights_sha256"], best_weights(&trained), "{name}");
        assert!(test["mask"]["ratio"].as_f64().unwrap() > 0.0);
        let rows = test["rows"].as_array().unwrap();
        let scored: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row["scored"].as_str().unwrap(),
                    row["model"].as_str().unwrap(),
                )
            })
            .collect();
        let models = [tested, earlier, "mean spectrogram"];
        let expected: Vec<_> = ["hidden", "everything"]
            .into_iter()
            .flat_map(|scored| models.map(|model| (scored, model)))
            .collect();
        assert_eq!(scored, expected);
        let metrics = stage(&cli, "mine", name).join("metrics.jsonl");
        let metrics = fs::read_to_string(metrics).unwrap();
        assert!(metrics.contains("test/avg_loss"), "{metrics}");
    }
    // The synthesizer's sounds are labelled.
    for name in ["autoencoder", "transformer"] {
        let heads = summary(&cli, "mine", &format!("finetune_parameters_{name}"));
        assert!(
            heads["parameter_test"]["test_examples"].as_u64() > Some(0),
            "{name}"
        );
    }
    let said = cli.run(&arguments("test", "mine", &[]));
    assert!(
        said.contains("test_transformer is already finished"),
        "{said}"
    );
}

/// The run is so short and its loss falls so steadily that the last weights are the best ones.
fn best_weights(trained: &Value) -> Value {
    assert_eq!(trained["valid_loss"], trained["best_valid_loss"]);
    trained["weights_sha256"].clone()
}

#[test]
fn an_interrupted_stage_resumes_from_its_own_checkpoint_whatever_it_started_from() {
    let cli = tiny();
    cli.run(&arguments("stage", "first", &["--stage", CONTRASTIVE]));
    let steps = "stages.train_transformer_decoder.training.steps=40";
    let decoder = "train_transformer_decoder";
    let from = ["--stage", decoder, "--from", "runs/first", "--set", steps];
    cli.run(&arguments("stage", "whole", &from));
    kill_in_training(&cli, "killed", decoder, &from);
    // Neither a path nor the earlier stage is needed any more.
    let alone = ["--stage", decoder, "--set", steps];
    cli.run(&arguments("stage", "killed", &alone));
    let weights = |run| summary(&cli, run, decoder)["weights_sha256"].clone();
    assert_eq!(weights("killed"), weights("whole"));
    // It is known what it started from, also after the interruption.
    for run in ["killed", "whole"] {
        let provenance = &summary(&cli, run, decoder)["provenance"];
        assert_eq!(provenance["path"], "runs/first", "{run}");
        assert_eq!(provenance["stage"], CONTRASTIVE);
        let first = summary(&cli, "first", CONTRASTIVE);
        assert_eq!(provenance["weights_sha256"], best_weights(&first));
    }

    // With the decoder's stage finished, the next one starts from it in the same run.
    cli.run(&arguments(
        "stage",
        "whole",
        &["--stage", "train_full_transformer", "--set", steps],
    ));
}

#[test]
fn a_stage_that_has_begun_does_not_change_its_initial_weights_silently() {
    let cli = two_pretrainings();
    let decoder = "train_transformer_decoder";
    let steps = "stages.train_transformer_decoder.training.steps=40";
    let from = |path| ["--stage", decoder, "--set", steps, "--from", path];
    kill_in_training(&cli, "mine", decoder, &from("runs/first"));

    let said = [
        "train_transformer_decoder of the run at runs/mine was initialised from",
        "runs/first",
        "not from",
        "runs/second",
        "leave --from out",
    ];
    cli.refuses(&arguments("stage", "mine", &from("runs/second")), &said);
    // The same weights under another name are the same weights.
    let stage_of_it = format!("runs/first/{CONTRASTIVE}");
    let printed = cli.run(&arguments("stage", "mine", &from(&stage_of_it)));
    assert!(
        printed.contains(
            "initialised from  pretrain_transformer_contrastive after step 6, runs/first ("
        ),
        "{printed}"
    );

    let noted = |path| {
        let output = cli.inversynth(&arguments("stage", "mine", &from(path)));
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    assert!(!noted("runs/first").contains("note:"));
    let note = noted("runs/second");
    assert!(
        note.contains("note: train_transformer_decoder is finished and is not run again"),
        "{note}"
    );
    // A repeated call resumes, also where its initial weights were removed.
    fs::remove_dir_all(cli.path("runs/first")).unwrap();
    assert!(!noted("runs/first").contains("note:"));
}

#[test]
fn no_stage_starts_from_one_that_was_interrupted() {
    let cli = tiny();
    let steps = "stages.pretrain_transformer_contrastive.training.steps=4000";
    let more = ["--stage", CONTRASTIVE, "--set", steps];
    kill_in_training(&cli, "mine", CONTRASTIVE, &more);
    let decoder = ["--stage", "train_transformer_decoder", "--set", steps];
    let said = [
        "train_transformer_decoder starts from pretrain_transformer_contrastive, which was interrupted",
    ];
    cli.refuses(&arguments("stage", "mine", &decoder), &said);
}

#[test]
fn stages_find_the_weights_of_earlier_ones_in_the_same_run_and_are_done_once() {
    let cli = tiny();
    cli.run(&arguments("pretrain", "mine", &[]));
    cli.run(&arguments("train", "mine", &[]));
    let contrast = summary(&cli, "mine", CONTRASTIVE);
    for key in [
        "contrastive_loss",
        "contrastive_accuracy",
        "contrastive_chance",
        "query_spread",
    ] {
        assert!(contrast[key].as_f64().unwrap().is_finite(), "{key}");
    }
    assert_eq!(contrast["baseline"], "chance");
    assert_eq!(
        contrast["contrastive_accuracy_baseline"],
        contrast["contrastive_chance"]
    );
    let decoder = summary(&cli, "mine", "train_transformer_decoder");
    let full = summary(&cli, "mine", "train_full_transformer");
    for key in ["patch_mse", "patch_mse_baseline"] {
        assert!(decoder[key].as_f64().unwrap() > 0.0, "{key}");
    }
    // Both hide the same patches of the same sounds.
    assert_eq!(decoder["patch_mse_baseline"], full["patch_mse_baseline"]);
    assert!(full["spec_sc"].as_f64().unwrap() > 0.0);
    assert!(decoder["spec_sc"].is_null());

    let before = fs::read(stage(&cli, "mine", CONTRASTIVE).join("metrics.jsonl")).unwrap();
    let again = cli.run(&arguments("pretrain", "mine", &[]));
    assert!(
        again.contains("pretrain_transformer_contrastive is already finished"),
        "{again}"
    );
    let after = fs::read(stage(&cli, "mine", CONTRASTIVE).join("metrics.jsonl")).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_stage_without_what_it_starts_from_is_refused_and_a_path_may_be_given() {
    let cli = tiny();
    let refused = [
        "train_transformer_decoder starts from pretrain_transformer_contrastive",
        "--from",
    ];
    cli.refuses(&arguments("train", "mine", &[]), &refused);
    assert!(!cli.path("runs/mine").exists());

    cli.run(&arguments("stage", "first", &["--stage", CONTRASTIVE]));
    let decoder = ["--stage", "train_transformer_decoder", "--from"];
    for (name, from) in [
        ("by-run", "runs/first".to_owned()),
        ("by-stage", format!("runs/first/{CONTRASTIVE}")),
        (
            "by-checkpoint",
            format!("runs/first/{CONTRASTIVE}/checkpoints/best"),
        ),
    ] {
        let more: Vec<&str> = decoder.into_iter().chain([from.as_str()]).collect();
        cli.run(&arguments("stage", name, &more));
    }
    let weights = |run| summary(&cli, run, "train_transformer_decoder")["weights_sha256"].clone();
    assert_eq!(weights("by-run"), weights("by-stage"));
    assert_eq!(weights("by-run"), weights("by-checkpoint"));

    // Weights of another size, of another stage, and of another transform.
    let from = format!("runs/first/{CONTRASTIVE}");
    for (setting, said) in [
        (
            "transformer.encoder.d_ff=28",
            "its `transformer.encoder.d_ff` is 24, and this run's is 28",
        ),
        (
            "data.stft.hop_length=32",
            "its `data.stft.hop_length` is 64, and this run's is 32",
        ),
    ] {
        let more = [
            "--stage",
            "train_transformer_decoder",
            "--from",
            &from,
            "--set",
            setting,
        ];
        cli.refuses(&arguments("stage", "other", &more), &[said]);
    }
    let more = ["--stage", "train_full_transformer", "--from", &from];
    cli.refuses(&arguments("stage", "other", &more), &["its `stage` is"]);
    assert!(!cli.path("runs/other").exists());
}

#[test]
fn a_run_is_continued_only_with_its_own_settings() {
    let cli = tiny();
    let mae = ["--stage", "pretrain_autoencoder_mae"];
    cli.run(&arguments("stage", "mine", &mae));
    let other = ["--stage", CONTRASTIVE, "--set", "seed=4"];
    let said = ["runs/mine began with `seed` = 0, not 4"];
    let output = cli.refuses(&arguments("stage", "mine", &other), &said);
    // Before any sound is read.
    assert!(!stderr(&output).contains("reading"), "{}", stderr(&output));
    // A stage that hasn't begun may still be changed.
    let steps = "stages.pretrain_transformer_contrastive.training.steps=3";
    cli.run(&arguments(
        "stage",
        "mine",
        &["--stage", CONTRASTIVE, "--set", steps],
    ));
    assert_eq!(summary(&cli, "mine", CONTRASTIVE)["steps"], 3);

    // Where none are printed they are those that it began with, sounds included.
    let bare = ["run", "--name", "mine", "--run", "train"];
    cli.run(&bare);
    assert_eq!(summary(&cli, "mine", "train_full_transformer")["steps"], 6);
    let said = ["runs/mine began with `seed` = 0, not 4"];
    cli.refuses(&[&bare[..], &["--set", "seed=4"]].concat(), &said);
    let said = ["runs/mine began with `source.path` = \"synth\", not \"elsewhere\""];
    cli.refuses(&[&bare[..], &["--data", "elsewhere"]].concat(), &said);
    // A file is taken for what it says, as ever.
    fs::write(cli.path("other.toml"), "seed = 4").unwrap();
    let file = [&bare[..], &["--config", "other.toml"]].concat();
    cli.refuses(&file, &["runs/mine began with `"]);
}

#[test]
fn a_killed_run_resumes_and_ends_with_equal_weights_and_metrics() {
    let cli = tiny();
    let training = "stages.pretrain_transformer_contrastive.training";
    let steps = format!("{training}.steps=40");
    // Doesn't divide the steps between checkpoints.
    let log = format!("{training}.log_every=3");
    let more = ["--stage", CONTRASTIVE, "--set", &steps, "--set", &log];
    cli.run(&arguments("stage", "whole", &more));

    kill_in_training(&cli, "killed", CONTRASTIVE, &more);

    let output = cli.inversynth(&arguments("stage", "killed", &more));
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("was interrupted and resumes"),
        "{}",
        stderr(&output)
    );
    let weights = |run| summary(&cli, run, CONTRASTIVE)["weights_sha256"].clone();
    assert_eq!(weights("killed"), weights("whole"));
    let metrics =
        |run| fs::read_to_string(stage(&cli, run, CONTRASTIVE).join("metrics.jsonl")).unwrap();
    assert_eq!(metrics("killed"), metrics("whole"));
}

#[test]
fn what_was_logged_before_the_first_checkpoint_is_not_logged_twice() {
    let cli = tiny();
    let training = "stages.pretrain_transformer_contrastive.training";
    let settings = [
        format!("{training}.steps=40"),
        format!("{training}.validate_every=40"),
        format!("{training}.log_every=1"),
    ];
    let mut more = vec!["--stage", CONTRASTIVE];
    for setting in &settings {
        more.extend(["--set", setting]);
    }
    cli.run(&arguments("stage", "whole", &more));

    let metrics = |run| {
        let path = stage(&cli, run, CONTRASTIVE).join("metrics.jsonl");
        fs::read_to_string(path).unwrap_or_default()
    };
    let has_logged = || metrics("killed").lines().count() > 10;
    cli.kill_when(&arguments("stage", "killed", &more), has_logged);
    let directory = stage(&cli, "killed", CONTRASTIVE);
    assert!(!directory.join("checkpoints/last").exists());

    cli.run(&arguments("stage", "killed", &more));
    assert_eq!(metrics("killed"), metrics("whole"));
    assert_eq!(fs::read_dir(directory.join("tb")).unwrap().count(), 1);
}

#[test]
fn the_same_call_resumes_an_unfinished_run_and_begins_another_after_it() {
    let cli = tiny();
    let steps = "stages.pretrain_transformer_contrastive.training.steps=40";
    let call = [
        "run",
        "--config",
        "tiny.toml",
        "--stage",
        CONTRASTIVE,
        "--set",
        steps,
    ];
    let first = format!("{CONTRASTIVE}-001");
    let checkpoint = stage(&cli, &first, CONTRASTIVE).join("checkpoints/last/state.json");
    cli.kill_when(&call, || checkpoint.exists());

    // Other settings are another run.
    let other = [&call[..], &["--set", "seed=3"]].concat();
    cli.run(&other);
    assert!(!cli.path("runs").join(&first).join("report.html").exists());
    assert_eq!(
        summary(&cli, &format!("{CONTRASTIVE}-002"), CONTRASTIVE)["seed"],
        3
    );

    let output = cli.inversynth(&call);
    let said = stderr(&output);
    assert!(said.contains(&format!("resuming {first}")), "{said}");
    assert_eq!(summary(&cli, &first, CONTRASTIVE)["steps"], 40);
    let third = format!("{CONTRASTIVE}-003");
    assert!(!cli.path("runs").join(&third).exists());

    cli.run(&call);
    assert_eq!(
        summary(&cli, &third, CONTRASTIVE)["weights_sha256"],
        summary(&cli, &first, CONTRASTIVE)["weights_sha256"]
    );

    // A call ends with its report.
    let report = cli.path("runs").join(&third).join("report.html");
    fs::remove_file(&report).unwrap();
    cli.run(&call);
    assert!(report.exists());
    let fourth = format!("{CONTRASTIVE}-004");
    assert!(!cli.path("runs").join(fourth).exists());
}

#[test]
fn a_call_that_is_killed_in_a_later_stage_and_between_two_ends_with_the_same_report() {
    let settings = [
        "stages.train_full_transformer.training.steps=40",
        "stages.finetune_parameters_transformer.training.steps=40",
    ];
    let more = settings.map(|setting| ["--set", setting]).concat();
    // The same names in two directories, so that summaries name the same paths.
    let (whole, killed) = (tiny(), tiny());
    let call = arguments("all", "mine", &more);
    whole.run(&call);

    let (last, done) = ("checkpoints/last/state.json", "summary.json");
    let [full, heads] = ["train_full_transformer", "finetune_parameters_transformer"];
    // Tests come after the second, and have no checkpoint to resume from.
    for (name, left, unfinished) in [
        (full, last, full),
        (
            "train_autoencoder_nomask_finetune",
            done,
            "finetune_parameters_autoencoder",
        ),
        (heads, last, heads),
    ] {
        let path = stage(&killed, "mine", name).join(left);
        killed.kill_when(&call, || path.exists());
        let summary = stage(&killed, "mine", unfinished).join(done);
        assert!(!summary.exists(), "{name} was killed too late");
    }
    let output = killed.inversynth(&call);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("finetune_parameters_transformer was interrupted and resumes"),
        "{said}"
    );

    let report = |cli: &Cli| {
        let text = fs::read_to_string(cli.path("runs/mine/report.json")).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    let (whole, killed) = (report(&whole), report(&killed));
    let stages = |report: &Value| report["stages"].as_array().unwrap().clone();
    let mut compared = 0;
    for (whole, killed) in stages(&whole).iter().zip(stages(&killed)) {
        let timeless = |stage: &Value| {
            let mut summary = stage["summary"].as_object().unwrap().clone();
            for key in ["seconds", "peak_rss_bytes"] {
                assert!(summary.remove(key).is_some(), "{key}");
            }
            summary
        };
        assert_eq!(timeless(whole), timeless(&killed));
        assert_eq!(whole["curves"], killed["curves"], "{}", whole["stage"]);
        compared += 1;
    }
    assert_eq!(compared, 9);
}

#[test]
fn a_test_compares_with_the_weights_that_the_model_was_initialised_from() {
    let cli = tiny();
    let (masked, whole) = (
        "pretrain_autoencoder_mae",
        "train_autoencoder_nomask_finetune",
    );
    let test = "test_autoencoder";
    let shorter = format!("stages.{masked}.training.steps=3");
    for name in [masked, whole, test] {
        let more = ["--stage", name, "--set", &shorter];
        cli.run(&arguments("stage", "other", &more));
    }
    cli.run(&arguments("stage", "mine", &["--stage", masked]));
    let from = ["--stage", whole, "--from", "runs/other"];
    cli.run(&arguments("stage", "mine", &from));

    let rows = |run: &str, model: &str| -> Vec<Value> {
        let rows = summary(&cli, run, test)["rows"].clone();
        let rows = rows.as_array().unwrap().iter();
        rows.filter(|row| row["model"] == model).cloned().collect()
    };
    let again = || {
        let output = cli.inversynth(&arguments("stage", "mine", &["--stage", test]));
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    let said = again();
    assert!(!said.contains("it is not compared"), "{said}");
    assert_eq!(rows("mine", masked).len(), 2);
    assert_eq!(rows("mine", masked), rows("other", masked));

    fs::remove_dir_all(stage(&cli, "mine", test)).unwrap();
    fs::remove_dir_all(stage(&cli, "other", masked)).unwrap();
    let said = again();
    for part in [
        "pretrain_autoencoder_mae after step 3, runs/other (",
        "which no longer exists: it is not compared with that",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert_eq!(rows("mine", masked).len(), 0);
    assert_eq!(rows("mine", whole).len(), 2);
}

#[test]
fn a_checkpoint_directory_alone_is_enough_for_a_test() {
    let cli = tiny();
    cli.run(&arguments("pretrain", "first", &[]));
    cli.run(&arguments("train", "first", &[]));
    let alone = cli.path("alone");
    fs::create_dir(&alone).unwrap();
    let best = stage(&cli, "first", "train_full_transformer").join("checkpoints/best");
    for file in ["model.bpk", "state.json", "trained_on.json"] {
        fs::copy(best.join(file), alone.join(file)).unwrap();
    }
    let test = ["--stage", "test_transformer", "--from", "alone"];
    cli.run(&arguments("stage", "second", &test));
    cli.run(&arguments("stage", "first", &test[..2]));
    let scores = |run| {
        let rows = summary(&cli, run, "test_transformer")["rows"].clone();
        let of_tested = |row: &&Value| row["model"] != "train_transformer_decoder";
        let rows = rows.as_array().unwrap().iter().filter(of_tested);
        rows.cloned().collect::<Vec<Value>>()
    };
    assert_eq!(scores("second"), scores("first"));
    assert_eq!(scores("second").len(), 4);
}

#[test]
fn a_call_without_a_name_resumes_only_a_run_with_the_same_initial_weights() {
    let cli = two_pretrainings();
    let decoder = "train_transformer_decoder";
    let steps = "stages.train_transformer_decoder.training.steps=40";
    let base = ["run", "--config", "tiny.toml", "--stage", decoder];
    let from = |path| [&base[..], &["--set", steps, "--from", path]].concat();
    let checkpoint =
        stage(&cli, &format!("{decoder}-001"), decoder).join("checkpoints/last/state.json");
    cli.kill_when(&from("runs/first"), || checkpoint.exists());

    cli.run(&from("runs/second"));
    let began_with = |number| {
        let run = format!("{decoder}-00{number}");
        summary(&cli, &run, decoder)["provenance"]["path"].clone()
    };
    assert_eq!(began_with(2), "runs/second");
    let output = cli.inversynth(&from("runs/first"));
    let said = stderr(&output);
    assert!(
        said.contains("resuming train_transformer_decoder-001"),
        "{said}"
    );
    assert_eq!(began_with(1), "runs/first");
}

#[test]
fn unfinished_and_replaced_weights_are_reported() {
    let cli = tiny();
    let steps = "stages.pretrain_transformer_contrastive.training.steps=40";
    let contrastive = ["--stage", CONTRASTIVE, "--set", steps];
    kill_in_training(&cli, "mine", CONTRASTIVE, &contrastive);
    let decoder = ["--stage", "train_transformer_decoder"];
    let elsewhere = [&decoder[..], &["--from", "runs/mine"]].concat();
    let output = cli.inversynth(&arguments("stage", "other", &elsewhere));
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    let warned = "runs/mine/pretrain_transformer_contrastive is not finished";
    assert_eq!(said.matches(warned).count(), 1, "{said}");

    cli.run(&arguments("stage", "mine", &contrastive));
    let grown = || {
        let more = [&decoder[..], &["--set", steps]].concat();
        let output = cli.inversynth(&arguments("stage", "mine", &more));
        assert!(output.status.success(), "{}", stderr(&output));
        stderr(&output)
    };
    for said in [grown(), grown()] {
        let is_warned = said.contains("warning") || said.contains("WARN");
        assert!(!is_warned, "{said}");
    }
    // The stage before it is done again, and comes to something else.
    fs::remove_dir_all(stage(&cli, "mine", CONTRASTIVE)).unwrap();
    let lr = "stages.pretrain_transformer_contrastive.training.lr=1e-2";
    let again = ["--stage", CONTRASTIVE, "--set", lr];
    cli.run(&arguments("stage", "mine", &again));
    // However the runs' directory is spelled.
    let more = [&decoder[..], &["--set", lr, "--out", "./runs"]].concat();
    let output = cli.inversynth(&arguments("stage", "mine", &more));
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("warning: train_transformer_decoder was initialised from"),
        "{said}"
    );
    assert!(said.contains("to run the stage again"), "{said}");
}
