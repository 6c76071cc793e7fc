//! From a folder of sound files to training batches: decoding, resampling, the transform, masks.

use std::path::Path;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use stft_data::{DataConfig, Dataset, FolderSource, Loader, Order, SoundCache, SoundReader};

const RATE_HZ: u32 = 44_100;
const FILES: u32 = 64;
const BATCH: usize = 16;
const SECONDS: f32 = 2.0;

/// Tones of two seconds, a semitone apart.
fn write_sounds(folder: &Path) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: RATE_HZ,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    for number in 0..FILES {
        let hz = 55.0 * 2_f32.powf(number as f32 / 12.0);
        let path = folder.join(format!("{number}.wav"));
        let mut writer = hound::WavWriter::create(path, spec).expect("the folder can be written");
        for n in 0..(SECONDS * RATE_HZ as f32) as u32 {
            let wave = (std::f32::consts::TAU * hz * n as f32 / RATE_HZ as f32).sin();
            writer
                .write_sample((wave * 20_000.0) as i16)
                .expect("the file can be written");
        }
        writer.finalize().expect("the file can be written");
    }
}

/// Where a sound comes from when a batch needs it.
#[derive(Clone, Copy)]
enum Kept {
    Memory,
    Disk,
    /// Nowhere: each batch decodes and resamples.
    Not,
}

fn loader(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_sounds(folder.path());
    let disk = tempfile::tempdir().expect("a temporary folder can be made");
    let mut group = criterion.benchmark_group("loader");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, kept) in [
        ("kept_in_memory", Kept::Memory),
        ("kept_on_disk", Kept::Disk),
        ("decoded_each_time", Kept::Not),
    ] {
        // Another rate than the files', so that what is decoded is resampled too.
        let config = DataConfig {
            cache_mib: match kept {
                Kept::Memory => 1024,
                Kept::Disk | Kept::Not => 0,
            },
            ..DataConfig::default()
        };
        let mut reader = SoundReader::new(&config);
        if let Kept::Disk = kept {
            let cache = SoundCache::open(disk.path(), 1 << 30).expect("it is empty");
            reader = reader.with_cache(cache);
        }
        let source = FolderSource::open(folder.path(), &reader).expect("it holds sounds");
        let dataset = Arc::new(Dataset::open(Arc::new(source), &config, 1).expect("it is valid"));
        for workers in [0, 2] {
            let mut loader = Loader::new(dataset.clone(), Order::Training, BATCH, workers, 0);
            group.bench_function(format!("{name}/{workers}_workers"), |bencher| {
                bencher.iter(|| {
                    loader
                        .next()
                        .expect("training has no end")
                        .expect("it loads")
                });
            });
        }
    }
    group.finish();
}

/// What a run does before its first step: look at every file of a folder.
fn open(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_sounds(folder.path());
    let mut group = criterion.benchmark_group("open_folder");
    group.throughput(Throughput::Elements(u64::from(FILES)));
    let plain = SoundReader::default();
    group.bench_function("no_cache", |bencher| {
        bencher.iter(|| FolderSource::open(folder.path(), &plain).expect("it holds sounds"));
    });
    group.bench_function("cold_cache", |bencher| {
        let empty = || {
            let disk = tempfile::tempdir().expect("a temporary folder can be made");
            let cache = SoundCache::open(disk.path(), 1 << 30).expect("it is empty");
            let reader = SoundReader::default().with_cache(cache);
            (disk, reader)
        };
        // What is handed back is dropped, and the cache removed, outside of the measured time.
        let open = |(disk, reader)| {
            let source = FolderSource::open(folder.path(), &reader).expect("it holds sounds");
            (disk, source)
        };
        bencher.iter_batched(empty, open, BatchSize::PerIteration);
    });
    let disk = tempfile::tempdir().expect("a temporary folder can be made");
    let cache = SoundCache::open(disk.path(), 1 << 30).expect("it is empty");
    let reader = SoundReader::default().with_cache(cache);
    group.bench_function("warm_cache", |bencher| {
        bencher.iter(|| FolderSource::open(folder.path(), &reader).expect("it holds sounds"));
    });
    group.finish();
}

/// A run's first epoch, from opening the folder to its last batch.
fn first_epoch(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_sounds(folder.path());
    let config = DataConfig::default();
    let all_of = |disk: &Path| {
        let cache = SoundCache::open(disk, 1 << 30).expect("it is a cache, or empty");
        let reader = SoundReader::new(&config).with_cache(cache);
        let source = FolderSource::open(folder.path(), &reader).expect("it holds sounds");
        let dataset = Arc::new(Dataset::open(Arc::new(source), &config, 1).expect("it is valid"));
        let mut loader = Loader::new(dataset, Order::Training, BATCH, 2, 0);
        for _ in 0..FILES as usize / BATCH {
            let batch = loader.next().expect("training has no end");
            std::hint::black_box(batch.expect("it loads"));
        }
        loader
    };
    let mut group = criterion.benchmark_group("first_epoch");
    group.throughput(Throughput::Elements(u64::from(FILES)));
    let temporary = || tempfile::tempdir().expect("a temporary folder can be made");
    group.bench_function("cold_cache", |bencher| {
        // What is handed back is dropped outside of the measured time: workers end what they make ahead, and the cache
        // is removed.
        let epoch = |disk: tempfile::TempDir| (all_of(disk.path()), disk);
        bencher.iter_batched(temporary, epoch, BatchSize::PerIteration);
    });
    let disk = temporary();
    group.bench_function("warm_cache", |bencher| {
        bencher.iter_batched(|| (), |()| all_of(disk.path()), BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(all, loader, open, first_epoch);
criterion_main!(all);
