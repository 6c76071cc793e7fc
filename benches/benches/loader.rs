//! From a folder of sound files to training batches: decoding, resampling, the transform, masks.

mod shared;

use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use shared::{RATE_HZ, write_wav};
use stft_data::{DataConfig, Dataset, FolderSource, Loader, Order};
use tempfile::TempDir;

const FILES: u32 = 64;
const BATCH: usize = 16;
const SECONDS: f32 = 2.0;

/// A folder of tones of two seconds, a semitone apart.
fn sounds() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for number in 0..FILES {
        let hz = 55.0 * 2_f32.powf(number as f32 / 12.0);
        let sample = |n: u32| 0.6 * (std::f32::consts::TAU * hz * n as f32 / RATE_HZ as f32).sin();
        let samples = (0..(SECONDS * RATE_HZ as f32) as u32).map(sample);
        write_wav(&folder.path().join(format!("{number}.wav")), samples);
    }
    folder
}

fn open(folder: &Path, config: &DataConfig) -> FolderSource {
    FolderSource::open(folder, &config.decode).expect("it holds sounds")
}

/// The default clips have another rate than the files, so what is decoded is resampled too.
fn loader_of(source: FolderSource, config: &DataConfig, workers: usize) -> Loader {
    let dataset = Dataset::open(Arc::new(source), config, 1).expect("it is valid");
    Loader::new(Arc::new(dataset), Order::Training, BATCH, workers, 0)
}

fn batch(loader: &mut Loader) {
    let batch = loader.next().expect("training has no end");
    std::hint::black_box(batch.expect("it loads"));
}

fn batches(criterion: &mut Criterion) {
    let folder = sounds();
    let mut group = criterion.benchmark_group("loader");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, cache_mib) in [("kept_in_memory", 1024), ("decoded_each_time", 0)] {
        let config = DataConfig {
            cache_mib,
            ..DataConfig::default()
        };
        for workers in [0, 2] {
            let source = open(folder.path(), &config);
            let mut loader = loader_of(source, &config, workers);
            group.bench_function(format!("{name}/{workers}_workers"), |bencher| {
                bencher.iter(|| batch(&mut loader));
            });
        }
    }
    group.finish();
}

/// The start of a run, which reads every file of the folder; then with its first epoch, up to the last batch.
fn start(criterion: &mut Criterion) {
    let folder = sounds();
    let config = DataConfig::default();
    let mut group = criterion.benchmark_group("start");
    group.throughput(Throughput::Elements(u64::from(FILES)));
    group.bench_function("open_folder", |bencher| {
        bencher.iter(|| open(folder.path(), &config));
    });
    group.bench_function("first_epoch", |bencher| {
        let epoch = |()| {
            let mut loader = loader_of(open(folder.path(), &config), &config, 2);
            for _ in 0..FILES as usize / BATCH {
                batch(&mut loader);
            }
            // Dropped outside of the measured time: workers finish what they make ahead.
            loader
        };
        bencher.iter_batched(|| (), epoch, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(all, batches, start);
criterion_main!(all);
