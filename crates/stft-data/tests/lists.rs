//! The kind of source at a path, and lists without ground truth, through the public API.

use std::fs;
use std::path::Path;

use stft_data::{DataError, DecodeLimits, FileSource, Source};
use tempfile::TempDir;

const DESCRIPTION: &str = r#"{"synth":"one knob","sample_rate":8000,"note":60,"velocity":100,"note_s":0.1,
    "params":[{"name":"pitch","kind":"continuous","min":0.0,"max":1.0,"unit":""}]}"#;

fn open(path: &Path) -> Result<FileSource, DataError> {
    FileSource::open(path, &DecodeLimits::default())
}

fn message(path: &Path) -> String {
    open(path).unwrap_err().to_string()
}

fn put_wav(path: &Path, samples: usize) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    (0..samples).for_each(|n| writer.write_sample((n * 321 % 9_000) as i16).unwrap());
    writer.finalize().unwrap();
}

/// A folder with these files. A `*.wav` is a sound with as many samples as its text has bytes.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        if name.ends_with(".wav") {
            put_wav(&path, text.len());
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    folder
}

fn names(source: &FileSource) -> Vec<String> {
    (0..source.len()).map(|index| source.name(index)).collect()
}

fn note(name: &str, pitch: u8) -> String {
    format!(
        r#""{name}": {{"note_str": "{name}", "pitch": {pitch}, "velocity": 75, "sample_rate": 16000,
            "instrument_family": 0, "instrument_family_str": "bass", "qualities": [0, 1], "qualities_str": ["dark"]}}"#
    )
}

/// The last of these sounds is not in the list.
fn nsynth(list: &str) -> TempDir {
    folder(&[
        ("examples.json", list),
        ("audio/keyboard_acoustic_004-060-025.wav", "four"),
        ("audio/bass_synthetic_068-049-025.wav", "eleven byte"),
        ("audio/flute_000-070-127.wav", "x"),
    ])
}

#[test]
fn an_nsynth_list_gives_its_sounds_in_its_own_order() {
    let names_listed = [
        "keyboard_acoustic_004-060-025",
        "bass_synthetic_068-049-025",
    ];
    let list = format!(
        "{{\n{},\n{}\n}}",
        note(names_listed[0], 60),
        note(names_listed[1], 49)
    );
    let folder = nsynth(&list);
    for path in [
        folder.path().to_owned(),
        folder.path().join("examples.json"),
    ] {
        let source = open(&path).unwrap();
        assert!(matches!(source, FileSource::List(_)));
        let expected = names_listed.map(|name| {
            Path::new("audio")
                .join(format!("{name}.wav"))
                .display()
                .to_string()
        });
        assert_eq!(names(&source), expected);
        assert_eq!(source.load(1).unwrap().samples.len(), 11);
        assert_ne!(source.fingerprint(0), source.fingerprint(1));
        assert_eq!(source.fingerprint(0), source.files()[0].fingerprint);
        assert!(source.spec().is_none() && source.truth(0).is_none());
    }
}

#[test]
fn a_fault_in_an_nsynth_list_is_reported_with_line_and_key() {
    let bass = note("bass_synthetic_068-049-025", 49);
    for (list, expected) in [
        (
            format!("{{{bass},\n{bass}}}"),
            "line 3: the key `bass_synthetic_068-049-025` is there twice",
        ),
        (
            format!("{{\n{}\n}}", note("../flute_000-070-127", 70)),
            "line 2: `../flute_000-070-127`: this key is a path",
        ),
        (
            format!("{{\n{}\n}}", note("wind/flute", 70)),
            "line 2: `wind/flute`: this key is a path",
        ),
        (
            format!("{{\n{}\n}}", note("flute/.", 70)),
            "line 2: `flute/.`: this key is a path",
        ),
        (
            format!("{{\n{}\n}}", note("/flute", 70)),
            "line 2: `/flute`: this key is a path",
        ),
        (
            format!("{{\n{}\n}}", note("", 70)),
            "line 2: ``: this key is a path",
        ),
        (bass.clone(), "line 1: invalid type"),
        (
            format!("{{{}}}", bass.replace("49,", "\"A\",")),
            "line 1: `bass_synthetic_068-049-025.pitch`: invalid type",
        ),
        (
            r#"{"settings": {"volume": 3}}"#.to_owned(),
            "line 1: `settings`: missing field `pitch`",
        ),
        ("{}".to_owned(), "examples.json: it lists no sound"),
    ] {
        let message = message(nsynth(&list).path());
        assert!(message.contains("examples.json"), "{message:?}");
        assert!(message.contains(expected), "{expected:?} in {message:?}");
    }
}

#[test]
fn an_audiocraft_list_may_name_sounds_anywhere() {
    let elsewhere = folder(&[("far.wav", "1234567")]);
    let far = elsewhere.path().join("far.wav");
    let rows = [
        r#"{"path": "near/b.wav", "duration": 0.5, "sample_rate": 8000, "amplitude": null, "weight": 2.0, "info_path": null}"#,
        &format!(r#"{{"path": {far:?}, "duration": 0.5, "sample_rate": 8000}}"#),
        "",
        r#"{"path": "near/gone.wav", "duration": 0.5, "sample_rate": 8000}"#,
        r#"{"path": "near/a.wav", "duration": 0.5, "sample_rate": 8000}"#,
    ]
    .join("\n");
    let folder = folder(&[
        ("egs/data.jsonl", &rows),
        ("egs/near/a.wav", "12"),
        ("egs/near/b.wav", "123"),
        ("egs/near/unlisted.wav", "1234"),
    ]);
    let source = open(&folder.path().join("egs/data.jsonl")).unwrap();
    assert!(matches!(source, FileSource::List(_)));
    assert_eq!(
        names(&source),
        ["near/b.wav", far.to_str().unwrap(), "near/a.wav"]
    );
    let lengths = [0, 1, 2].map(|index| source.load(index).unwrap().samples.len());
    assert_eq!(lengths, [3, 7, 2]);
    let [gone] = source.rejected() else {
        panic!("{:?}", source.rejected())
    };
    assert_eq!(gone.path, Path::new("near/gone.wav"));
    assert!(source.spec().is_none());
}

#[test]
fn a_fault_in_an_audiocraft_list_is_reported_with_line_and_key() {
    let good = r#"{"path": "a.wav", "duration": 0.5, "sample_rate": 8000}"#;
    for (rows, expected) in [
        (
            format!("{good}\n{}", good.replace("a.wav", "./a.wav")),
            "line 2: `path`: ./a.wav is in line 1 already",
        ),
        (
            format!("{good}\n\n{good}"),
            "line 3: `path`: a.wav is in line 1 already",
        ),
        (
            format!("{good}\n{{\"file\": \"b.wav\"}}"),
            "line 2: missing field `path`",
        ),
        (
            format!("{good}\n{{\"path\": 7}}"),
            "line 2: `path`: invalid type",
        ),
        (format!("{good}\n{{"), "line 2: EOF"),
        (
            format!("{{}}\n{good}\n{good}\n{{\n{}", "{}\n".repeat(4)),
            "list.jsonl: 7 rows are faulty:\n  line 1: missing field `path`\n  line 3: `path`: a.wav is in \
             line 2 already; remove one of the two\n  line 4: EOF while parsing an object\n  line 5: missing field `path`\n  line 6: \
             missing field `path`\n  and 2 more",
        ),
        (String::new(), "list.jsonl: it lists no sound"),
        (
            r#"{"path": "a.wav", "cont": {"pitch": 0.5}, "cat": {}}"#.to_owned(),
            "line 1: `cont`: this row has ground truth, but no params.json",
        ),
    ] {
        let folder = folder(&[("list.jsonl", &rows), ("a.wav", "12")]);
        let message = message(&folder.path().join("list.jsonl"));
        assert!(message.contains(expected), "{expected:?} in {message:?}");
    }
}

#[test]
fn the_files_beside_a_list_decide_its_kind() {
    let row = r#"{"path":"a.wav","sha256_pcm":"","sr":8000,"frames":2,"note":60,"velocity":100,
        "cont":{"pitch":0.25},"cat":{}}"#
        .replace('\n', "");
    let labelled = folder(&[
        ("manifest.jsonl", &row),
        ("params.json", DESCRIPTION),
        ("a.wav", "12"),
        ("b.wav", "123"),
    ]);
    for path in [
        labelled.path().to_owned(),
        labelled.path().join("manifest.jsonl"),
    ] {
        let source = open(&path).unwrap();
        assert!(matches!(source, FileSource::Manifest(_)));
        assert_eq!(names(&source), ["a.wav"]);
        assert_eq!(source.spec().unwrap().n_continuous(), 1);
        assert_eq!(source.truth(0).unwrap().cont, [0.25]);
    }
    // Without its description it must be an error, not a list without labels.
    fs::remove_file(labelled.path().join("params.json")).unwrap();
    let lost = message(labelled.path());
    assert!(
        lost.contains("manifest.jsonl: there is no params.json beside this list; add it"),
        "{lost}"
    );
    let named = message(&labelled.path().join("manifest.jsonl"));
    assert!(named.contains("no params.json beside this list describes it"));

    let plain = folder(&[
        ("a.wav", "12"),
        ("deep/b.wav", "123"),
        ("examples.json", "[]"),
        ("params.json", "{}"),
    ]);
    let source = open(plain.path()).unwrap();
    assert!(matches!(&source, FileSource::Folder(folder) if folder.skipped() == 2));
    assert_eq!(source.len(), 2);
    assert_eq!((source.files().len(), source.rejected().len()), (2, 0));

    let single = open(&plain.path().join("a.wav")).unwrap();
    assert_eq!(names(&single), ["a.wav"]);
    assert_eq!(single.load(0).unwrap().samples.len(), 2);
    fs::write(plain.path().join("notes.txt"), "none").unwrap();
    assert!(message(&plain.path().join("notes.txt")).contains("neither a sound (WAV"));
    assert!(matches!(
        open(&plain.path().join("none")),
        Err(DataError::FolderMissing { .. })
    ));
}

#[test]
fn a_list_that_may_name_any_file_is_read_only_if_its_own_path_is_given() {
    let elsewhere = folder(&[("private.wav", "1234567")]);
    let far = elsewhere.path().join("private.wav");
    let row = format!(r#"{{"path": {far:?}, "duration": 0.5, "sample_rate": 8000}}"#);
    let folder = folder(&[("manifest.jsonl", &row), ("a.wav", "12")]);
    let error = open(folder.path()).unwrap_err();
    let list = folder.path().join("manifest.jsonl");
    assert!(
        matches!(&error, DataError::DescriptionMissing { list: named } if *named == list),
        "{error}"
    );
    assert!(
        error.to_string().contains("name the list itself"),
        "{error}"
    );
    let named = open(&list).unwrap();
    assert_eq!(names(&named), [far.to_str().unwrap()]);
}

#[cfg(unix)]
#[test]
fn a_list_that_is_a_pipe_or_a_dangling_link_is_an_error() {
    let folder = folder(&[("a.wav", "12"), ("params.json", DESCRIPTION)]);
    let list = folder.path().join("manifest.jsonl");
    std::os::unix::fs::symlink("nowhere", &list).unwrap();
    assert!(message(folder.path()).contains("manifest.jsonl: can't read it: "));
    fs::remove_file(&list).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&list).status();
    assert!(made.unwrap().success());
    for path in [folder.path(), &list] {
        assert!(message(path).contains("manifest.jsonl: can't read it: it is not a regular file"));
    }
}
