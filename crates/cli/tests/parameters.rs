//! Estimating parameters: training heads, asking them, and taking them elsewhere.

mod desk;

use std::fs;
use std::path::Path;

use desk::{Cli, TINY, stderr, stdout};
use serde_json::Value;

const STAGE: &str = "finetune_parameters_autoencoder";

/// A desk with a run `mine`, whose heads were trained from scratch, and three labelled sounds of the synthesizer.
fn desk() -> Cli {
    let desk = Cli::empty();
    fs::write(desk.path("tiny.toml"), TINY).unwrap();
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
    desk.says(&[&train[..], &["--set", &scratch]].concat());
    let render = [
        "synth", "render", "--count", "3", "--out", "sounds", "--seed", "9",
    ];
    desk.says(&render);
    desk
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn heads_tell_the_parameters_of_files_from_a_run_and_from_an_exported_model() {
    let desk = desk();
    let files = ["sounds/audio/00000.wav", "sounds/audio/00002.wav"];
    let asked = [&["predict", "--run", "runs/mine", "--json"][..], &files].concat();
    let told = desk.says(&asked);
    let rows = lines(&told);
    assert_eq!(rows.len(), 2);
    let truth = lines(&fs::read_to_string(desk.path("sounds/manifest.jsonl")).unwrap());
    for (row, file) in rows.iter().zip(files) {
        assert_eq!(row["path"], file);
        for kind in ["cont", "cat"] {
            let names = |row: &Value| -> Vec<String> {
                row[kind].as_object().unwrap().keys().cloned().collect()
            };
            assert_eq!(names(row), names(&truth[0]), "{kind}");
        }
    }

    let summary = desk.path(format!("runs/mine/{STAGE}/summary.json"));
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    let estimates = summary["parameter_test"]["estimates"].as_array().unwrap();
    let kinds: Vec<_> = estimates.iter().map(|of| of["estimator"].clone()).collect();
    assert_eq!(kinds, ["heads", "average of labels", "nearest example"]);

    let export = ["export", "runs/mine", "--out", "mine.safetensors"];
    assert!(desk.says(&export).contains(STAGE));
    let again = [
        &["predict", "--run", "mine.safetensors", "--json"][..],
        &files,
    ]
    .concat();
    assert_eq!(desk.says(&again), told);
    // A file has one stage, which may be named; another is no reason to take it.
    let named = |stage| [&again[..], &["--stage", stage]].concat();
    assert_eq!(desk.says(&named(STAGE)), told);
    let other = "finetune_parameters_transformer";
    desk.refuses(
        &named(other),
        &[other, STAGE, "mine.safetensors", "--stage"],
    );
    // Nothing is overwritten, and a stage that isn't there is named.
    desk.refuses(&export, &["mine.safetensors", "--out"]);
    let other = [
        "export",
        "runs/mine",
        "--stage",
        "train_full_transformer",
        "--out",
        "x",
    ];
    desk.refuses(&other, &["train_full_transformer", "runs/mine"]);
    desk.refuses(
        &["predict", "--run", "runs", files[0]],
        &["no checkpoint with parameter heads"],
    );

    // For people, in musical units, and to be heard.
    let render = [
        "predict",
        "--run",
        "runs/mine",
        "--render",
        "heard",
        files[1],
    ];
    let said = desk.says(&render);
    assert!(said.contains("Hz") && said.contains("mss"), "{said}");
    let heard = hound::WavReader::open(desk.path("heard/00002.wav")).unwrap();
    assert_eq!(heard.spec().sample_rate, 8000);
    assert_eq!(heard.duration(), 8000);
    // What is there stays, and what was estimated is told nevertheless.
    let before = fs::read(desk.path("heard/00002.wav")).unwrap();
    let said = [
        "00002.wav",
        "nothing is overwritten",
        "1 of 1 sounds can't be rendered",
    ];
    let refused = desk.refuses(&[&render[..], &["--json"]].concat(), &said);
    let rows = lines(&stdout(&refused));
    assert_eq!(rows[0]["cont"], lines(&told)[1]["cont"]);
    assert!(rows[0]["rendered"].is_null(), "{}", rows[0]);
    assert_eq!(fs::read(desk.path("heard/00002.wav")).unwrap(), before);
}

#[test]
fn every_sound_is_rendered_under_a_name_of_its_own_and_its_row_says_which() {
    let desk = desk();
    fs::create_dir(desk.path("more")).unwrap();
    let files = [
        "kick.v1.wav",
        "kick.v2.wav",
        "more/kick.v1.wav",
        "more/kick.v1-2.wav",
    ];
    for (number, file) in [0, 1, 2, 1].into_iter().zip(files) {
        let sound = desk.path(format!("sounds/audio/0000{number}.wav"));
        fs::copy(sound, desk.path(file)).unwrap();
    }
    let asked = [
        "predict",
        "--run",
        "runs/mine",
        "--json",
        "--render",
        "heard",
    ];
    let rows = lines(&desk.says(&[&asked[..], &files].concat()));
    let rendered: Vec<_> = rows.iter().map(|row| row["rendered"].clone()).collect();
    assert_eq!(
        rendered,
        [
            "heard/kick.v1.wav",
            "heard/kick.v2.wav",
            "heard/kick.v1-2.wav",
            "heard/kick.v1-2-2.wav"
        ]
    );
    for name in rendered {
        let heard = hound::WavReader::open(desk.path(name.as_str().unwrap())).unwrap();
        assert_eq!(heard.duration(), 8000);
    }
}

#[test]
fn of_a_sound_that_is_longer_than_a_clip_it_is_said_how_much_was_heard() {
    let desk = desk();
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
    desk.says(&render);
    let files = ["sounds/audio/00001.wav", "short/audio/00000.wav"];
    let asked = [&["predict", "--run", "runs/mine", "--json"][..], &files].concat();
    let output = desk.inversynth(&asked);
    assert!(output.status.success(), "{}", stderr(&output));
    let said = stderr(&output);
    let told: Vec<&str> = said.lines().filter(|line| line.contains("heard")).collect();
    let expected = "sounds/audio/00001.wav: of its 1.00 s, the first 0.25 s were heard";
    assert_eq!(told, [expected]);
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
    let desk = desk();
    let asked = ["predict", "--json", "sounds/audio/00000.wav", "--run"];
    let of = |run: &'static str| [&asked[..], &[run]].concat();
    let told = desk.says(&of("runs/mine"));
    let summary = desk.path("runs/mine").join(STAGE).join("summary.json");
    let finished = fs::read(&summary).unwrap();
    fs::remove_file(&summary).unwrap();

    let said = [STAGE, "interrupted", "checkpoints/best"];
    desk.refuses(&of("runs/mine"), &said);
    desk.refuses(&[&of("runs/mine")[..], &["--stage", STAGE]].concat(), &said);
    desk.refuses(&["export", "runs/mine", "--out", "mine.safetensors"], &said);
    assert!(!desk.path("mine.safetensors").exists());
    let best = "runs/mine/finetune_parameters_autoencoder/checkpoints/best";
    assert_eq!(desk.says(&of(best)), told);

    // Of two stages, the one that is finished.
    fs::write(&summary, finished).unwrap();
    let (own, other) = (
        desk.path("runs/mine").join(STAGE),
        "finetune_parameters_transformer",
    );
    let best = desk.path("runs/mine").join(other).join("checkpoints");
    copy(&own.join("checkpoints"), &best);
    assert_eq!(desk.says(&of("runs/mine")), told);
    let named = [&of("runs/mine")[..], &["--stage", other]].concat();
    desk.refuses(&named, &[other, "interrupted"]);
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
    let desk = desk();
    fs::write(desk.path("broken.wav"), "no sound").unwrap();
    let files = [
        "sounds/audio/00000.wav",
        "broken.wav",
        "sounds/audio/00001.wav",
    ];
    let asked = [&["predict", "--run", "runs/mine", "--json"][..], &files].concat();
    let output = desk.inversynth(&asked);
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
    let desk = Cli::empty();
    fs::write(desk.path("tiny.toml"), TINY).unwrap();
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
    desk.says(&render);
    fs::remove_file(desk.path("more/manifest.jsonl")).unwrap();
    fs::remove_file(desk.path("more/params.json")).unwrap();
    let base = ["run", "--config", "tiny.toml", "--data", "more"];
    let asked = [&base[..], &["--run", "parameters", "--name", "none"]].concat();
    desk.refuses(
        &asked,
        &["finetune_parameters_autoencoder", "manifest.jsonl"],
    );
    let all = desk.inversynth(&[&base[..], &["--run", "all", "--dry-run"]].concat());
    assert!(all.status.success(), "{}", stderr(&all));
    assert!(stderr(&all).contains("parameter stages are left out"));
    assert!(!stdout(&all).contains("model of finetune_parameters"));
}

#[test]
fn the_fm_voice_is_rendered_taught_and_taken_over_by_heads_of_sounds_with_the_same_parameters() {
    let desk = Cli::empty();
    fs::write(desk.path("tiny.toml"), TINY).unwrap();
    let train = |data, name, more: &[&str]| {
        let base = ["run", "--config", "tiny.toml", "--stage", STAGE];
        let mut arguments = base.to_vec();
        arguments.extend(["--data", data, "--name", name]);
        arguments.extend(more);
        desk.inversynth(&arguments)
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
    desk.says(&render.split(' ').collect::<Vec<_>>());
    let described = fs::read_to_string(desk.path("fm/params.json")).unwrap();
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
    assert!(said.contains("44 of 44 outputs go on"), "{said}");
    let report = fs::read_to_string(desk.path("runs/heir/report.html")).unwrap();
    assert!(report.contains("44 of 44 outputs go on"));

    let ask = "predict --run runs/heir --render played --json fm/audio/00003.wav";
    let told = lines(&desk.says(&ask.split(' ').collect::<Vec<_>>()));
    assert!(told[0]["cat"]["algorithm"].is_u64(), "{told:?}");
    let played = fs::read_dir(desk.path("played")).unwrap().count();
    assert_eq!(played, 1);

    let unknown = ["run", "--data", "synth:pm", "--config", "tiny.toml"];
    let said = ["no voice `pm`", "subtractive or fm", "./synth:pm"];
    desk.refuses(&unknown, &said);
    let render = "synth render --voice pm --count 1 --out pm";
    desk.refuses(
        &render.split(' ').collect::<Vec<_>>(),
        &["subtractive or fm"],
    );
}

#[test]
fn heads_are_tested_on_labelled_sounds_that_they_have_not_heard() {
    let desk = desk();
    // Patches 0 to 39 of seed 0 were split; those of seed 9 are new.
    let test = |data| desk.says(&["predict", "--run", "runs/mine", "--test", data]);
    let fresh = test("sounds");
    let said = "parameters of 3 sounds, none of which was there in training";
    assert!(fresh.contains(said), "{fresh}");
    assert!(fresh.contains("mean squared error"), "{fresh}");
    let render = "synth render --count 40 --seconds 0.25 --sample-rate-hz 8000 --out known";
    desk.says(&render.split(' ').collect::<Vec<_>>());
    let known = test("known");
    let summary = desk.path(format!("runs/mine/{STAGE}/summary.json"));
    let summary: Value = serde_json::from_str(&fs::read_to_string(summary).unwrap()).unwrap();
    let held_out = summary["parameter_test"]["test_examples"].as_u64().unwrap();
    let said = format!(
        "parameters of {held_out} sounds; {} more were there in training, and are left out",
        40 - held_out
    );
    assert!(known.contains(&said), "{known}");
    // What is left are the held-out patches, so that the heads are right as often as in their own test, but for 16 bits.
    let ask = "predict --run runs/mine --test known --json";
    let told: Value =
        serde_json::from_str(&desk.says(&ask.split(' ').collect::<Vec<_>>())).unwrap();
    let error = |test: &Value| test["estimates"][0]["cont_mse"].as_f64().unwrap();
    let off = (error(&told) - error(&summary["parameter_test"])).abs();
    assert!(off < 1e-3, "{off}");

    let exported = ["export", "runs/mine", "--out", "mine.safetensors"];
    desk.says(&exported);
    let test = ["predict", "--run", "mine.safetensors", "--test"];
    let of_file = desk.says(&[&test[..], &["sounds"]].concat());
    assert!(of_file.contains("isn't known here"), "{of_file}");
    desk.refuses(&[&test[..], &["sounds/audio"]].concat(), &["no labels"]);
    let render = "synth render --voice fm --count 2 --out fm";
    desk.says(&render.split(' ').collect::<Vec<_>>());
    desk.refuses(&[&test[..], &["fm"]].concat(), &["labels are not of"]);
    // Of single patches most were learned from.
    let rows = fs::read_to_string(desk.path("known/manifest.jsonl")).unwrap();
    let of_one = |row: &str| {
        fs::write(desk.path("known/manifest.jsonl"), row).unwrap();
        desk.inversynth(&["predict", "--run", "runs/mine", "--test", "known"])
    };
    let outputs = rows.lines().take(6).map(of_one);
    let refused: Vec<_> = outputs
        .filter(|output| !output.status.success())
        .map(|output| stderr(&output))
        .collect();
    assert!(refused.len() > 2, "{refused:?}");
    assert!(refused[0].contains("learned from each"), "{refused:?}");
    desk.refuses(&["predict", "--run", "runs/mine"], &["FILE"]);
}
