//! The short-time Fourier transform and the logarithm of its magnitudes, over a batch of clips.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rayon::prelude::*;
use stft_data::{Stft, StftConfig, log1p};

const CLIPS: usize = 64;
/// Two seconds at 44.1 kHz.
const SAMPLES: usize = 88_200;
const THREADS: usize = 2;

/// White noise in -1..1 from a linear congruential generator.
fn noise(samples: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..samples)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn log_magnitude(stft: &Stft, clip: &[f32]) -> Vec<f32> {
    let mut spectrogram = stft.magnitude(clip);
    for value in &mut spectrogram.values {
        *value = log1p(*value);
    }
    spectrogram.values
}

fn stft(criterion: &mut Criterion) {
    let stft = Stft::new(&StftConfig {
        n_fft: 1024,
        hop_length: 256,
        win_length: None,
    })
    .expect("the sizes are valid");
    let clips: Vec<Vec<f32>> = (0..CLIPS as u32).map(|seed| noise(SAMPLES, seed)).collect();
    let mut group = criterion.benchmark_group("stft");
    group.measurement_time(Duration::from_secs(10));

    group.throughput(Throughput::Elements(1));
    group.bench_function("magnitude_of_one_clip", |bencher| {
        bencher.iter(|| stft.magnitude(black_box(&clips[0])));
    });
    group.bench_function("log_magnitude_of_one_clip", |bencher| {
        bencher.iter(|| log_magnitude(&stft, black_box(&clips[0])));
    });

    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build()
        .expect("threads can be started");
    group.throughput(Throughput::Elements(CLIPS as u64));
    group.bench_function("log_magnitude_of_64_clips_on_2_threads", |bencher| {
        bencher.iter(|| {
            pool.install(|| {
                black_box(&clips)
                    .par_iter()
                    .map(|clip| log_magnitude(&stft, clip))
                    .collect::<Vec<_>>()
            })
        });
    });
    group.finish();
}

criterion_group!(all, stft);
criterion_main!(all);
