//! Decoding files and searching folders, through the public API. Fixtures are made by reference/sound_files.py.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stft_data::{
    DataError, DecodeLimits, FINGERPRINT_VERSION, FolderSource, MAX_SAMPLE, Source, Unusable,
    decode_file, resample,
};
use tempfile::TempDir;

#[derive(Deserialize)]
struct Golden {
    file: String,
    rate: u32,
    channels: usize,
    frames: usize,
    lossy: bool,
    stride: usize,
    samples: Vec<f64>,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("golden/sound_files.json")).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn decode(path: &Path) -> Result<stft_data::Audio, DataError> {
    decode_file(path, &DecodeLimits::default())
}

fn reason(path: &Path, limits: &DecodeLimits) -> Unusable {
    match decode_file(path, limits) {
        Err(DataError::Unusable {
            path: named,
            reason,
        }) => {
            assert_eq!(named, path);
            reason
        }
        other => panic!("expected an unusable file, got {other:?}"),
    }
}

/// A file in a folder of its own.
fn file_with(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn float_wav(path: &Path, samples: &[f32]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    samples
        .iter()
        .for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
}

#[test]
fn every_format_decodes_as_by_libsndfile() {
    let folder = FolderSource::open(&fixture(""), &DecodeLimits::default()).unwrap();
    assert_eq!((folder.len(), folder.rejected().len()), (golden().len(), 0));
    let mut checked = 0;
    for Golden {
        file,
        rate,
        channels,
        frames,
        lossy,
        stride,
        samples,
    } in golden()
    {
        let facts = folder
            .files()
            .iter()
            .find(|facts| facts.path == Path::new(&file))
            .unwrap();
        assert_eq!(
            (facts.channels, facts.damaged_packets),
            (channels, 0),
            "{file}"
        );
        let audio = decode(&fixture(&file)).unwrap();
        assert_eq!(audio.sample_rate_hz, rate, "{file}");
        assert_eq!(audio.samples.len(), frames, "{file}");
        let tolerance = if lossy { 1e-4 } else { 2e-7 };
        for (at, expected) in samples.into_iter().enumerate() {
            let got = f64::from(audio.samples[at * stride]);
            assert!(
                (got - expected).abs() <= tolerance,
                "{file}: sample {} is {got}, not {expected}",
                at * stride
            );
            checked += 1;
        }
    }
    assert!(checked > 1000, "{checked}");
}

#[test]
fn the_format_is_detected_from_the_content_under_any_name() {
    for Golden { file, frames, .. } in golden() {
        let bytes = fs::read(fixture(&file)).unwrap();
        for name in [
            "sound",
            "sound.wav",
            "sound.mp3",
            "sound.flac",
            "sound.aiff",
            "sound.xyz",
        ] {
            let (_folder, path) = file_with(name, &bytes);
            assert_eq!(
                decode(&path).unwrap().samples.len(),
                frames,
                "{file} as {name}"
            );
        }
    }
}

#[test]
fn a_truncated_file_gives_what_is_present() {
    for Golden {
        file,
        frames,
        lossy,
        ..
    } in golden()
    {
        let bytes = fs::read(fixture(&file)).unwrap();
        let whole = decode(&fixture(&file)).unwrap();
        let (_folder, path) = file_with("cut", &bytes[..bytes.len() * 2 / 3]);
        match decode(&path) {
            Ok(audio) => {
                assert!(audio.samples.len() < frames, "{file}");
                // A lossy frame at the cut may still ring, so only the first third is compared.
                let sure = if lossy {
                    frames / 3
                } else {
                    audio.samples.len()
                };
                for (at, (got, expected)) in audio
                    .samples
                    .iter()
                    .zip(&whole.samples)
                    .take(sure)
                    .enumerate()
                {
                    assert!(
                        (got - expected).abs() < 1e-6,
                        "{file}: sample {at} is {got}, not {expected}"
                    );
                }
            }
            // A FLAC file or an OGG page that is a single block has nothing before the cut.
            Err(error) => assert!(
                file.ends_with("flac") || file.ends_with("ogg"),
                "{file}: {error}"
            ),
        }
    }
}

#[test]
fn a_header_that_claims_gigabytes_gives_what_is_present() {
    let mut bytes = fs::read(fixture("stereo_16bit.wav")).unwrap();
    let data = bytes.windows(4).position(|four| four == b"data").unwrap();
    bytes[4..8].copy_from_slice(&(u32::MAX - 8).to_le_bytes());
    bytes[data + 4..data + 8].copy_from_slice(&(u32::MAX - 100).to_le_bytes());
    let (_folder, path) = file_with("claims.wav", &bytes);
    assert_eq!(
        decode(&path).unwrap(),
        decode(&fixture("stereo_16bit.wav")).unwrap()
    );
}

#[test]
fn a_file_that_ends_before_its_sound_is_truncated_and_a_whole_one_is_not() {
    let facts = |path: &Path| {
        let folder = path.parent().unwrap();
        let source = FolderSource::open(folder, &DecodeLimits::default()).ok()?;
        let name = path.file_name().unwrap();
        source
            .files()
            .iter()
            .find(|file| file.path == Path::new(name))
            .cloned()
    };
    let (mut whole, mut cut) = (0, 0);
    for entry in fs::read_dir(fixture("")).unwrap() {
        let path = entry.unwrap().path();
        assert!(!facts(&path).unwrap().truncated, "{}", path.display());
        whole += 1;
        let bytes = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (_folder, path) = file_with(name, &bytes[..bytes.len() * 6 / 10]);
        // A file of a single packet has nothing before the cut.
        if let Some(file) = facts(&path) {
            // The first stream of the chain is complete, and no page of the second one is.
            assert_eq!(file.truncated, name != "chained.ogg", "{name}");
            cut += 1;
        }
    }
    // Two FLAC files and an OGG file consist of a single block.
    assert_eq!((whole, cut), (18, 15));
}

#[test]
fn a_header_without_a_known_length_is_no_truncation() {
    let mut bytes = fs::read(fixture("stereo_16bit.wav")).unwrap();
    let data = bytes.windows(4).position(|four| four == b"data").unwrap();
    for (claim, truncated) in [(u32::MAX, false), (0x7fff_f000, false), (1 << 30, true)] {
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes[data + 4..data + 8].copy_from_slice(&claim.to_le_bytes());
        let (folder, _path) = file_with("streamed.wav", &bytes);
        let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
        assert_eq!(source.files()[0].truncated, truncated, "{claim}");
    }
    // Float files have their number of frames in another chunk.
    let mut bytes = fs::read(fixture("stereo_float.wav")).unwrap();
    let at = |name: &[u8; 4]| bytes.windows(4).position(|four| four == name).unwrap();
    let (fact, data) = (at(b"fact"), at(b"data"));
    for place in [4, fact + 8, data + 4] {
        bytes[place..place + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    }
    let (folder, _path) = file_with("streamed.wav", &bytes);
    let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
    assert!(!source.files()[0].truncated);
}

#[cfg(unix)]
#[test]
fn the_reason_of_a_broken_link_does_not_repeat_its_name() {
    let (folder, _path) = file_with("a.wav", &fs::read(fixture("mono_8bit.wav")).unwrap());
    let name = "link\u{1b}[2J\n.wav";
    std::os::unix::fs::symlink("nowhere", folder.path().join(name)).unwrap();
    let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
    let [rejected] = source.rejected() else {
        panic!("expected the link alone, got {:?}", source.rejected());
    };
    assert_eq!(rejected.path, Path::new(name));
    let reason = rejected.reason.to_string();
    assert!(reason.starts_with("can't read it: "), "{reason:?}");
    assert!(!reason.contains("link"), "{reason:?}");
}

#[test]
fn a_sound_that_is_cut_before_its_first_sample_is_distinguished_from_no_sound() {
    let limits = DecodeLimits::default();
    for (name, share) in [
        // Within the headers, and within the only page of sound.
        ("stereo.ogg", 0.1),
        ("stereo.ogg", 0.9),
        // Within the first block.
        ("stereo_16bit.flac", 0.5),
        ("mono.mp3", 0.3),
        ("mono_8bit.wav", 0.02),
    ] {
        let bytes = fs::read(fixture(name)).unwrap();
        let (_folder, path) = file_with(name, &bytes[..(bytes.len() as f64 * share) as usize]);
        let reason = reason(&path, &limits);
        let text = reason.to_string();
        assert!(
            text.starts_with("it ends before its first sound"),
            "{name} {share}: {text}"
        );
    }
    // A sound after other bytes is found, but the reason doesn't call it cut.
    let ogg = fs::read(fixture("stereo.ogg")).unwrap();
    let late = [&b"a letter with a sound"[..], &ogg[..1_000]].concat();
    for bytes in [
        &late[..],
        b"",
        b"RIFF",
        b"OggOgg",
        b"a letter, of which nothing is missing",
    ] {
        let (_folder, path) = file_with("letter.wav", bytes);
        let reason = reason(&path, &limits);
        let text = reason.to_string();
        assert!(
            text.starts_with("its content is not WAV, FLAC"),
            "{bytes:?}: {text}"
        );
    }
    // The header announces no samples, and there are none.
    let (_folder, path) = file_with("empty.wav", &[]);
    float_wav(&path, &[]);
    let reason = reason(&path, &limits);
    assert!(
        reason.to_string().ends_with("(0 damaged packets)"),
        "{reason}"
    );
}

/// Starts of the frames of an MP3 file (MPEG-1). The first frame holds a table of contents, and no sound.
fn mp3_frames(bytes: &[u8]) -> Vec<usize> {
    const KBPS: [usize; 15] = [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ];
    const RATES_HZ: [usize; 3] = [44_100, 48_000, 32_000];
    let (mut at, mut frames) = (0, Vec::new());
    while at + 4 <= bytes.len() {
        assert_eq!(bytes[at..at + 2], [0xff, 0xfb]);
        let header = usize::from(bytes[at + 2]);
        frames.push(at);
        at += 144_000 * KBPS[header >> 4] / RATES_HZ[header >> 2 & 3] + (header >> 1 & 1);
    }
    frames
}

/// Number of samples in the frames of an MP3 file before a byte. Encoder and decoder delay the sound by
/// 1105 samples, which are cut off.
fn samples_before_in_mp3(bytes: &[u8], at: usize) -> usize {
    let frames = mp3_frames(bytes);
    let with_sound = frames.iter().filter(|&&start| start <= at).count() - 2;
    with_sound * 1152 - 1105
}

#[test]
fn damage_in_the_middle_costs_only_the_damaged_packets() {
    // A damaged MP3 frame also costs the later frames that use bits from it. An OGG page with a wrong
    // checksum costs all packets in it, so a stream with a single page of sound is lost.
    for (name, all_usable, least_share) in [
        ("stereo.mp3", true, 0.75),
        ("mono.mp3", true, 0.75),
        ("two_pages.ogg", true, 0.45),
        // Two frames, of which one is left.
        ("stereo_16bit.flac", false, 0.38),
    ] {
        let original = match name {
            // A stream that is there twice has two pages of sound.
            "two_pages.ogg" => fs::read(fixture("stereo.ogg")).unwrap().repeat(2),
            _ => fs::read(fixture(name)).unwrap(),
        };
        let (_folder, path) = file_with("whole", &original);
        let whole = decode(&path).unwrap().samples;
        let (mut usable, mut changed, mut enough) = (0, 0, 0);
        for seed in 0..40_usize {
            let mut bytes = original.clone();
            let start = match name {
                // Inside the second page of sound.
                "two_pages.ogg" => bytes.len() - 1_000 + seed * 13,
                _ => bytes.len() * 3 / 5 + seed * 13,
            };
            for (offset, byte) in bytes[start..start + 24].iter_mut().enumerate() {
                *byte ^= (seed * 37 + offset * 101 + 1) as u8;
            }
            let (_folder, path) = file_with("damaged", &bytes);
            let audio = match decode(&path) {
                Ok(audio) => audio,
                Err(error) => {
                    assert!(!all_usable, "{name}: {error}");
                    assert!(matches!(error, DataError::Unusable { .. }), "{name}");
                    continue;
                }
            };
            usable += 1;
            let samples = audio.samples;
            assert!(samples.len() <= whole.len() + 2304 && samples.iter().all(|x| x.is_finite()));
            let share = samples.len() as f64 / whole.len() as f64;
            enough += usize::from(share >= least_share);
            let before = match name {
                "two_pages.ogg" => whole.len() / 2 - 1024,
                _ if all_usable => samples_before_in_mp3(&original, start),
                _ => {
                    let kept = samples.len();
                    let (head, tail) = (&whole[..kept], &whole[whole.len() - kept..]);
                    assert!(samples == head || samples == tail, "{name}, seed {seed}");
                    0
                }
            };
            changed += usize::from(samples != whole);
            assert!(!all_usable || before > 1000, "{name}: {before}");
            assert!(samples[..before] == whole[..before], "{name}, seed {seed}");
        }
        assert!(usable >= 30 && changed >= 20, "{name}: {usable}, {changed}");
        // Sometimes damaged bytes look like a header, and what follows is decoded as its frame.
        assert!(10 * enough >= 9 * usable, "{name}: {enough} of {usable}");
    }
}

#[test]
fn no_bytes_make_the_decoder_panic() {
    let mut state = 1_u32;
    for Golden { file, .. } in golden() {
        let original = fs::read(fixture(&file)).unwrap();
        for _ in 0..60 {
            let mut bytes = original.clone();
            for _ in 0..8 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                // The headers.
                let at = (state >> 8) as usize % bytes.len().min(200);
                bytes[at] = state as u8 ^ (state >> 24) as u8;
            }
            let (_folder, path) = file_with("hostile", &bytes);
            let limits = DecodeLimits {
                max_seconds: 5.0,
                ..DecodeLimits::default()
            };
            if let Ok(audio) = decode_file(&path, &limits) {
                assert!(!audio.samples.is_empty() && audio.sample_rate_hz > 0);
                assert!(audio.samples.len() as f32 <= 5.0 * audio.sample_rate_hz as f32);
            }
        }
    }
}

#[test]
fn limits_are_exact_to_the_last_sample_and_channel_in_every_format() {
    let mut checked = 0;
    for Golden { file, channels, .. } in golden() {
        let path = fixture(&file);
        let length = decode(&path).unwrap().samples.len();
        let limits = |max_samples, max_channels| DecodeLimits {
            max_samples,
            max_channels,
            ..DecodeLimits::default()
        };
        let channels = channels as u16;
        assert!(
            decode_file(&path, &limits(length, channels)).is_ok(),
            "{file}"
        );
        for fewer in [length - 1, length / 2, 1] {
            let reason = reason(&path, &limits(fewer, channels));
            assert!(
                matches!(reason, Unusable::TooManySamples { .. }),
                "{file}: {reason}"
            );
        }
        if channels > 1 {
            let reason = reason(&path, &limits(length, channels - 1));
            assert!(
                matches!(reason, Unusable::TooManyChannels { .. }),
                "{file}: {reason}"
            );
        }
        checked += 1;
    }
    assert!(checked >= 15, "{checked}");
}

#[test]
fn files_beyond_a_limit_are_refused() {
    let path = fixture("stereo_16bit.flac");
    let just = DecodeLimits {
        max_seconds: 6615.0 / 44_100.0,
        max_samples: 6615,
        max_channels: 2,
    };
    assert!(decode_file(&path, &just).is_ok());
    let short = DecodeLimits {
        max_seconds: 0.149,
        ..just
    };
    assert!(matches!(
        reason(&path, &short),
        Unusable::TooLong { max_seconds: 0.149 }
    ));
    let few = DecodeLimits {
        max_samples: 6614,
        max_seconds: 1.0,
        ..just
    };
    assert!(matches!(
        reason(&path, &few),
        Unusable::TooManySamples { max_samples: 6614 }
    ));
    let mono = DecodeLimits {
        max_channels: 1,
        ..just
    };
    assert!(matches!(
        reason(&path, &mono),
        Unusable::TooManyChannels {
            got: 2,
            max_channels: 1
        }
    ));
}

#[test]
fn no_rate_makes_a_small_file_large() {
    // From 1 Hz, a resampler to 16,384 Hz would take 800 MB, and each sample would become 16,384.
    let mut bytes = fs::read(fixture("stereo_16bit.wav")).unwrap();
    let format = bytes.windows(4).position(|four| four == b"fmt ").unwrap();
    for rate_hz in [1_u32, 99, 768_001] {
        bytes[format + 12..format + 16].copy_from_slice(&rate_hz.to_le_bytes());
        let (_folder, path) = file_with("rate.wav", &bytes);
        assert!(matches!(
            reason(&path, &DecodeLimits::default()),
            Unusable::SampleRate { got, .. } if got == rate_hz
        ));
    }
    // 2205 frames are 46 ms at 48 kHz; the limit in seconds is the same at any rate.
    let refusal = |rate_hz: u32, max_seconds: f32, max_samples: usize| {
        let mut bytes = bytes.clone();
        bytes[format + 12..format + 16].copy_from_slice(&rate_hz.to_le_bytes());
        let (_folder, path) = file_with("rate.wav", &bytes);
        let limits = DecodeLimits {
            max_seconds,
            max_samples,
            max_channels: 2,
        };
        match decode_file(&path, &limits) {
            Ok(_) => "none",
            Err(DataError::Unusable { reason, .. }) => match reason {
                Unusable::TooLong { .. } => "too long",
                Unusable::TooManySamples { .. } => "too many",
                other => panic!("{other}"),
            },
            Err(other) => panic!("{other}"),
        }
    };
    let just_s = 2_205.0 / 48_000.0 + 1e-4;
    assert_eq!(refusal(44_100, just_s, 2_205), "too long");
    assert_eq!(refusal(48_000, just_s, 2_205), "none");
    assert_eq!(refusal(192_000, just_s, 2_205), "none");
    assert_eq!(refusal(48_000, just_s, 2_204), "too many");
    assert_eq!(refusal(192_000, just_s, 2_204), "too many");
}

/// Corrects the checksum of an OGG page.
fn fit_checksum(page: &mut [u8]) {
    page[22..26].fill(0);
    let checksum = page.iter().fold(0_u32, |crc, &byte| {
        (0..8).fold(crc ^ (u32::from(byte) << 24), |crc, _| {
            (crc << 1) ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 }
        })
    });
    page[22..26].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn a_chained_stream_at_another_rate_is_distinguished_from_damage() {
    let first = fs::read(fixture("stereo.ogg")).unwrap();
    let mut second = first.clone();
    // The identification header in the first page holds the rate.
    let rate = second.windows(7).position(|w| w == b"\x01vorbis").unwrap() + 12;
    assert_eq!(second[rate..rate + 4], 44_100_u32.to_le_bytes());
    second[rate..rate + 4].copy_from_slice(&48_000_u32.to_le_bytes());
    fit_checksum(&mut second[..58]);
    let (folder, path) = file_with("two rates.ogg", &[&first[..], &second].concat());
    let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
    let file = &source.files()[0];
    assert_eq!((file.sample_rate_hz, file.damaged_packets), (44_100, 0));
    assert!(
        file.packets_at_another_rate > 5,
        "{}",
        file.packets_at_another_rate
    );
    assert_eq!(
        decode(&path).unwrap(),
        decode(&fixture("stereo.ogg")).unwrap()
    );
    // On its own it is a normal sound.
    let (folder, _) = file_with("48 kHz.ogg", &second);
    let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
    let file = &source.files()[0];
    assert_eq!(
        (file.sample_rate_hz, file.packets_at_another_rate),
        (48_000, 0)
    );
}

#[test]
fn peaks_and_clipping_are_found_in_every_channel() {
    let folder = tempfile::tempdir().unwrap();
    let spec = hound::WavSpec {
        channels: 3,
        sample_rate: 8_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    for loud in 0..3 {
        let path = folder.path().join(format!("{loud}.wav"));
        let mut writer = hound::WavWriter::create(path, spec).unwrap();
        for n in 0..100 {
            for channel in 0..3 {
                let top = channel == loud && (40..45).contains(&n);
                writer
                    .write_sample(if top { 1.5 } else { 0.25_f32 })
                    .unwrap();
            }
        }
        writer.finalize().unwrap();
    }
    let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
    assert_eq!(source.len(), 3);
    for file in source.files() {
        assert_eq!(
            (file.peak, file.clipped_samples, file.channels),
            (1.5, 5, 3)
        );
    }
}

#[test]
fn vorbis_headers_that_unpack_to_gigabytes_are_refused() {
    let mut bytes = fs::read(fixture("stereo.ogg")).unwrap();
    let setup = bytes
        .windows(7)
        .position(|seven| seven == b"\x05vorbis")
        .unwrap();
    // The first codebook begins at a whole byte: three bytes of synchronisation word, two of dimensions.
    assert_eq!(&bytes[setup + 8..setup + 11], b"BCV");
    bytes[setup + 13..setup + 16].copy_from_slice(&131_072_u32.to_le_bytes()[..3]);
    let page = bytes[..setup]
        .windows(4)
        .rposition(|four| four == b"OggS")
        .unwrap();
    let next = setup
        + bytes[setup..]
            .windows(4)
            .position(|four| four == b"OggS")
            .unwrap();
    fit_checksum(&mut bytes[page..next]);
    let (_folder, path) = file_with("codebooks.ogg", &bytes);
    let refused = reason(&path, &DecodeLimits::default());
    assert!(
        matches!(&refused, Unusable::UnknownCodec(text) if text.contains("codebooks")),
        "{refused}"
    );
}

#[test]
fn a_file_that_can_not_be_used_has_a_reason() {
    let limits = DecodeLimits::default();
    let reason = |path: &Path| reason(path, &limits);
    assert!(matches!(
        reason(Path::new("no such file.wav")),
        Unusable::Io(_)
    ));
    for text in [&b""[..], b"x", b"This is a text about sound.\n"] {
        let (_folder, path) = file_with("text.wav", text);
        assert!(
            matches!(reason(&path), Unusable::NotAudio(_)),
            "{:?}",
            reason(&path)
        );
    }
    let (_folder, path) = file_with("empty.wav", b"");
    float_wav(&path, &[]);
    assert!(matches!(
        reason(&path),
        Unusable::NoFrames {
            damaged_packets: 0,
            truncated: false,
        }
    ));
    for bad in [f32::NAN, f32::INFINITY] {
        float_wav(&path, &[0.1, 0.2, bad, 0.3]);
        assert!(matches!(
            reason(&path),
            Unusable::NotFinite { at_sample: 2 }
        ));
    }
    float_wav(&path, &[3.5, -2.5]);
    assert_eq!(decode(&path).unwrap().samples, [3.5, -2.5]);
}

#[test]
fn samples_on_the_scale_of_32_bit_integers_are_accepted_and_larger_ones_refused() {
    let (_folder, path) = file_with("loud.wav", b"");
    let full_scale = -2_147_483_648.0;
    float_wav(&path, &[0.25, full_scale]);
    assert_eq!(decode(&path).unwrap().samples, [0.25, full_scale]);
    for absurd in [1.1 * MAX_SAMPLE, -1e20, f32::MAX] {
        float_wav(&path, &[0.1, 0.2, 0.3, absurd, 0.4]);
        match reason(&path, &DecodeLimits::default()) {
            Unusable::TooLarge {
                at_sample, value, ..
            } => assert_eq!((at_sample, value), (3, absurd)),
            other => panic!("{absurd:e}: {other}"),
        }
    }
    // The mean of these channels is 0.
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 8_000,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    [0.5, 0.5, 1e30, -1e30_f32]
        .iter()
        .for_each(|&sample| writer.write_sample(sample).unwrap());
    writer.finalize().unwrap();
    let refused = reason(&path, &DecodeLimits::default());
    assert!(
        matches!(refused, Unusable::TooLarge { at_sample: 1, .. }),
        "{refused}"
    );
}

#[test]
fn a_folder_is_searched_recursively_and_every_file_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("drums/.trash")).unwrap();
    fs::create_dir_all(root.join("keys/deep/er")).unwrap();
    let put = |from: &str, to: &str| {
        fs::copy(fixture(from), root.join(to)).unwrap();
    };
    put("stereo_16bit.wav", "drums/b.wav");
    put("stereo_16bit.flac", "drums/a.FLAC");
    put("mono.mp3", "keys/deep/er/c.mp3");
    put("stereo.ogg", "keys/no extension");
    put("stereo_16bit.aiff", "z.aif");
    put("mono_24bit.wav", "drums/.hidden.wav");
    put("mono_24bit.wav", "drums/.trash/gone.wav");
    fs::write(root.join("README.txt"), "Sounds.").unwrap();
    fs::write(root.join("keys/cover.jpg"), [0xff, 0xd8, 0xff, 0xe0]).unwrap();
    fs::write(root.join("notes"), "\u{feff}").unwrap();
    fs::write(root.join("utf16"), [0xff, 0xfe, b'a', 0]).unwrap();
    fs::write(root.join("drums/broken.wav"), "RIFF and then nothing").unwrap();
    float_wav(&root.join("silence.wav"), &[0.0; 400]);

    let source = FolderSource::open(root, &DecodeLimits::default()).unwrap();
    let names: Vec<String> = (0..source.len()).map(|index| source.name(index)).collect();
    let expected = [
        "drums/a.FLAC",
        "drums/b.wav",
        "keys/deep/er/c.mp3",
        "keys/no extension",
        "silence.wav",
        "z.aif",
    ];
    assert_eq!(
        names,
        expected.map(|name| Path::new(name).display().to_string())
    );
    assert_eq!(source.skipped(), 4);
    let [rejected] = source.rejected() else {
        panic!("{:?}", source.rejected())
    };
    assert_eq!(rejected.path, Path::new("drums/broken.wav"));

    let [a, .., silence, _] = source.files() else {
        panic!()
    };
    assert_eq!(
        (a.sample_rate_hz, a.channels, a.damaged_packets, a.silent),
        (44_100, 2, 0, false)
    );
    assert!((a.seconds - 0.15).abs() < 1e-6);
    assert!(silence.silent);
    for index in 0..source.len() {
        let audio = source.load(index).unwrap();
        assert_eq!(audio.sample_rate_hz, source.files()[index].sample_rate_hz);
        assert_eq!(audio.seconds(), source.files()[index].seconds);
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_end() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(fixture("mono.mp3"), elsewhere.path().join("a.mp3")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("linked")).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("dangling.wav")).unwrap();
    let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
    assert_eq!(
        (source.len(), source.name(0)),
        (1, "linked/a.mp3".to_owned())
    );
    let [rejected] = source.rejected() else {
        panic!("{:?}", source.rejected())
    };
    assert_eq!(rejected.path, Path::new("dangling.wav"));
    assert!(matches!(rejected.reason, Unusable::Io(_)));
}

#[cfg(unix)]
#[test]
fn each_folder_is_searched_once_however_many_links_lead_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("z00")).unwrap();
    fs::copy(fixture("mono.mp3"), root.join("z00/a.mp3")).unwrap();
    // Two links in each folder to the one before: 2^13 paths to the sound.
    for level in 1..14 {
        let own = root.join(format!("z{level:02}"));
        fs::create_dir(&own).unwrap();
        for name in ["one", "two"] {
            let before = format!("../z{:02}", level - 1);
            std::os::unix::fs::symlink(before, own.join(name)).unwrap();
        }
    }
    // A link is searched last, even if its name comes first.
    std::os::unix::fs::symlink("z00", root.join("a link")).unwrap();
    let source = FolderSource::open(root, &DecodeLimits::default()).unwrap();
    let names: Vec<String> = (0..source.len()).map(|index| source.name(index)).collect();
    assert_eq!(names, ["z00/a.mp3"]);
    assert_eq!((source.rejected().len(), source.skipped()), (0, 0));
    // The folder itself may be a link, and a link to a file counts as a file.
    std::os::unix::fs::symlink("z00/a.mp3", root.join("b.mp3")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(root, &link).unwrap();
    let source = FolderSource::open(&link, &DecodeLimits::default()).unwrap();
    assert_eq!(source.len(), 2);
}

#[cfg(unix)]
#[test]
fn pipes_sockets_and_devices_are_counted_and_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::copy(fixture("mono.mp3"), root.join("a.mp3")).unwrap();
    // Opening a pipe without a writer would block this test.
    for name in ["pipe.wav", "pipe"] {
        let made = std::process::Command::new("mkfifo")
            .arg(root.join(name))
            .status()
            .unwrap();
        assert!(made.success());
    }
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.flac")).unwrap();
    for name in ["zero.wav", "zero"] {
        std::os::unix::fs::symlink("/dev/zero", root.join(name)).unwrap();
    }
    let source = FolderSource::open(root, &DecodeLimits::default()).unwrap();
    assert_eq!((source.len(), source.skipped()), (1, 2));
    let names: Vec<_> = source
        .rejected()
        .iter()
        .map(|rejected| {
            assert_eq!(rejected.reason.to_string(), "it is not a regular file");
            rejected.path.to_str().unwrap()
        })
        .collect();
    assert_eq!(names, ["pipe.wav", "socket.flac", "zero.wav"]);
    for name in ["pipe.wav", "pipe", "socket.flac", "zero", ""] {
        let reason = reason(&root.join(name), &DecodeLimits::default());
        assert!(matches!(reason, Unusable::NotRegular), "{name}: {reason}");
    }
}

#[test]
fn a_copy_has_the_same_fingerprint_with_another_name_tag_or_lossless_format() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let original = fs::read(fixture("stereo_16bit.wav")).unwrap();
    fs::write(root.join("a.wav"), &original).unwrap();
    // A LIST chunk with a title at the end is a tag.
    let mut tagged = original.clone();
    tagged.extend_from_slice(b"LIST\x10\0\0\0INFOINAM\x04\0\0\0Bass");
    let riff_size = tagged.len() as u32 - 8;
    tagged[4..8].copy_from_slice(&riff_size.to_le_bytes());
    fs::write(root.join("b.wav"), tagged).unwrap();
    // The same samples in 24 bits.
    let mut reader = hound::WavReader::new(&original[..]).unwrap();
    let spec = hound::WavSpec {
        bits_per_sample: 24,
        ..reader.spec()
    };
    let mut writer = hound::WavWriter::create(root.join("c.wav"), spec).unwrap();
    reader
        .samples::<i32>()
        .for_each(|sample| writer.write_sample(sample.unwrap() << 8).unwrap());
    writer.finalize().unwrap();
    fs::copy(fixture("stereo_float.wav"), root.join("d.wav")).unwrap();
    let source = FolderSource::open(root, &DecodeLimits::default()).unwrap();
    let prints: Vec<_> = source.files().iter().map(|file| file.fingerprint).collect();
    assert_eq!(prints.len(), 4);
    assert_eq!(prints[0], prints[1]);
    assert_eq!(prints[0], prints[2]);
    assert_ne!(prints[0], prints[3]);
    assert_eq!(
        prints[0].to_string(),
        "57c79bb662e042d62d28453d1d5fac64234bba64d1c56ce897f69ee47e716af5"
    );
}

#[test]
fn a_folder_without_usable_sounds_is_an_error_with_its_cause() {
    let open = |path: &Path| FolderSource::open(path, &DecodeLimits::default()).unwrap_err();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    assert!(matches!(
        open(&root.join("missing")),
        DataError::FolderMissing { .. }
    ));
    fs::write(root.join("README.md"), "nothing here").unwrap();
    assert!(matches!(
        open(&root.join("README.md")),
        DataError::NotAFolder { .. }
    ));
    assert!(matches!(
        open(root),
        DataError::NoAudioFiles { skipped: 1, .. }
    ));
    for number in 0..7 {
        fs::write(root.join(format!("{number}.wav")), "no sound").unwrap();
    }
    let message = open(root).to_string();
    assert!(
        message.contains("none of the 7 sound files") && message.contains("0.wav: "),
        "{message}"
    );
    assert!(
        message.contains("4.wav: ") && message.ends_with("and 2 more"),
        "{message}"
    );
}

/// Samples 0, `stride`, 2 `stride`, ... of each fixture, decoded and resampled to 16,384 Hz.
#[derive(Deserialize)]
struct Pinned {
    version: u32,
    stride: usize,
    sounds: Vec<(String, Vec<f32>)>,
}

#[test]
fn decoded_sounds_change_only_with_the_version_of_their_fingerprints() {
    // If this fails because samples are meant to change, raise FINGERPRINT_VERSION and put what is printed into
    // the file.
    let pinned: Pinned = serde_json::from_str(include_str!("golden/decoded_sounds.json")).unwrap();
    let source = FolderSource::open(&fixture(""), &DecodeLimits::default()).unwrap();
    let (mut got, mut checked, mut differing) = (Vec::new(), 0, Vec::new());
    for (index, file) in source.files().iter().enumerate() {
        let name = file.path.display().to_string();
        let probes: Vec<f32> = resample(&source.load(index).unwrap(), 16_384)
            .unwrap()
            .samples
            .into_iter()
            .step_by(pinned.stride)
            .collect();
        // The last bits of a transform differ between processors; lossy decoders use one more, and
        // amplify the difference.
        let lossy = name.ends_with(".ogg") || name.ends_with(".mp3");
        let tolerance = if lossy { 2e-4 } else { 1e-5 };
        let expected = pinned.sounds.iter().find(|sound| sound.0 == name);
        let same = expected.is_some_and(|(_, expected)| {
            expected.len() == probes.len()
                && expected
                    .iter()
                    .zip(&probes)
                    .all(|(a, b)| (a - b).abs() <= tolerance)
        });
        checked += probes.len();
        if !same {
            differing.push(name.clone());
        }
        got.push((name, probes));
    }
    assert!(
        differing.is_empty() && pinned.version == FINGERPRINT_VERSION,
        "{differing:?}\n{}",
        serde_json::json!({"version": FINGERPRINT_VERSION, "stride": pinned.stride, "sounds": got})
    );
    assert!(checked > 150, "{checked}");
    assert_eq!(got.len(), pinned.sounds.len());
}
