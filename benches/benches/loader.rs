//! From a folder of sound files to training batches: decoding, resampling, the transform, masks.

use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use stft_data::{ClipConfig, DataConfig, Dataset, FolderSource, Loader, Order, StftConfig};

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

fn loader(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_sounds(folder.path());
    let mut group = criterion.benchmark_group("loader");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (kept, cache_mib) in [("cached", 1024), ("decoded_each_time", 0)] {
        // Another rate than the files', so that what is decoded is resampled too.
        let config = DataConfig {
            clip: ClipConfig {
                seconds: SECONDS,
                sample_rate_hz: 22_050,
            },
            stft: StftConfig {
                n_fft: 1024,
                hop_length: 256,
                win_length: None,
            },
            cache_mib,
            ..DataConfig::default()
        };
        let source = FolderSource::open(folder.path(), &config.decode).expect("it holds sounds");
        let dataset = Arc::new(Dataset::open(Arc::new(source), &config, 1).expect("it is valid"));
        for workers in [0, 2] {
            let mut loader = Loader::new(dataset.clone(), Order::Training, BATCH, workers, 0);
            group.bench_function(format!("{kept}/{workers}_workers"), |bencher| {
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

criterion_group!(all, loader);
criterion_main!(all);
