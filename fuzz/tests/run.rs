//! Whole runs of the program: a clean one, and one for each fault that it must report.

use std::process::{Command, Output};

use fuzz::{Run, Summary, hand_made, seeds, supervise};

/// Mutated files of the run in these tests: half a minute on two cores.
const FILES: u64 = 8_000;

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fuzz"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn share(summary: &Summary, group: &str) -> f64 {
    summary.usable(group) as f64 / summary.total(group) as f64
}

#[test]
fn hostile_files_do_no_harm_and_enough_of_them_still_decode() {
    let summary = supervise(&Run {
        program: env!("CARGO_BIN_EXE_fuzz").into(),
        seed: 1,
        files: FILES,
        workers: 2,
        drill: None,
    })
    .unwrap();
    println!("{summary}");
    assert!(summary.offences.is_empty(), "{summary}");
    assert_eq!(summary.files(), FILES + hand_made().len() as u64);
    assert_eq!(summary.total("hand-made"), hand_made().len() as u64);
    for seed in seeds() {
        assert_eq!(summary.total(seed.name), FILES / 8);
        // Damage that nothing survives, or that everything does, tries nothing out.
        let share = share(&summary, seed.name);
        let (low, high) = if seed.name == "MP3" {
            (0.5, 0.99)
        } else {
            (0.1, 0.8)
        };
        assert!(
            (low..high).contains(&share),
            "{}: {share:.2}\n{summary}",
            seed.name
        );
    }
    let peak = summary.largest.unwrap().peak_bytes;
    assert!(
        peak > 100 << 20,
        "{peak} bytes: was memory measured at all?"
    );
}

#[test]
fn a_planted_panic_is_reported() {
    reports("panic", "file 5: panic", "this is a drill");
}

#[test]
fn a_planted_allocation_is_reported() {
    reports("allocation", "file 5: memory", "MiB");
}

#[test]
fn a_planted_hang_is_reported_and_the_run_goes_on() {
    reports("hang", "file 5: hang", "silent for 60 s");
}

#[test]
fn a_planted_busy_wait_is_reported() {
    reports("slow", "file 5: slow", "s (");
}

#[test]
fn a_planted_abort_is_reported_and_the_run_goes_on() {
    reports("abort", "file 5: died", "signal");
}

fn reports(drill: &str, offence: &str, detail: &str) {
    let output = program(&["--files", "16", "--drill", drill]);
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("1 offences:") && text.contains(offence) && text.contains(detail),
        "{text}"
    );
    // The files after the fault were examined all the same.
    assert!(text.contains("16 files in"), "{text}");
}

#[test]
fn one_file_can_be_examined_and_written_out_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("6.ogg");
    let output = program(&["--one", "6", "--out", path.to_str().unwrap()]);
    assert!(output.status.success());
    assert!(
        text(&output).contains("OGG Vorbis with"),
        "{}",
        text(&output)
    );
    assert_eq!(std::fs::read(&path).unwrap(), fuzz::mutated(1, 6).bytes);
    let planted = program(&["--one", "5", "--drill", "panic"]);
    assert_eq!(planted.status.code(), Some(1));
    assert!(!program(&["--one", "hand:1000"]).status.success());
}
