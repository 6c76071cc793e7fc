//! What several benchmarks share.
#![allow(dead_code)]

use std::path::Path;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use peer::{Case, cases};

/// Samples in a second of the sound files.
pub const RATE_HZ: u32 = 44_100;

/// A group of ten samples in so many seconds or more, in a process that is set up as the program's: with freed memory
/// kept, and on all threads, or as many as `RAYON_NUM_THREADS` sets.
pub fn group<'a>(
    criterion: &'a mut Criterion,
    name: &str,
    seconds: u64,
) -> BenchmarkGroup<'a, WallTime> {
    kernels::keep_freed_memory();
    kernels::join_thread_pool();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(seconds));
    group
}

/// Measures the wanted cases of the comparison with PyTorch.
pub fn measure(criterion: &mut Criterion, group: &str, wanted: impl Fn(&Case) -> bool) {
    let mut group = self::group(criterion, group, 10);
    let cases = cases().expect("the experiment files are valid");
    for case in cases.iter().filter(|case| wanted(case)) {
        group.bench_function(&case.name, |bencher| {
            // Made here, so that no data are held in memory but those of this case.
            let mut prepared = case.work.prepare(case.pass);
            bencher.iter(|| (prepared.call)());
        });
    }
    group.finish();
}

/// Writes a mono WAV file of 16 bits.
pub fn write_wav(path: &Path, samples: impl Iterator<Item = f32>) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).expect("the folder can be written");
    for sample in samples {
        writer
            .write_sample((sample * 32_767.0) as i16)
            .expect("the file can be written");
    }
    writer.finalize().expect("the file can be written");
}
