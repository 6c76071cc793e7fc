//! Decoding a sound file, and resampling.

mod shared;

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use shared::{RATE_HZ, write_wav};
use stft_data::{Audio, DecodeLimits, decode_file, resample};

/// Four seconds, as in the NSynth data set.
const SAMPLES: usize = 4 * RATE_HZ as usize;

/// A decaying tone with three partials.
fn tone() -> Vec<f32> {
    let sample = |n: usize| {
        let t = n as f32 / RATE_HZ as f32;
        let partial = |hz: f32| (std::f32::consts::TAU * hz * t).sin();
        0.3 * [220.0, 441.0, 1_330.0].map(partial).iter().sum::<f32>() * (-2.0 * t).exp()
    };
    (0..SAMPLES).map(sample).collect()
}

fn decode(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let wav = folder.path().join("tone.wav");
    write_wav(&wav, tone().into_iter());
    // There is no encoder here, so the compressed files are those of the tests: a fraction of a second.
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/stft-data/tests/fixtures");
    let limits = DecodeLimits::default();
    let mut group = criterion.benchmark_group("decode");
    for path in [
        wav,
        fixtures.join("stereo_16bit.flac"),
        fixtures.join("stereo.ogg"),
        fixtures.join("stereo.mp3"),
    ] {
        let audio = decode_file(&path, &limits).expect("the file can be decoded");
        let name = path.file_name().expect("it is a file").to_string_lossy();
        group.throughput(Throughput::Elements(audio.samples.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| decode_file(black_box(&path), &limits));
        });
    }
    group.finish();
}

fn resampling(criterion: &mut Criterion) {
    let audio = Audio {
        samples: tone(),
        sample_rate_hz: RATE_HZ,
    };
    let mut group = criterion.benchmark_group("resample");
    group.throughput(Throughput::Elements(SAMPLES as u64));
    for to_hz in [16_000, 16_384, 22_050, 48_000] {
        group.bench_function(format!("44100_to_{to_hz}"), |bencher| {
            bencher.iter(|| resample(black_box(&audio), to_hz));
        });
    }
    group.finish();
}

criterion_group!(all, decode, resampling);
criterion_main!(all);
