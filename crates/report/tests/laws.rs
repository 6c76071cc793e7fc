//! What holds for the report of any run.

mod page;

use std::fs;
use std::path::{Path, PathBuf};

use page::Page;
use proptest::prelude::*;
use report::{ReportError, RunReport, State, write_report};
use serde_json::{Value, json};
use tempfile::TempDir;
use trainer::{PICTURES, SOUNDS};

/// A run that is written by hand.
struct Cli(TempDir);

impl Cli {
    /// With settings alone.
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.run().join("experiment.toml"), "seed = 3\n").unwrap();
        desk
    }

    /// Two trained stages, a test and a stage of parameters, with two examples where there are any.
    fn full(name: &str) -> Self {
        let desk = Self::new();
        for stage in [
            "pretrain_autoencoder_mae",
            "pretrain_transformer_contrastive",
        ] {
            desk.write(stage, "summary.json", &trained(stage, 0.25).to_string());
            desk.write(stage, "metrics.jsonl", METRICS);
            desk.example(stage, 0, name);
            desk.example(stage, 1, "plain");
        }
        desk.write(
            "test_autoencoder",
            "summary.json",
            &tested(name).to_string(),
        );
        desk.write("test_autoencoder", "metrics.jsonl", "");
        desk.example("test_autoencoder", 0, name);
        let stage = "finetune_parameters_autoencoder";
        let mut summary = trained(stage, 0.5);
        summary["parameter_test"] = parameters(name);
        desk.write(stage, "summary.json", &summary.to_string());
        desk.write(stage, "metrics.jsonl", METRICS);
        // One that was rendered, and one of a synthesizer that can't be.
        let compared = json!([
            {"name": "cutoff_hz", "unit": "Hz", "truth": 1234.5, "estimate": 4321.5},
            {"name": name, "truth": "sine", "estimate": "square"},
        ]);
        for (place, pictures, sounds) in [
            (0, &["input", "reconstruction", "error"][..], &SOUNDS[..]),
            (1, &["input"], &["input"]),
        ] {
            desk.kept(stage, place, pictures, sounds);
            let note = json!({
                "name": name, "seconds": 0.5, "sample_rate_hz": 8000, "hidden_share": 0.0, "pictures": pictures,
                "sounds": sounds, "parameters": compared,
            });
            let path = format!("examples/{place}/example.json");
            desk.write(stage, &path, &note.to_string());
        }
        desk
    }

    fn run(&self) -> &Path {
        self.0.path()
    }

    fn stage(&self, stage: &str) -> PathBuf {
        self.run().join(stage)
    }

    fn write(&self, stage: &str, file: &str, text: &str) {
        let path = self.stage(stage).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn example(&self, stage: &str, place: usize, name: &str) {
        self.kept(stage, place, &PICTURES, &SOUNDS);
        let note =
            json!({"name": name, "seconds": 0.5, "sample_rate_hz": 8000, "hidden_share": 0.45});
        let path = format!("examples/{place}/example.json");
        self.write(stage, &path, &note.to_string());
    }

    fn kept(&self, stage: &str, place: usize, pictures: &[&str], sounds: &[&str]) {
        let directory = format!("examples/{place}");
        for picture in pictures {
            let path = self
                .stage(stage)
                .join(&directory)
                .join(format!("{picture}.png"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"\x89PNG\r\n\x1a\n...").unwrap();
        }
        for sound in sounds {
            self.write(stage, &format!("{directory}/{sound}.wav"), "RIFF....WAVE");
        }
    }

    fn report(&self) -> RunReport {
        RunReport::read(self.run()).unwrap()
    }

    fn page(&self) -> Page {
        Page::parse(&self.report().to_html())
    }

    fn problems(&self, stage: &str) -> Vec<String> {
        let stages = self.report().stages;
        let mut same = stages
            .into_iter()
            .filter(|other| other.stage.name() == stage);
        same.next().unwrap().problems
    }
}

const METRICS: &str = r#"{"step":0,"tag":"valid/baseline_loss","value":2.0}
{"step":5,"tag":"train/loss","value":1.5}
{"step":5,"tag":"train/lr","value":0.001}
{"step":10,"tag":"train/loss","value":null}
{"step":10,"tag":"valid/loss","value":0.5}
"#;

fn trained(stage: &str, loss: f64) -> Value {
    json!({
        "stage": stage, "run": "r", "device": "cpu", "seed": 3, "steps": 10, "seconds": 61.5, "train_examples": 1664,
        "valid_examples": 190, "files_used": 0, "files_rejected": 0, "valid_loss": loss, "best_valid_loss": loss / 2.0,
        "baseline": "mean spectrogram", "baseline_loss": 2.0, "spec_l1": 0.125, "spec_l1_baseline": 1.25,
        "parameters": 980_385, "peak_rss_bytes": 536_870_912, "weights_sha256": "ab",
        "provenance": {"path": "runs/earlier", "stage": "pretrain_autoencoder_mae", "step": 37, "weights_sha256": "0123456789abcdef"},
    })
}

fn tested(model: &str) -> Value {
    let row = |model: &str, scored: &str, loss: f64| json!({"model": model, "scored": scored, "measures": {"loss": loss, "spec_l1": loss / 3.0}});
    json!({
        "stage": "test_autoencoder", "run": "r", "device": "cpu", "seed": 3, "seconds": 1.75, "test_examples": 194,
        "mask": {"patch_bins": 5, "patch_frames": 7, "ratio": 0.45, "strategy": "random"}, "trained_for": "everything",
        "rows": [
            row("new", "hidden", 0.5477), row(model, "hidden", 0.3909), row("mean spectrogram", "hidden", 1.0035),
            row("new", "everything", 0.4799), row(model, "everything", 0.5996), row("mean spectrogram", "everything", 1.2381),
        ],
        "parameters": 980_385, "peak_rss_bytes": null, "weights_sha256": "cd",
    })
}

fn parameters(name: &str) -> Value {
    let errors = |estimator: &str, off: f64| {
        json!({
            "estimator": estimator, "distances": {"mss": 64.0 * off + 0.5, "rms_cosine": 1.0 - off / 4.0},
            "cat_acc_mean": 1.0 - off, "cont_mse": off * off, "cont_mae": off,
            "categorical": [{"name": name, "classes": 4, "accuracy": 1.0 - off}],
            "continuous": [{"name": "cutoff_hz", "mse": off * off, "mae": off}],
        })
    };
    json!({
        "labelled_examples": 1664, "test_examples": 194,
        "estimates": [errors("heads", 0.125), errors("average of labels", 0.375), errors("nearest example", 0.25)],
    })
}

/// A name that does its worst.
const HOSTILE: &str =
    "</title></figure><script>alert(\"1\")</script>&amp;<img src=x onerror='y'>/\u{202e}é";

#[test]
fn programs_find_every_summary_as_it_was_left_and_every_point_of_every_curve() {
    let desk = Cli::full("kick");
    let report = desk.report().to_json();
    assert_eq!(
        report["run"],
        desk.run().file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(
        (&report["seed"], &report["settings"]["seed"]),
        (&json!(3), &json!(3))
    );
    assert_eq!(report["seconds"], 3.0 * 61.5 + 1.75);
    let stages = report["stages"].as_array().unwrap();
    let mut summaries = 0;
    for stage in stages {
        let path = desk
            .stage(stage["stage"].as_str().unwrap())
            .join("summary.json");
        let Ok(text) = fs::read_to_string(path) else {
            assert_eq!(
                (&stage["state"], &stage["summary"]),
                (&json!("not run"), &Value::Null)
            );
            continue;
        };
        assert_eq!(
            stage["summary"],
            serde_json::from_str::<Value>(&text).unwrap()
        );
        assert_eq!(stage["state"], "finished");
        summaries += 1;
    }
    assert_eq!((summaries, stages.len()), (4, trainer::Stage::ALL.len()));
    let curves = &stages[0]["curves"];
    assert_eq!(curves["train/loss"], json!([[5, 1.5], [10, null]]));
    assert_eq!(curves["valid/baseline_loss"], json!([[0, 2.0]]));
    assert_eq!(curves["train/lr"], json!([[5, 0.001]]));
    assert_eq!(
        (&stages[0]["loss_ratio"], &stages[5]["loss_ratio"]),
        (&json!(0.125), &json!(0.4799 / 1.2381))
    );
    assert_eq!(
        stages[0]["examples"][0]["sounds"][1],
        "examples/0/reconstruction.wav"
    );
}

#[test]
fn people_find_the_numbers_of_summaries_tests_and_parameters() {
    let text = Cli::full("kick").page().text;
    let expected = [
        "0.2500",
        "0.1250",
        "2,048 patches",
        "980,385",
        "1 min 2 s",
        "1.8 s",
        "3 min 6 s",
        "1,664 to train",
        "0.50 GiB",
        "45\u{202f}% of the 5 × 7 patches",
        "0.5477",
        "0.3909",
        "1.004",
        "0.4799",
        "0.5996",
        "1.238",
        "nearest example",
        "cutoff_hz",
        "Multi-scale spectral distance (dB)",
        "8.500",
        "24.50",
        "Similarity of envelopes",
        "0.9688",
        "0.3750",
        "4 classes, 25\u{202f}% by chance",
        "kick (0.50 s at 8,000 Hz)",
        "rendered from the estimates",
        "4322 Hz",
        "pretrain_autoencoder_mae after step 37, runs/earlier (01234567)",
        "seed = 3",
        "kick (0.50 s at 8,000 Hz, 45\u{202f}% of its bins hidden)",
    ];
    for expected in expected {
        assert!(text.contains(expected), "{expected} isn't in {text}");
    }
}

#[test]
fn a_page_asks_for_nothing_but_itself() {
    let desk = Cli::full(HOSTILE);
    let html = desk.report().to_html();
    let page = Page::parse(&html);
    let mut references = 0;
    for element in &page.elements {
        assert!(
            !["script", "link", "iframe", "base", "object", "form"].contains(&&*element.name),
            "{element:?}"
        );
        for (name, value) in &element.attributes {
            assert!(
                !name.starts_with("on") && name != "style" && name != "srcset",
                "{element:?}"
            );
            if name == "src" || name == "href" {
                assert!(
                    value.starts_with("data:") || value.starts_with('#'),
                    "{element:?}"
                );
                references += 1;
            }
        }
    }
    // Of five examples and two of parameters, and a link to each of four stages.
    assert_eq!(references, 5 * (4 + 2) + (3 + 2) + (1 + 1) + 4);
    let (_, style) = html.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    assert!(!style.contains("url(") && !style.contains("@import"));
    let policy = page.all("meta").find_map(|meta| {
        let is_policy = meta.attribute("http-equiv") == Some("Content-Security-Policy");
        is_policy.then(|| meta.attribute("content").unwrap())
    });
    assert!(policy.unwrap().starts_with("default-src 'none'"));
}

#[test]
fn every_example_has_the_sounds_and_pictures_that_its_note_lists() {
    let page = Cli::full("kick").page();
    assert_eq!(page.all("audio").count(), 5 * 2 + 2 + 1);
    for audio in page.all("audio") {
        assert!(audio.attribute("controls").is_some());
        // "RIFF....WAVE"
        assert_eq!(
            audio.attribute("src"),
            Some("data:audio/wav;base64,UklGRi4uLi5XQVZF")
        );
    }
    assert_eq!(page.all("img").count(), 5 * 4 + 3 + 1);
    assert!(
        page.all("img")
            .all(|img| !img.attribute("alt").unwrap().is_empty())
    );
}

#[test]
fn names_are_text_whatever_they_hold() {
    let page = Cli::full(HOSTILE).page();
    assert_eq!(page.all("script").count(), 0);
    // Three examples, two rows of the test, and a parameter; two examples of parameters, and one of each.
    assert_eq!(page.text.matches(HOSTILE).count(), 3 + 2 + 1 + 2 + 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_name_leaves_the_page_whole(name in "\\PC{0,40}") {
        let page = Cli::full(&name).page();
        prop_assert_eq!(page.all("audio").count(), 5 * 2 + 2 + 1);
        prop_assert!(page.text.contains(&name));
    }
}

#[test]
fn an_unfinished_run_is_reported_as_far_as_it_is() {
    let desk = Cli::new();
    let page = desk.page();
    assert!(page.text.contains("No stage of this run has begun."));

    let stage = "pretrain_autoencoder_mae";
    fs::create_dir(desk.stage(stage)).unwrap();
    assert_eq!(desk.problems(stage), ["metrics.jsonl is missing."]);
    assert!(desk.page().text.contains("There are no curves"));

    desk.write(stage, "metrics.jsonl", METRICS);
    assert_eq!(
        desk.report().stages[0].state,
        State::Unfinished { step: 10 }
    );
    assert_eq!(desk.problems(stage), [""; 0]);
    let page = desk.page();
    assert!(page.text.contains("unfinished, at step 10"));
    assert!(
        page.text
            .contains("Not run: pretrain_transformer_contrastive")
    );
    // Loss and rate.
    assert_eq!(page.all("svg").count(), 2);
    assert_eq!(page.all("audio").count(), 0);
}

#[test]
fn damaged_and_missing_parts_are_named_and_the_rest_is_shown() {
    let desk = Cli::full("kick");
    let [first, second] = [
        "pretrain_autoencoder_mae",
        "pretrain_transformer_contrastive",
    ];
    fs::remove_file(desk.stage(first).join("examples/0/mask.png")).unwrap();
    desk.write(first, "examples/1/input.wav", "no sound");
    desk.write(first, "examples/1/example.json", "{");
    desk.write(
        first,
        "metrics.jsonl",
        &format!("{METRICS}{{\"step\":15,\"ta"),
    );
    desk.write(second, "summary.json", "[1");
    fs::remove_dir_all(desk.stage(second).join("examples")).unwrap();

    let problems = desk.problems(first);
    assert_eq!(
        problems[0],
        "One line of metrics.jsonl can't be read and is left out."
    );
    assert_eq!(problems[1], "examples/0/mask.png is missing.");
    assert_eq!(
        problems[2],
        "examples/1/input.wav can't be read: its content doesn't match its extension."
    );
    assert!(
        problems[3].starts_with("examples/1/example.json can't be read: EOF"),
        "{problems:?}"
    );
    assert_eq!(problems.len(), 4);
    let problems = desk.problems(second);
    assert!(
        problems[0].starts_with("summary.json can't be understood: EOF"),
        "{problems:?}"
    );
    assert_eq!(problems[1], "It has left no examples.");

    let page = desk.page();
    for problem in problems {
        assert!(page.text.contains(&problem), "{problem}");
    }
    assert!(page.text.contains("The picture of the mask is missing."));
    assert!(page.text.contains("The sound of the input is missing."));
    assert_eq!(
        (page.all("img").count(), page.all("audio").count()),
        (3 * 4 - 1 + 3 + 1, 3 * 2 - 1 + 2 + 1)
    );
}

#[test]
fn a_damaged_table_and_an_untested_estimator_are_named() {
    let desk = Cli::full("kick");
    let mut summary = tested("kick");
    summary["rows"][1]["scored"] = json!("something");
    desk.write("test_autoencoder", "summary.json", &summary.to_string());
    let stage = "finetune_parameters_autoencoder";
    let mut summary = trained(stage, 0.5);
    summary["parameter_test"] = json!({"labelled_examples": 3});
    desk.write(stage, "summary.json", &summary.to_string());
    for (stage, beginning) in [
        (
            "test_autoencoder",
            "The rows of summary.json can't be understood: unknown variant `something`",
        ),
        (
            stage,
            "The parameter_test of summary.json can't be understood: missing field",
        ),
    ] {
        let problems = desk.problems(stage);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(beginning), "{problems:?}");
        assert!(desk.page().text.contains(&problems[0]));
    }

    desk.write(stage, "summary.json", &trained(stage, 0.5).to_string());
    assert_eq!(
        desk.problems(stage),
        ["No sound was held out, so its estimates were not tested."]
    );
}

#[test]
fn why_nothing_is_rendered_stands_below_the_parameters() {
    let desk = Cli::full("kick");
    let stage = "finetune_parameters_autoencoder";
    let mut summary = trained(stage, 0.5);
    summary["parameter_test"] = parameters("kick");
    summary["parameter_test"]["not_rendered"] = json!("a rate of 4 Hz");
    desk.write(stage, "summary.json", &summary.to_string());
    assert!(
        desk.page()
            .text
            .contains("Nothing is rendered: a rate of 4 Hz.")
    );
    assert_eq!(desk.problems(stage), [""; 0]);
}

#[test]
fn a_run_of_one_picture_shows_that() {
    let desk = Cli::full("kick");
    let stage = "pretrain_autoencoder_mae";
    fs::remove_dir_all(desk.stage(stage).join("examples")).unwrap();
    fs::write(desk.stage(stage).join("reconstruction.png"), b"\x89PNG").unwrap();
    assert_eq!(
        desk.problems(stage),
        ["It has left one picture of its examples, but none of their sounds."]
    );
    assert_eq!(desk.page().all("img").count(), 3 * 4 + 1 + 3 + 1);
}

#[test]
fn what_is_no_run_is_an_error_that_says_so() {
    let desk = tempfile::tempdir().unwrap();
    for path in [desk.path().to_owned(), desk.path().join("nowhere")] {
        let error = write_report(&path, None).unwrap_err();
        assert!(matches!(error, ReportError::NoRun { .. }));
        assert!(
            error
                .to_string()
                .contains("is no run: it has no experiment.toml"),
            "{error}"
        );
    }
    fs::write(desk.path().join("experiment.toml"), "sede = 3").unwrap();
    let error = write_report(desk.path(), None).unwrap_err();
    assert!(error.to_string().contains("did you mean `seed`"), "{error}");
    assert!(!desk.path().join("report.html").exists());
}

#[test]
fn a_report_is_written_to_the_given_path() {
    let desk = Cli::full("kick");
    let out = tempfile::tempdir().unwrap();
    let page = out.path().join("mine.html");
    assert_eq!(write_report(desk.run(), Some(&page)).unwrap(), page);
    let text = fs::read_to_string(out.path().join("mine.json")).unwrap();
    assert_eq!(text, format!("{:#}\n", desk.report().to_json()));
    assert_eq!(fs::read_to_string(&page).unwrap(), desk.report().to_html());
    assert!(!desk.run().join("report.html").exists());

    let both = write_report(desk.run(), Some(&out.path().join("a.json"))).unwrap_err();
    assert!(matches!(both, ReportError::PageName { .. }));
    let nowhere = write_report(desk.run(), Some(&out.path().join("no/a.html"))).unwrap_err();
    assert!(matches!(nowhere, ReportError::Write { .. }));
}
