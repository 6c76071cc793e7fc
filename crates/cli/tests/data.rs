//! `inversynth data` and `inversynth compare`, run as a program.

use std::f32::consts::TAU;
use std::fs;
use std::path::Path;

use serde_json::Value;

mod fixture;
use fixture::{Cli, stdout};

/// Short clips of a low rate, and a transform whose sizes all differ.
const SMALL: &str = "
[data.clip]
seconds = 0.25
sample_rate_hz = 8000
[data.stft]
n_fft = 128
hop_length = 50
[data.split]
valid = 0.2
";

/// A working directory with an experiment and an empty folder for sounds.
fn cli() -> Cli {
    let cli = Cli::empty();
    fs::write(cli.path("small.toml"), SMALL).unwrap();
    fs::create_dir(cli.path("sounds")).unwrap();
    cli
}

fn wav(cli: &Cli, name: &str, rate_hz: u32, channels: u16, samples: &[i16]) {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate_hz,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut wav = hound::WavWriter::create(cli.path(name), spec).unwrap();
    for &sample in samples {
        wav.write_sample(sample).unwrap();
    }
    wav.finalize().unwrap();
}

/// A quarter of a second of a tone, at half of full scale.
fn plain(cli: &Cli, name: &str) {
    wav(cli, name, 8_000, 1, &tone(440.0, 8_000, 2_000, 0.5));
}

fn json(cli: &Cli, arguments: &[&str]) -> Value {
    serde_json::from_str(&cli.run(arguments)).unwrap()
}

/// A folder with one sound for each finding of a check.
fn troubled(cli: &Cli) {
    let fine = tone(440.0, 8_000, 2_000, 0.5);
    wav(cli, "sounds/a.wav", 8_000, 1, &fine);
    wav(cli, "sounds/b copy.wav", 8_000, 1, &fine);
    // The same samples at another rate are another sound.
    wav(cli, "sounds/c rate.wav", 16_000, 1, &fine);
    let loud: Vec<i16> = tone(440.0, 8_000, 3_000, 3.0);
    wav(cli, "sounds/d clipped.wav", 8_000, 1, &loud);
    wav(cli, "sounds/e zero.wav", 8_000, 1, &[0; 1_000]);
    wav(
        cli,
        "sounds/f quiet.wav",
        8_000,
        1,
        &[1, -2, 3, -3, 2, 0, 1, -1],
    );
    // One channel at half of full scale and one silent.
    let stereo: Vec<i16> = [16_384, 0].repeat(400);
    wav(cli, "sounds/g stereo.wav", 8_000, 2, &stereo);
    fs::write(cli.path("sounds/h broken.wav"), b"no sound at all").unwrap();
    fs::write(cli.path("sounds/notes.txt"), b"neither").unwrap();
}

/// A sine that is cut off at full scale.
fn tone(hz: f32, rate_hz: u32, samples: usize, amplitude: f32) -> Vec<i16> {
    (0..samples)
        .map(|n| (amplitude * (TAU * hz * n as f32 / rate_hz as f32).sin() * 32_768.0) as i16)
        .collect()
}

fn named<'a>(checked: &'a Value, name: &str) -> &'a Value {
    let files = checked["files"].as_array().unwrap();
    files.iter().find(|file| file["path"] == name).unwrap()
}

#[test]
fn a_check_finds_silence_clipping_duplicates_and_broken_files() {
    let cli = cli();
    troubled(&cli);
    let checked = json(&cli, &["data", "check", "sounds", "--json"]);
    assert_eq!(checked["files"].as_array().unwrap().len(), 7);

    let fine = named(&checked, "a.wav");
    assert_eq!(fine["seconds"], 0.25);
    assert_eq!(fine["sample_rate_hz"], 8_000);
    assert_eq!(fine["channels"], 1);
    assert!((fine["peak_dbfs"].as_f64().unwrap() + 6.02).abs() < 0.01);
    for (key, nothing) in [
        ("silent", Value::Null),
        ("duplicate_of", Value::Null),
        ("clipped", false.into()),
        ("damaged_packets", 0.into()),
    ] {
        assert_eq!(fine[key], nothing, "{key}");
    }
    assert_eq!(named(&checked, "b copy.wav")["duplicate_of"], "a.wav");
    assert_eq!(named(&checked, "c rate.wav")["duplicate_of"], Value::Null);
    let clipped = named(&checked, "d clipped.wav");
    assert_eq!(clipped["clipped"], true);
    // arcsin(1/3) of each quarter is below full scale: 78 % of the samples are not.
    let share = clipped["clipped_samples"].as_f64().unwrap() / 3_000.0;
    assert!((share - 0.784).abs() < 0.02, "{share}");
    assert_eq!(named(&checked, "e zero.wav")["silent"], "all zero");
    assert_eq!(named(&checked, "e zero.wav")["peak_dbfs"], Value::Null);
    assert_eq!(named(&checked, "f quiet.wav")["silent"], "below -80 dBFS");
    let stereo = named(&checked, "g stereo.wav");
    assert_eq!(stereo["channels"], 2);
    assert!((stereo["peak_dbfs"].as_f64().unwrap() + 6.02).abs() < 0.01);

    let rejected = checked["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0]["path"], "h broken.wav");
    assert!(rejected[0]["reason"].as_str().unwrap().contains("not WAV"));
    let totals = &checked["totals"];
    for (key, count) in [
        ("files", 7),
        ("rejected", 1),
        ("skipped", 1),
        ("all_zero", 1),
        ("below_minus_80_dbfs", 1),
        ("clipped", 1),
        ("duplicates", 1),
        ("with_damaged_packets", 0),
    ] {
        assert_eq!(totals[key], count, "{key}");
    }
    assert_eq!(totals["files_by_sample_rate_hz"]["8000"], 6);
    assert_eq!(totals["files_by_channels"]["2"], 1);
    let seconds = 0.25 + 0.25 + 0.125 + 0.375 + 0.125 + 0.001 + 0.05;
    assert!((totals["seconds"].as_f64().unwrap() - seconds).abs() < 1e-9);

    let text = cli.run(&["data", "check", "sounds"]);
    for part in [
        "(silent: all zero)",
        "(silent: below -80 dBFS)",
        "(clipped: ",
        "(same as a.wav)",
        "rejected h broken.wav: ",
        "7 files used, 1.2 s in all; 1 rejected, 1 skipped",
    ] {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

#[test]
fn a_check_reports_truncated_files() {
    let cli = cli();
    plain(&cli, "sounds/a.wav");
    let bytes = fs::read(cli.path("sounds/a.wav")).unwrap();
    fs::write(cli.path("sounds/b.wav"), &bytes[..1_000]).unwrap();
    let checked = json(&cli, &["data", "check", "sounds", "--json"]);
    assert_eq!(named(&checked, "a.wav")["truncated"], false);
    assert_eq!(named(&checked, "b.wav")["truncated"], true);
    assert_eq!(checked["totals"]["truncated"], 1);
    let text = cli.run(&["data", "check", "sounds"]);
    assert!(text.contains("b.wav  (truncated"), "{text}");
    assert!(text.contains("truncated: 1"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_file_name_cannot_control_the_terminal() {
    let cli = cli();
    let name = "sounds/\u{1b}[2J\nrejected all.wav";
    plain(&cli, name);
    fs::write(cli.path("sounds/no\u{1b}.wav"), b"no sound").unwrap();
    let text = cli.run(&["data", "check", "sounds"]);
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.contains(r"\u{1b}[2J\nrejected all.wav"), "{text}");
    assert!(text.contains(r"rejected no\u{1b}.wav"), "{text}");
    // JSON has the name unchanged.
    let checked = json(&cli, &["data", "check", "sounds", "--json"]);
    assert_eq!(
        checked["files"][0]["path"],
        name.strip_prefix("sounds/").unwrap()
    );
}

#[test]
fn a_fault_of_a_list_is_reported_once_with_the_line_of_the_file() {
    let cli = cli();
    cli.run(&["synth", "render", "--count", "2", "--out", "patches"]);
    let manifest = fs::read_to_string(cli.path("patches/manifest.jsonl")).unwrap();
    let (first, second) = manifest.split_once('\n').unwrap();
    let second = second.replacen('{', r#"{"foo": 1, "#, 1);
    let marked = format!("\u{feff}{first}\n");
    fs::write(cli.path("patches/manifest.jsonl"), &marked).unwrap();
    assert_eq!(
        json(&cli, &["data", "check", "patches", "--json"])["totals"]["files"],
        1
    );
    fs::write(cli.path("patches/manifest.jsonl"), marked + &second).unwrap();
    let output = cli.refuses(&["data", "check", "patches"], &["line 2: ", "`foo`"]);
    let message = fixture::stderr(&output);
    assert_eq!(message.matches("unknown field").count(), 1, "{message}");
    assert!(!message.contains("column"), "{message}");
}

#[test]
fn data_commands_do_not_check_settings_of_models() {
    let cli = cli();
    plain(&cli, "sounds/a.wav");
    // Too short for a Transformer's patches, and a rate too low for the synthesizer.
    for set in ["data.clip.seconds=0.01", "data.clip.sample_rate_hz=2000"] {
        cli.run(&["data", "check", "sounds", "--set", set]);
        cli.run(&["data", "spectrogram", "sounds/a.wav", "--set", set]);
    }
    cli.refuses(
        &["data", "check", "sounds", "--set", "data.clip.seconds=1e12"],
        &["data.clip.seconds", "samples long"],
    );
}

#[test]
fn a_check_of_labelled_sounds_reads_the_listed_ones() {
    let cli = cli();
    cli.run(&["synth", "render", "--count", "3", "--out", "patches"]);
    fs::copy(
        cli.path("patches/audio/00000.wav"),
        cli.path("patches/audio/unlisted.wav"),
    )
    .unwrap();
    fs::write(cli.path("patches/audio/00001.wav"), b"gone").unwrap();
    let checked = json(&cli, &["data", "check", "patches", "--json"]);
    assert_eq!(checked["totals"]["files"], 2);
    assert_eq!(checked["totals"]["duplicates"], 0);
    assert_eq!(named(&checked, "audio/00002.wav")["seconds"], 1.0);
    assert_eq!(checked["rejected"][0]["path"], "audio/00001.wav");
}

#[test]
fn a_check_without_a_usable_sound_fails_with_every_reason() {
    let cli = cli();
    for index in 0..7 {
        fs::write(cli.path(format!("sounds/{index}.wav")), b"no sound").unwrap();
    }
    let output = cli.refuses(
        &["data", "check", "sounds", "--json"],
        &["none of the 7 sound files can be used", "0.wav"],
    );
    let checked: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(checked["rejected"].as_array().unwrap().len(), 7);
    assert_eq!(checked["totals"]["files"], 0);
    cli.refuses(&["data", "check", "nowhere"], &["nowhere"]);
}

/// Ten sounds of half a clip, two of exactly one, three of two and a half.
fn measured(cli: &Cli) {
    let counts = [(10, 1_000), (2, 2_000), (3, 5_000)];
    let lengths = counts
        .iter()
        .flat_map(|&(count, samples)| vec![samples; count]);
    for (index, samples) in lengths.enumerate() {
        let name = format!("sounds/{index:02}.wav");
        let hz = 300.0 + 50.0 * index as f32;
        wav(cli, &name, 8_000, 1, &tone(hz, 8_000, samples, 0.6));
    }
    wav(cli, "sounds/zero.wav", 8_000, 1, &[0; 2_000]);
}

fn histogram(classes: &Value) -> Vec<(Option<f64>, u64)> {
    classes
        .as_array()
        .unwrap()
        .iter()
        .map(|class| (class["from"].as_f64(), class["files"].as_u64().unwrap()))
        .collect()
}

#[test]
fn stats_count_lengths_levels_and_what_a_clip_cuts_and_pads() {
    let cli = cli();
    measured(&cli);
    let stats = json(
        &cli,
        &[
            "data",
            "stats",
            "sounds",
            "--config",
            "small.toml",
            "--json",
        ],
    );
    assert_eq!(stats["files"], 16);
    assert_eq!(
        histogram(&stats["length_s"]),
        [(Some(0.125), 10), (Some(0.25), 3), (Some(0.5), 3)]
    );
    // Peaks at -4.4 dBFS, 3 dB above the root mean square of a sine.
    assert_eq!(
        histogram(&stats["level_dbfs"]),
        [(None, 1), (Some(-12.0), 15)]
    );
    let split = &stats["split"];
    let sizes = ["train", "valid", "test"].map(|name| split[name].as_u64().unwrap());
    assert_eq!(sizes.iter().sum::<u64>(), 16);
    assert!(sizes[0] > sizes[1]);

    // A clip has 1 + 2000/50 = 41 frames, the short sounds 21, the long ones 101.
    let clip = &stats["clip"];
    assert_eq!((&clip["bins"], &clip["frames"]), (&65.into(), &41.into()));
    assert_eq!(clip["sounds_padded"], 10);
    assert_eq!(clip["frames_padded"], 200);
    assert_eq!(clip["sounds_cut"], 3);
    assert_eq!(clip["frames_cut"], 180);
    assert_eq!(clip["sounds_exact"], 3);
    assert!(stats["normalization"]["std"].as_f64().unwrap() > 0.0);

    let longer = ["--set", "data.clip.seconds=0.625", "--json"];
    let stats = json(
        &cli,
        &[
            &["data", "stats", "sounds", "--config", "small.toml"][..],
            &longer,
        ]
        .concat(),
    );
    assert_eq!(stats["clip"]["sounds_cut"], 0);
    assert_eq!(stats["clip"]["sounds_exact"], 3);

    let text = cli.run(&["data", "stats", "sounds", "--config", "small.toml"]);
    let bar = "0.125 to     0.25 s         10 ########################################\n";
    assert!(text.contains(bar), "{text}");
    assert!(text.contains("3 sounds are cut (180 frames"), "{text}");
}

#[test]
fn a_spectrogram_shows_a_tone_at_its_frequency_and_holds_the_whole_file() {
    let cli = cli();
    // Bin 16 of 128 at 8,000 Hz is 1,000 Hz; the file is at twice the rate and longer than a clip.
    let sound = tone(1_000.0, 16_000, 12_000, 0.5);
    wav(&cli, "tone.wav", 16_000, 1, &sound);
    let arguments = ["data", "spectrogram", "tone.wav", "--config", "small.toml"];
    let text = cli.run(&[&arguments[..], &["--npy", "tone.npy", "--png", "tone.png"]].concat());
    assert!(text.contains("65 bins x 121 frames"), "{text}");
    assert!(text.contains("0.750 s at 8000 Hz"), "{text}");

    let [bins, frames] = [65, 121];
    let values = array(&cli.path("tone.npy"), bins, frames);
    let frame = 60;
    let column: Vec<f32> = (0..bins).map(|bin| values[bin * frames + frame]).collect();
    let loudest = (0..bins).max_by(|&a, &b| column[a].total_cmp(&column[b]));
    assert_eq!(loudest, Some(16));
    // A Hann window of 128 sums to 64: half of that for a sine, and half for its amplitude.
    assert!((column[16] - 17_f32.ln()).abs() < 1e-3, "{}", column[16]);
    let png = fs::read(cli.path("tone.png")).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
}

/// Reads an array as NumPy does: by its header's length.
fn array(path: &Path, bins: usize, frames: usize) -> Vec<f32> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..start]).unwrap();
    let shape = format!("'descr': '<f4', 'fortran_order': False, 'shape': ({bins}, {frames})");
    assert!(header.contains(&shape), "{header}");
    let values: Vec<f32> = bytes[start..]
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()))
        .collect();
    assert_eq!(values.len(), bins * frames);
    values
}

#[test]
fn a_long_file_makes_a_picture_that_can_be_opened() {
    let cli = cli();
    wav(
        &cli,
        "long.wav",
        8_000,
        1,
        &tone(1_000.0, 8_000, 400_000, 0.5),
    );
    let arguments = ["data", "spectrogram", "long.wav", "--config", "small.toml"];
    let text = cli.run(&[&arguments[..], &["--png", "long.png"]].concat());
    assert!(text.contains("65 bins x 8001 frames"), "{text}");
    assert!(text.contains("the largest of 3 frames"), "{text}");
    let png = fs::read(cli.path("long.png")).unwrap();
    let width = u32::from_be_bytes(png[16..20].try_into().unwrap());
    assert!((2_667..4_000).contains(&width), "{width}");
}

#[test]
fn a_spectrogram_never_replaces_a_file() {
    let cli = cli();
    wav(&cli, "tone.wav", 8_000, 1, &tone(500.0, 8_000, 900, 0.5));
    fs::write(cli.path("mine.npy"), b"mine").unwrap();
    let arguments = [
        "data",
        "spectrogram",
        "tone.wav",
        "--png",
        "new.png",
        "--npy",
    ];
    cli.refuses(
        &[&arguments[..], &["mine.npy"]].concat(),
        &["mine.npy exists already"],
    );
    assert_eq!(fs::read(cli.path("mine.npy")).unwrap(), b"mine");
    cli.refuses(
        &[&arguments[..], &["new.png"]].concat(),
        &["name two files"],
    );
    assert!(!cli.path("new.png").exists());

    // The same file by another path.
    let there = [
        "data",
        "spectrogram",
        "sounds/a.wav",
        "--png",
        "x.out",
        "--npy",
        "sounds/../x.out",
    ];
    cli.refuses(&there, &["name two files"]);
    assert!(!cli.path("x.out").exists());

    cli.refuses(&["data", "spectrogram", "nowhere.wav"], &["nowhere.wav"]);
    cli.refuses(
        &["data", "spectrogram", "small.toml"],
        &["small.toml", "not WAV"],
    );
    let text = cli.run(&["data", "spectrogram", "tone.wav"]);
    assert!(text.contains("257 bins x "), "{text}");
}

#[test]
fn a_check_examines_each_channel() {
    let cli = cli();
    let loud = tone(440.0, 8_000, 1_000, 3.0);
    let one_clipped: Vec<i16> = loud.iter().flat_map(|&x| [x, 0]).collect();
    wav(&cli, "sounds/one clipped.wav", 8_000, 2, &one_clipped);
    let opposite: Vec<i16> = tone(440.0, 8_000, 1_000, 0.5)
        .into_iter()
        .flat_map(|x| [x, -x])
        .collect();
    wav(&cli, "sounds/opposite.wav", 8_000, 2, &opposite);
    let checked = json(&cli, &["data", "check", "sounds", "--json"]);
    assert_eq!(named(&checked, "one clipped.wav")["clipped"], true);
    assert_eq!(
        named(&checked, "opposite.wav")["silent"],
        "its channels cancel each other"
    );
}

#[test]
fn a_single_file_can_be_checked() {
    let cli = cli();
    troubled(&cli);
    let checked = json(&cli, &["data", "check", "sounds/a.wav", "--json"]);
    assert_eq!(checked["totals"]["files"], 1);
    assert_eq!(named(&checked, "a.wav")["seconds"], 0.25);
    cli.refuses(
        &["data", "check", "sounds/h broken.wav"],
        &["h broken.wav", "its content is not WAV"],
    );
    cli.refuses(&["data", "check", "sounds/notes.txt"], &["neither a sound"]);
}

#[test]
fn sounds_that_cannot_be_split_still_have_lengths_and_levels() {
    let cli = cli();
    wav(
        &cli,
        "sounds/only.wav",
        8_000,
        1,
        &tone(440.0, 8_000, 5_000, 0.5),
    );
    let arguments = [
        "data",
        "stats",
        "sounds",
        "--config",
        "small.toml",
        "--json",
    ];
    let output = cli.refuses(&arguments, &["different sounds"]);
    let stats: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(stats["files"], 1);
    assert_eq!(stats["clip"]["sounds_cut"], 1);
    assert!(stats["split"].is_null() && stats["normalization"].is_null());
}

#[test]
fn a_sound_is_nearer_to_itself_than_to_another_by_every_distance() {
    let cli = cli();
    wav(&cli, "a.wav", 16_000, 1, &tone(440.0, 16_000, 8_000, 0.5));
    wav(&cli, "b.wav", 16_000, 1, &tone(990.0, 16_000, 6_000, 0.1));
    let same = json(&cli, &["compare", "a.wav", "a.wav", "--json"]);
    let other = json(&cli, &["compare", "a.wav", "b.wav", "--json"]);
    let names: Vec<&String> = other["distances"].as_object().unwrap().keys().collect();
    assert_eq!(names.len(), 17);
    for name in names {
        let [same, other] = [&same, &other].map(|found| found["distances"][name].as_f64().unwrap());
        if name == "rms_cosine" {
            assert!(other < 0.99 && (same - 1.0).abs() < 1e-6, "{same} {other}");
        } else {
            assert!(same == 0.0 && other > 1e-9, "{name}: {same} {other}");
        }
    }
    assert_eq!(other["estimate"]["seconds"], 0.375);

    // The first sound is the target: relative to it, silence has a distance of 1.
    wav(&cli, "silence.wav", 16_000, 1, &[0; 8_000]);
    let silence = json(&cli, &["compare", "a.wav", "silence.wav", "--json"]);
    for name in ["spec_sc", "esr", "esr_a_weighted"] {
        let distance = silence["distances"][name].as_f64().unwrap();
        assert!((distance - 1.0).abs() < 1e-3, "{name}: {distance}");
    }

    // Distances relative to the target don't exist if the target is silent.
    let found = json(&cli, &["compare", "silence.wav", "a.wav", "--json"]);
    for (name, value) in found["distances"].as_object().unwrap() {
        let relative = name.starts_with("esr") || ["spec_sc", "dc"].contains(&name.as_str());
        let relative =
            relative || ["itakura_saito", "multi_resolution_stft"].contains(&name.as_str());
        assert_eq!(value.is_null(), relative, "{name}: {value}");
    }
    let reason = found["left_out"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("silent"), "{reason}");
    let both = json(&cli, &["compare", "silence.wav", "silence.wav", "--json"]);
    assert_eq!(both["distances"]["esr"], 0.0);

    let text = cli.run(&["compare", "a.wav", "b.wav"]);
    assert!(
        text.contains("the shorter is padded with silence"),
        "{text}"
    );
    assert_eq!(other["shorter_is_padded"], true);
    assert_eq!(same["shorter_is_padded"], false);
    cli.refuses(&["compare", "a.wav", "none.wav"], &["none.wav"]);
}

/// Compares each energy ratio with its definition, so that none has another's name.
#[test]
fn ratios_of_energies_are_those_of_the_filtered_sounds() {
    let cli = cli();
    let [a, b] = [
        tone(440.0, 16_000, 4_000, 0.5),
        tone(2_990.0, 16_000, 4_000, 0.1),
    ];
    wav(&cli, "a.wav", 16_000, 1, &a);
    wav(&cli, "b.wav", 16_000, 1, &b);
    let found = json(&cli, &["compare", "a.wav", "b.wav", "--json"]);
    let energy = |sound: &dyn Fn(usize) -> f64, taps: &[f64]| -> f64 {
        let filtered = |at: usize| -> f64 {
            let terms = taps.iter().enumerate().filter(|(lag, _)| *lag <= at);
            terms.map(|(lag, tap)| tap * sound(at - lag)).sum()
        };
        (0..a.len()).map(|at| filtered(at).powi(2)).sum()
    };
    let [a_at, b_at] = [&a, &b].map(|sound| |at: usize| f64::from(sound[at]));
    for (name, taps) in [
        ("esr", &[1.0][..]),
        ("esr_high_pass", &[1.0, -0.85]),
        ("esr_folded_differentiator", &[1.0, 0.0, -0.85]),
    ] {
        let expected = energy(&|at| a_at(at) - b_at(at), taps) / energy(&a_at, taps);
        let got = found["distances"][name].as_f64().unwrap();
        assert!(
            (got / expected - 1.0).abs() < 1e-4,
            "{name}: {got} {expected}"
        );
    }
}

#[test]
fn what_a_rate_is_too_low_for_is_left_out_with_its_reason() {
    const ON_MELS: [&str; 3] = ["mss", "wmfcc", "logmel_l1"];
    let cli = cli();
    for (rate_hz, weighted, windowed) in [
        (3_999, true, true),
        (1_500, false, true),
        (900, false, false),
    ] {
        let sound = tone(440.0, rate_hz, rate_hz as usize, 0.5);
        wav(&cli, "a.wav", rate_hz, 1, &sound);
        let found = json(&cli, &["compare", "a.wav", "a.wav", "--json"]);
        let distances = found["distances"].as_object().unwrap();
        assert_eq!(distances.len(), 17);
        let mut none: Vec<&str> = ON_MELS.to_vec();
        if !windowed {
            none.extend(["sot", "rms_cosine"]);
        }
        if !weighted {
            none.push("esr_a_weighted");
        }
        for (name, value) in distances {
            let left_out = none.contains(&name.as_str());
            assert_eq!(value.is_null(), left_out, "{rate_hz} Hz, {name}: {value}");
            let best = if name == "rms_cosine" { 1.0 } else { 0.0 };
            let is_best = value
                .as_f64()
                .is_some_and(|value| (value - best).abs() < 1e-9);
            assert!(left_out || is_best, "{rate_hz} Hz, {name}: {value}");
        }
        let mut reported: Vec<&str> = Vec::new();
        for left_out in found["left_out"].as_array().unwrap() {
            let names = left_out["distances"].as_array().unwrap();
            reported.extend(names.iter().map(|name| name.as_str().unwrap()));
            let reason = left_out["reason"].as_str().unwrap();
            assert!(reason.contains(&format!("{rate_hz} Hz")), "{reason}");
        }
        none.sort_unstable();
        reported.sort_unstable();
        assert_eq!(reported, none, "{rate_hz} Hz");

        let text = cli.run(&["compare", "a.wav", "a.wav"]);
        let line = "left out: mss, wmfcc, logmel_l1: \
                    they need a sample rate from 4000 to 655360 Hz";
        assert!(text.contains(line), "{text}");
        assert_eq!(text.contains("left out: esr_a_weighted"), !weighted);
    }
    wav(&cli, "a.wav", 4_000, 1, &tone(440.0, 4_000, 4_000, 0.5));
    let found = json(&cli, &["compare", "a.wav", "a.wav", "--json"]);
    assert_eq!(found["left_out"], Value::Array(Vec::new()));
    assert_eq!(found["distances"]["mss"], 0.0);
}

#[test]
fn an_estimate_at_another_rate_is_resampled_to_the_targets() {
    let cli = cli();
    wav(&cli, "a.wav", 16_000, 1, &tone(440.0, 16_000, 16_000, 0.5));
    wav(&cli, "b.wav", 44_100, 1, &tone(440.0, 44_100, 44_100, 0.5));
    let found = json(&cli, &["compare", "a.wav", "b.wav", "--json"]);
    assert_eq!(found["sample_rate_hz"], 16_000);
    assert!(found["distances"]["esr"].as_f64().unwrap() < 1e-3);
    assert!(found["distances"]["mss"].as_f64().unwrap() < 1.0);
}
