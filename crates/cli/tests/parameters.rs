//! Estimating parameters: training heads, asking them, and taking them elsewhere.

mod fixture;

use std::fs;
use std::path::Path;

use fixture::{Cli, TINY, stderr, stdout};
use serde_json::Value;

const STAGE: &str = "finetune_parameters_autoencoder";

/// A directory with a run `mine`, whose heads were trained from scratch, and three labelled sounds of the synthesizer.
fn tiny() -> Cli {
    let cli = Cli::empty();
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    let scratch = format!("stages.{STAGE}.start=scratch");
    let train = [
        "run",
        "--config",
        "tiny.toml",
        "--stage",
        STAGE,
        "--name",
        "mine",
    ];
    cli.run(&[&train[..], &["--set", &scratch]].concat());
    let render = [
        "synth", "render", "--count", "3", "--out", "sounds", "--seed", "9",
    ];
    cli.run(&render);
    cli
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn heads_estimate_parameters_of_files_from_a_run_and_from_an_exported_model() {
    let cli = tiny();
    let files = ["sounds/audio/00000.wav", "sounds/audio/00002.wav"];
    let asked = [&["predict", "--run", "runs/mine", "--json"][..], &files].concat();
    let printed = cli.run(&asked);
    let rows = lines(&printed);
    assert_eq!(rows.len(), 2);
    let truth = lines(&fs::read_to_string(cli.path("sounds/manifest.jsonl")).unwrap());
    for (row, file) in rows.iter().zip(files) {
        assert_eq!(row["path"], file);
        for kind in ["cont", "cat"] {
            let names = |row: &Value| -> Vec<String> {
                row[kind].as_object().unwrap().keys().cloned().collect()
            };
            assert_eq!(names(row), names(&truth[0]), "{kind}");
        }
    }

    let summary = cli.path(format!("runs/mine/{STAGE}/summary.json"));
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    let estimates = summary["parameter_test"]["estimates"].as_array().unwrap();
    let kinds: Vec<_> = estimates.iter().map(|of| of["estimator"].clone()).collect();
    assert_eq!(kinds, ["heads", "average of labels", "nearest example"]);

    let export = ["export", "runs/mine", "--out", "mine.safetensors"];
    assert!(cli.run(&export).contains(STAGE));
    let again = [
        &["predict", "--run", "mine.safetensors", "--json"][..],
        &files,
    ]
    .concat();
    assert_eq!(cli.run(&again), printed);
    // A file has one stage, which may be named; another is no reason to take it.
    let named = |stage| [&again[..], &["--stage", stage]].concat();
    assert_eq!(cli.run(&named(STAGE)), printed);
    let other = "finetune_parameters_transformer";
    cli.refuses(
        &named(other),
        &[other, STAGE, "mine.safetensors", "--stage"],
    );
    // Nothing is overwritten, and a stage that isn't there is named.
    cli.refuses(&export, &["mine.safetensors", "--out"]);
    let other = [
        "export",
        "runs/mine",
        "--stage",
        "train_full_transformer",
        "--out",
        "x",
    ];
    cli.refuses(&other, &["train_full_transformer", "runs/mine"]);
    cli.refuses(
        &["predict", "--run", "runs", files[0]],
        &["no checkpoint with parameter heads"],
    );

    // For people, in musical units, with a render.
    let render = [
        "predict",
        "--run",
        "runs/mine",
        "--render",
        "renders",
        files[1],
    ];
    let said = cli.run(&render);
    assert!(said.contains("Hz") && said.contains("mss"), "{said}");
    let wav = hound::WavReader::open(cli.path("renders/00002.wav")).unwrap();
    assert_eq!(wav.spec().sample_rate, 8000);
    assert_eq!(wav.duration(), 8000);
    // A file is never overwritten, and the estimate is still printed.
    let before = fs::read(cli.path("renders/00002.wav")).unwrap();
    let said = [
        "00002.wav",
        "nothing is overwritten",
        "1 of 1 sounds can't be rendered",
    ];
    let refused = cli.refuses(&[&render[..], &["--json"]].concat(), &said);
    let rows = lines(&stdout(&refused));
    assert_eq!(rows[0]["cont"], lines(&printed)[1]["cont"]);
    assert!(rows[0]["rendered"].is_null(), "{}", rows[0]);
    assert_eq!(fs::read(cli.path("renders/00002.wav")).unwrap(), before);
}

#[test]
fn every_sound_is_rendered_under_a_name_of_its_own_and_its_row_says_which() {
    let cli = tiny();
    fs::create_dir(cli.path("more")).unwrap();
    let files = [
        "kick.v1.wav",
        "kick.v2.wav",
        "more/kick.v1.wav",
        "more/kick.v1-2.wav",
    ];
    for (number, file) in [0, 1, 2, 1].into_iter().zip(files) {
        let sound = cli.path(format!("sounds/audio/0000{number}.wav"));
        fs::copy(sound, cli.path(file)).unwrap();
    }
    let asked = [
        "predict",
        "--run",
        "runs/mine",
        "--json",
        "--render",
        "renders",
    ];
    let rows = lines(&cli.run(&[&asked[..], &files].concat()));
    let rendered: Vec<_> = rows.iter().map(|row| row["rendered"].clone()).collect();
    assert_eq!(
        rendered,
        [
            "renders/kick.v1.wav",
            "renders/kick.v2.wav",
            "renders/kick.v1-2.wav",
            "renders/kick.v1-2-2.wav"
        ]
    );
    for name in rendered {
        let render = hound::WavReader::open(cli.path(name.as_str().unwrap())).unwrap();
        assert_eq!(render.duration(), 8000);
    }
}

#[test]
fn predict_reports_how_much_of_a_long_sound_is_analysed() {
    let cli = tiny();
    // A clip is a quarter of a second.
    let render = [
        "synth",
        "render",
        "--count",
        "1",
        "--out",
        "short",
        "--seconds",
        "0.25",
    ];
    cli.run(&render);
    let files = ["sounds/audio/00001.wav", "short/audio/00000.wav"];
    let asked = [&["predict", "--run", "runs/mine", "--json"][..], &files].concat();
    let output = cli.inversynth(&asked);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    let printed: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("analysed"))
        .collect();
    let expected = "sounds/audio/00001.wav: only the first 0.25 s of its 1.00 s are analysed";
    assert_eq!(printed, [expected]);
    // Rows have what a manifest's have.
    let keys: Vec<_> = lines(&stdout(&output))[0]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, ["cat", "cont", "path"]);
}

#[test]
fn heads_whose_training_was_interrupted_are_taken_where_their_checkpoint_is_named_and_nowhere_else()
{
    let cli = tiny();
    let asked = ["predict", "--json", "sounds/audio/00000.wav", "--run"];
    let of = |run: &'static str| [&asked[..], &[run]].concat();
    let printed = cli.run(&of("runs/mine"));
    let summary = cli.path("runs/mine").join(STAGE).join("summary.json");
    let finished = fs::read(&summary).unwrap();
    fs::remove_file(&summary).unwrap();

    let said = [STAGE, "interrupted", "checkpoints/best"];
    cli.refuses(&of("runs/mine"), &said);
    cli.refuses(&[&of("runs/mine")[..], &["--stage", STAGE]].concat(), &said);
    cli.refuses(&["export", "runs/mine", "--out", "mine.safetensors"], &said);
    assert!(!cli.path("mine.safetensors").exists());
    let best = "runs/mine/finetune_parameters_autoencoder/checkpoints/best";
    assert_eq!(cli.run(&of(best)), printed);

    // Of two stages, the one that is finished.
    fs::write(&summary, finished).unwrap();
    let (own, other) = (
        cli.path("runs/mine").join(STAGE),
        "finetune_parameters_transformer",
    );
    let best = cli.path("runs/mine").join(other).join("checkpoints");
    copy(&own.join("checkpoints"), &best);
    assert_eq!(cli.run(&of("runs/mine")), printed);
    let named = [&of("runs/mine")[..], &["--stage", other]].concat();
    cli.refuses(&named, &[other, "interrupted"]);
}

/// Copies a directory's files and those of its directories.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named_and_the_others_are_not_lost() {
    let cli = tiny();
    fs::write(cli.path("broken.wav"), "no sound").unwrap();
    let files = [
        "sounds/audio/00000.wav",
        "broken.wav",
        "sounds/audio/00001.wav",
    ];
    let asked = [&["predict", "--run", "runs/mine", "--json"][..], &files].concat();
    let output = cli.inversynth(&asked);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(lines(&stdout(&output)).len(), 2);
    let said = stderr(&output);
    assert!(
        said.contains("broken.wav") && said.contains("1 of 3"),
        "{said}"
    );
}

#[test]
fn sounds_without_labels_train_no_heads_and_all_says_so() {
    let cli = Cli::empty();
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    let render = [
        "synth",
        "render",
        "--count",
        "20",
        "--out",
        "more",
        "--seconds",
        "0.2",
    ];
    cli.run(&render);
    fs::remove_file(cli.path("more/manifest.jsonl")).unwrap();
    fs::remove_file(cli.path("more/params.json")).unwrap();
    let base = ["run", "--config", "tiny.toml", "--data", "more"];
    let asked = [&base[..], &["--run", "parameters", "--name", "none"]].concat();
    cli.refuses(
        &asked,
        &["finetune_parameters_autoencoder", "manifest.jsonl"],
    );
    let all = cli.inversynth(&[&base[..], &["--run", "all", "--dry-run"]].concat());
    assert!(all.status.success(), "{}", stderr(&all));
    assert!(stderr(&all).contains("parameter stages are left out"));
    assert!(!stdout(&all).contains("model of finetune_parameters"));
}

#[test]
fn heads_of_the_fm_voice_transfer_to_sounds_with_the_same_parameters() {
    let cli = Cli::empty();
    fs::write(cli.path("tiny.toml"), TINY).unwrap();
    let train = |data, name, more: &[&str]| {
        let base = ["run", "--config", "tiny.toml", "--stage", STAGE];
        let mut arguments = base.to_vec();
        arguments.extend(["--data", data, "--name", name]);
        arguments.extend(more);
        cli.inversynth(&arguments)
    };
    let start = |of: &str| format!("stages.{STAGE}.start={of}");
    let scratch = start("scratch");
    // Another seed's patches than those that are rendered.
    let taught = train(
        "synth:fm",
        "teacher",
        &["--set", &scratch, "--set", "seed=1"],
    );
    let said = stderr(&taught);
    assert!(taught.status.success(), "{said}");
    assert!(
        said.contains("40 patches of the embedded synthesizer's fm voice"),
        "{said}"
    );

    let render = "synth render --voice fm --count 20 --seconds 0.3 --out fm";
    cli.run(&render.split(' ').collect::<Vec<_>>());
    let described = fs::read_to_string(cli.path("fm/params.json")).unwrap();
    let described: Value = serde_json::from_str(&described).unwrap();
    assert_eq!(described["params"].as_array().unwrap().len(), 19);
    let heirs = start("finetune_parameters_autoencoder");
    let grown = train(
        "fm",
        "heir",
        &["--set", &heirs, "--from", "runs/teacher", "--set", "seed=1"],
    );
    assert!(grown.status.success(), "{}", stderr(&grown));
    let said = stdout(&grown);
    assert!(said.contains("44 of 44 outputs copied"), "{said}");
    let report = fs::read_to_string(cli.path("runs/heir/report.html")).unwrap();
    assert!(report.contains("44 of 44 outputs copied"));

    let ask = "predict --run runs/heir --render played --json fm/audio/00003.wav";
    let printed = lines(&cli.run(&ask.split(' ').collect::<Vec<_>>()));
    assert!(printed[0]["cat"]["algorithm"].is_u64(), "{printed:?}");
    let played = fs::read_dir(cli.path("played")).unwrap().count();
    assert_eq!(played, 1);

    let unknown = ["run", "--data", "synth:pm", "--config", "tiny.toml"];
    let said = ["no voice `pm`", "subtractive or fm", "./synth:pm"];
    cli.refuses(&unknown, &said);
    let render = "synth render --voice pm --count 1 --out pm";
    cli.refuses(
        &render.split(' ').collect::<Vec<_>>(),
        &["subtractive or fm"],
    );
}

#[test]
fn heads_are_tested_on_labelled_sounds_that_are_no_training_sounds() {
    let cli = tiny();
    // Patches 0 to 39 of seed 0 were split; those of seed 9 are new.
    let test = |data| cli.run(&["predict", "--run", "runs/mine", "--test", data]);
    let fresh = test("sounds");
    let said = "parameters of 3 sounds, none of which is a training sound";
    assert!(fresh.contains(said), "{fresh}");
    assert!(fresh.contains("mean squared error"), "{fresh}");
    let render = "synth render --count 40 --seconds 0.25 --sample-rate-hz 8000 --out known";
    cli.run(&render.split(' ').collect::<Vec<_>>());
    let known = test("known");
    let summary = cli.path(format!("runs/mine/{STAGE}/summary.json"));
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    let held_out = summary["parameter_test"]["test_examples"].as_u64().unwrap();
    let said = format!(
        "parameters of {held_out} sounds; {} training sounds are left out",
        40 - held_out
    );
    assert!(known.contains(&said), "{known}");
    // What is left are the held-out patches, so that the heads are right as often as in their own test, but for 16 bits.
    let ask = "predict --run runs/mine --test known --json";
    let printed: Value =
        serde_json::from_str(&cli.run(&ask.split(' ').collect::<Vec<_>>())).unwrap();
    let error = |test: &Value| test["estimates"][0]["cont_mse"].as_f64().unwrap();
    let off = (error(&printed) - error(&summary["parameter_test"])).abs();
    assert!(off < 1e-3, "{off}");

    let exported = ["export", "runs/mine", "--out", "mine.safetensors"];
    cli.run(&exported);
    let test = ["predict", "--run", "mine.safetensors", "--test"];
    let of_file = cli.run(&[&test[..], &["sounds"]].concat());
    assert!(
        of_file.contains("no record of its training sounds"),
        "{of_file}"
    );
    cli.refuses(&[&test[..], &["sounds/audio"]].concat(), &["no labels"]);
    let render = "synth render --voice fm --count 2 --out fm";
    cli.run(&render.split(' ').collect::<Vec<_>>());
    cli.refuses(
        &[&test[..], &["fm"]].concat(),
        &["labels of other parameters"],
    );
    // Of single patches most were learned from.
    let rows = fs::read_to_string(cli.path("known/manifest.jsonl")).unwrap();
    let of_one = |row: &str| {
        fs::write(cli.path("known/manifest.jsonl"), row).unwrap();
        cli.inversynth(&["predict", "--run", "runs/mine", "--test", "known"])
    };
    let outputs = rows.lines().take(6).map(of_one);
    let refused: Vec<_> = outputs
        .filter(|output| !output.status.success())
        .map(|output| stderr(&output))
        .collect();
    assert!(refused.len() > 2, "{refused:?}");
    assert!(
        refused[0].contains("trained on or selected by each"),
        "{refused:?}"
    );
    cli.refuses(&["predict", "--run", "runs/mine"], &["FILE"]);
}
