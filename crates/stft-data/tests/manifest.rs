//! Labelled sounds, through the public API. Every data set is generated here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use params::{
    Curve, ManifestRow, Param, ParamKind, ParamSpec, ParamVector, SynthDescription, sha256_pcm,
};
use stft_data::{
    ClipConfig, DataConfig, DataError, Dataset, DecodeLimits, Fingerprint, FolderSource, Loader,
    ManifestSource, Order, RowFault, Source, Split, StftConfig, Unusable,
};
use tempfile::TempDir;

const RATE_HZ: u32 = 8_000;

fn description() -> SynthDescription {
    let continuous = |name: &str| Param {
        name: name.into(),
        kind: ParamKind::Continuous {
            min: 20.0,
            max: 2_000.0,
            unit: "Hz".into(),
            curve: Curve::Exponential,
        },
    };
    let wave = Param {
        name: "wave".into(),
        kind: ParamKind::Categorical {
            classes: ["sine", "saw", "square"].map(String::from).into(),
        },
    };
    SynthDescription {
        synth: "two knobs and a switch".into(),
        sample_rate: RATE_HZ,
        note: 60,
        velocity: 101,
        note_s: 0.1,
        // Neither alphabetical nor sorted by kind, as a manifest's rows are.
        params: ParamSpec::new(vec![continuous("pitch"), wave, continuous("cutoff")]).unwrap(),
    }
}

fn patch(number: usize) -> ParamVector {
    ParamVector {
        cont: vec![number as f32 / 32.0, 1.0 - number as f32 / 64.0],
        cat: vec![number % 3],
    }
}

/// A tone of half a clip, so that clips are padded.
fn tone(number: usize) -> Vec<i16> {
    (0..900)
        .map(|n| (9e3 * (n as f64 * (0.05 + 0.01 * number as f64)).sin()) as i16)
        .collect()
}

fn put_wav(path: &Path, pcm: &[i16]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    pcm.iter()
        .for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
}

fn row(path: &str, number: usize) -> ManifestRow {
    ManifestRow::new(path, &tone(number), &description(), &patch(number)).unwrap()
}

fn text(row: &ManifestRow) -> String {
    serde_json::to_string(row).unwrap()
}

/// A folder with the sounds `audio/0.wav`, `audio/1.wav` etc. and a manifest of these rows.
fn folder(sounds: usize, rows: &[String]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..sounds {
        let path = folder.path().join(format!("audio/{number}.wav"));
        put_wav(&path, &tone(number));
    }
    let described = serde_json::to_string_pretty(&description()).unwrap();
    fs::write(folder.path().join("params.json"), described).unwrap();
    fs::write(
        folder.path().join("manifest.jsonl"),
        rows.join("\n") + "\n\n",
    )
    .unwrap();
    folder
}

fn labelled(sounds: usize) -> TempDir {
    let rows: Vec<_> = (0..sounds)
        .map(|number| text(&row(&format!("audio/{number}.wav"), number)))
        .collect();
    folder(sounds, &rows)
}

fn open(path: &Path) -> Result<ManifestSource, DataError> {
    ManifestSource::open(path, &DecodeLimits::default())
}

#[test]
fn all_faulty_rows_are_reported_at_once_without_terminal_controls() {
    let good = |number| text(&row(&format!("audio/{number}.wav"), number));
    let mut misspelt = row("audio/1.wav", 1);
    misspelt.cont.insert("cut\u{1b}[2Joff".into(), 0.5);
    let rows = [
        good(0),
        text(&misspelt),
        text(&row("audio/no\nne.wav", 2)),
        good(3).replace("\"frames\"", "\"\\u001b[2J\""),
        good(0),
    ];
    let error = open(folder(4, &rows).path()).unwrap_err();
    let DataError::Rows { faults, .. } = &error else {
        panic!("expected faulty rows, got {error:?}");
    };
    let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
    let message = error.to_string();
    for expected in [
        "manifest.jsonl: 4 rows are faulty:\n  line 2: ",
        r"`cut\u{1b}[2Joff`",
        "\n  line 3: `path`: can't find audio/no\\nne.wav",
        r"unknown field `\u{1b}[2J`",
        "\n  line 5: `path`: audio/0.wav is in line 1 already",
    ] {
        assert!(message.contains(expected), "{expected:?} in {message:?}");
    }
    let mut controls = message.chars().filter(|c| c.is_control());
    assert!(controls.all(|c| c == '\n'), "{message:?}");
    assert_eq!(message.lines().count(), 5);
}

/// The line and the fault of the only faulty row.
fn fault_of(folder: &TempDir) -> (usize, RowFault) {
    match open(folder.path()) {
        Err(DataError::Row { path, line, fault }) => {
            assert_eq!(path, folder.path().join("manifest.jsonl"));
            (line, fault)
        }
        other => panic!("expected a faulty row, got {other:?}"),
    }
}

#[test]
fn every_sound_has_the_parameters_of_its_row_in_the_order_of_the_description() {
    // The rows are not sorted by path.
    let numbers = [3, 0, 4, 1, 2];
    let rows: Vec<_> = numbers
        .iter()
        .map(|&number| text(&row(&format!("audio/{number}.wav"), number)))
        .collect();
    let folder = folder(5, &rows);
    for path in [
        folder.path().to_owned(),
        folder.path().join("manifest.jsonl"),
    ] {
        let source = open(&path).unwrap();
        assert_eq!((source.len(), source.rejected().len()), (5, 0));
        assert_eq!(source.spec(), Some(&description().params));
        assert_eq!(source.description().note, 60);
        for (index, number) in numbers.into_iter().enumerate() {
            let name = Path::new("audio").join(format!("{number}.wav"));
            assert_eq!(source.name(index), name.display().to_string());
            assert_eq!(source.truth(index), Some(patch(number)));
            let audio = source.load(index).unwrap();
            assert_eq!(audio.sample_rate_hz, RATE_HZ);
            for (got, pcm) in audio.samples.iter().zip(tone(number)) {
                assert_eq!(*got, f32::from(pcm) / 32_768.0);
            }
        }
    }
}

#[test]
fn truth_stays_with_its_sound_in_every_batch() {
    let folder = labelled(24);
    let config = DataConfig {
        clip: ClipConfig {
            seconds: 0.2,
            sample_rate_hz: RATE_HZ,
        },
        stft: StftConfig {
            n_fft: 64,
            hop_length: 40,
            win_length: None,
        },
        ..DataConfig::default()
    };
    let source = Arc::new(open(folder.path()).unwrap());
    let dataset = Arc::new(Dataset::open(source, &config, 5).unwrap());
    let mut checked = 0;
    for split in [Split::Train, Split::Valid, Split::Test] {
        for batch in Loader::new(dataset.clone(), Order::Evaluation(split), 5, 2, 0) {
            let batch = batch.unwrap();
            for (index, truth) in batch.indices.iter().zip(batch.truth.unwrap()) {
                assert_eq!(truth, patch(*index));
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 24);
}

#[test]
fn all_renders_of_a_patch_have_one_fingerprint() {
    let rows: Vec<_> = (0..40)
        .map(|number| text(&row(&format!("audio/{number}.wav"), number % 20)))
        .collect();
    let folder = folder(40, &rows);
    let source = open(folder.path()).unwrap();
    let prints: Vec<_> = (0..40).map(|index| source.fingerprint(index)).collect();
    assert_eq!(prints[..20], prints[20..]);
    let different: std::collections::BTreeSet<_> = prints.iter().collect();
    assert_eq!(different.len(), 20);
    // The sounds differ; their patch keeps them in one split.
    assert_ne!(
        source.files()[0].fingerprint,
        source.files()[20].fingerprint
    );
    let splits = DataConfig::default().split.assign(&prints).unwrap();
    assert_eq!(splits[..20], splits[20..]);
    assert!(splits.contains(&Split::Valid) && splits.contains(&Split::Train));
}

#[test]
fn the_fingerprint_of_a_patch_is_pinned() {
    let patch = ParamVector {
        cont: vec![0.5, 0.0],
        cat: vec![2, 1],
    };
    // From Python's hashlib: sha256(struct.pack("<2f2Q", 0.5, 0.0, 2, 1)).
    let expected = "e89902c281076ef83bb23b7d03f7b69dadf579ff107da96a5f2625c2b1b9c8a5";
    assert_eq!(Fingerprint::of_patch(&patch).to_string(), expected);
    let negative_zero = ParamVector {
        cont: vec![0.5, -0.0],
        ..patch
    };
    assert_eq!(Fingerprint::of_patch(&negative_zero).to_string(), expected);
}

/// A row after `change`.
fn changed(change: impl Fn(&mut ManifestRow)) -> String {
    let mut row = row("audio/1.wav", 1);
    change(&mut row);
    text(&row)
}

/// Checks line and message of each faulty row.
fn assert_reported<const N: usize>(cases: [(String, &str); N]) {
    for (faulty, expected) in cases {
        // Line 2 is blank.
        let rows = [text(&row("audio/0.wav", 0)), String::new(), faulty.clone()];
        let (line, fault) = fault_of(&folder(2, &rows));
        assert_eq!(line, 3, "{faulty}");
        let message = fault.to_string();
        assert!(message.contains(expected), "{expected:?} in {message:?}");
        assert!(!message.contains("column"), "{message:?}");
    }
}

#[test]
fn faulty_json_is_reported_with_line_and_key() {
    let good = || text(&row("audio/1.wav", 1));
    assert_reported([
        ("not json".to_owned(), "expected ident"),
        (good()[..60].to_owned(), "EOF"),
        (good() + "}", "trailing characters"),
        ("[]".to_owned(), "expected struct ManifestRow"),
        (
            good().replace("\"frames\"", "\"length\""),
            "`length`: unknown field `length`, expected one of",
        ),
        (
            good().replace("\"cat\"", "\"cats\""),
            "`cats`: unknown field `cats`",
        ),
        (good().replace("\"note\":60,", ""), "missing field `note`"),
        (
            good().replacen('{', "{\"author\":\"somebody\",", 1),
            "`author`: unknown field `author`",
        ),
        (
            good().replace("0.03125", "\"loud\""),
            "`cont.pitch`: invalid type",
        ),
        (
            good().replace("{\"wave\":1}", "{\"wave\":-1}"),
            "`cat.wave`: invalid value",
        ),
        (
            good().replace("{\"wave\":1}", "{\"wave\":1,\"wave\":2}"),
            "key `wave` is there twice",
        ),
        (
            good().replace("0.03125", "1e39"),
            "`pitch` is inf: expected 0 to 1",
        ),
    ]);
}

#[test]
fn wrong_parameters_and_paths_are_reported_with_line_and_key() {
    let set = |key: &str, value: f32| {
        changed(|row| {
            row.cont.insert(key.into(), value);
        })
    };
    assert_reported([
        (set("cutof", 0.5), "no continuous parameter `cutof`"),
        (
            changed(|row| {
                row.cont.remove("cutoff");
            }),
            "continuous parameter `cutoff` has no value",
        ),
        (
            changed(|row| {
                row.cat.insert("shape".into(), 0);
            }),
            "no categorical parameter `shape`",
        ),
        (
            changed(|row| row.cat.clear()),
            "categorical parameter `wave` has no value",
        ),
        (set("pitch", -0.01), "`pitch` is -0.01: expected 0 to 1"),
        (set("cutoff", 1.01), "`cutoff` is 1.01: expected 0 to 1"),
        (
            changed(|row| {
                row.cat.insert("wave".into(), 3);
            }),
            "`wave` has class index 3: expected 0 to 2",
        ),
        (
            text(&row("audio/none.wav", 1)),
            "`path`: can't find audio/none.wav",
        ),
        (
            text(&row("audio/0.wav", 1)),
            "`path`: audio/0.wav is in line 1 already",
        ),
        (
            text(&row("./audio//./0.wav", 1)),
            "`path`: audio/0.wav is in line 1 already",
        ),
    ]);
}

#[test]
fn windows_line_ends_are_line_ends() {
    let rows = [0, 1].map(|number| text(&row(&format!("audio/{number}.wav"), number)) + "\r");
    assert_eq!(open(folder(2, &rows).path()).unwrap().len(), 2);
}

#[test]
fn no_row_may_name_a_file_outside_the_folder() {
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("0.wav");
    put_wav(&outside, &tone(0));
    let absolute = outside.to_str().unwrap().to_owned();
    let dots = format!(
        "../{}/0.wav",
        elsewhere.path().file_name().unwrap().to_str().unwrap()
    );
    for path in [absolute, dots, "audio/../audio/0.wav".to_owned()] {
        let folder = folder(1, &[text(&row(&path, 0))]);
        let (line, fault) = fault_of(&folder);
        assert_eq!(line, 1);
        assert!(matches!(fault, RowFault::Outside { .. }), "{path}: {fault}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_may_lead_inside_and_not_outside() {
    use std::os::unix::fs::symlink;
    let elsewhere = tempfile::tempdir().unwrap();
    put_wav(&elsewhere.path().join("0.wav"), &tone(0));
    let rows = ["audio/0.wav", "link.wav"].map(|path| text(&row(path, 0)));
    let folder = folder(1, &rows);
    let link = folder.path().join("link.wav");
    symlink("audio/0.wav", &link).unwrap();
    assert_eq!(open(folder.path()).unwrap().len(), 2);
    for target in [&elsewhere.path().join("0.wav"), Path::new("/dev/zero")] {
        fs::remove_file(&link).unwrap();
        symlink(target, &link).unwrap();
        let (line, fault) = fault_of(&folder);
        assert_eq!(line, 2);
        assert!(matches!(fault, RowFault::Outside { .. }), "{fault}");
    }
    // The path of the folder itself may be a link.
    let root = elsewhere.path().join("root");
    fs::remove_file(&link).unwrap();
    symlink("audio/0.wav", &link).unwrap();
    symlink(folder.path(), &root).unwrap();
    assert_eq!(open(&root).unwrap().len(), 2);
}

#[test]
fn sounds_that_can_not_be_used_are_left_out_with_their_labels() {
    let folder = labelled(5);
    let root = folder.path();
    fs::write(root.join("audio/1.wav"), "no sound").unwrap();
    fs::remove_file(root.join("audio/3.wav")).unwrap();
    #[cfg(unix)]
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("audio/3.wav"))
        .status()
        .unwrap()
        .success();
    #[cfg(not(unix))]
    let made = fs::create_dir(root.join("audio/3.wav")).is_ok();
    assert!(made);
    let source = open(root).unwrap();
    let [text, pipe] = source.rejected() else {
        panic!("{:?}", source.rejected())
    };
    assert_eq!(text.path, Path::new("audio/1.wav"));
    assert!(matches!(text.reason, Unusable::NotAudio(_)));
    assert!(matches!(pipe.reason, Unusable::NotRegular));
    for (index, number) in [0, 2, 4].into_iter().enumerate() {
        assert_eq!(source.truth(index), Some(patch(number)));
        assert_eq!(source.load(index).unwrap().samples.len(), 900);
    }
    for number in [0, 2, 4] {
        fs::write(root.join(format!("audio/{number}.wav")), "no sound").unwrap();
    }
    assert!(matches!(
        open(root).unwrap_err(),
        DataError::AllRejected { rejected, .. } if rejected.len() == 5
    ));
}

#[test]
fn a_missing_or_faulty_list_or_description_is_an_error() {
    let folder = labelled(2);
    let root = folder.path();
    let message = || open(root).unwrap_err().to_string();
    let rows = fs::read(root.join("manifest.jsonl")).unwrap();
    fs::write(root.join("manifest.jsonl"), "\n \n").unwrap();
    assert!(message().contains("manifest.jsonl: it lists no sound"));
    fs::remove_file(root.join("manifest.jsonl")).unwrap();
    assert!(message().contains("manifest.jsonl: can't read it: "));
    fs::create_dir(root.join("manifest.jsonl")).unwrap();
    assert!(message().contains("manifest.jsonl: can't read it: it is not a regular file"));
    fs::remove_dir(root.join("manifest.jsonl")).unwrap();
    fs::write(root.join("manifest.jsonl"), rows).unwrap();

    let described = fs::read_to_string(root.join("params.json")).unwrap();
    for (from, to, expected) in [
        ("\"velocity\"", "\"speed\"", "missing field `velocity`"),
        ("\"curve\"", "\"curv\"", "unknown field `curv`"),
        ("\"saw\"", "\"sine\"", "lists `sine` twice"),
        ("101", "1010", "line 5: `velocity`: invalid value"),
    ] {
        let changed = described.replacen(from, to, 1);
        assert_ne!(changed, described);
        fs::write(root.join("params.json"), changed).unwrap();
        let message = message();
        assert!(
            message.contains("params.json, line ") && message.contains(expected),
            "{expected:?} in {message:?}"
        );
    }
    fs::remove_file(root.join("params.json")).unwrap();
    assert!(message().contains("params.json: can't read it: "));
}

#[test]
fn a_labelled_folder_can_be_opened_as_a_folder_of_sounds() {
    let folder = labelled(3);
    let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
    assert_eq!((source.len(), source.skipped()), (3, 2));
    assert!(source.spec().is_none());
}

#[test]
fn the_facts_of_a_sound_in_its_row_are_not_compared_with_the_file() {
    let mut resampled = row("audio/0.wav", 0);
    resampled.sha256_pcm = Some(sha256_pcm(&[1, 2, 3]));
    (resampled.sr, resampled.frames) = (Some(44_100), Some(7));
    let source = open(folder(1, &[text(&resampled)]).path()).unwrap();
    assert_eq!(source.files()[0].sample_rate_hz, RATE_HZ);
    // So they are optional.
    resampled.sha256_pcm = None;
    (resampled.sr, resampled.frames) = (None, None);
    assert!(!text(&resampled).contains("sr"));
    assert_eq!(
        open(folder(1, &[text(&resampled)]).path()).unwrap().len(),
        1
    );
    let expected: BTreeMap<_, _> = [("cutoff", 1.0), ("pitch", 0.0)].into();
    assert!(
        resampled
            .cont
            .iter()
            .all(|(name, value)| expected[name.as_str()] == *value)
    );
}
