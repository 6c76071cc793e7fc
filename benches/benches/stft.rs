//! The short-time Fourier transform: magnitudes of one clip, and `log1p` of those of 64 clips on all threads.

mod shared;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use peer::Work;
use stft_data::{Stft, StftConfig, log1p};

/// Two seconds at 44.1 kHz.
const SAMPLES: usize = 88_200;

/// White noise in -1..1 from a linear congruential generator.
fn noise() -> Vec<f32> {
    let mut state = 0_u32;
    (0..SAMPLES)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 8_388_608.0 - 1.0
        })
        .collect()
}

fn one_clip(criterion: &mut Criterion) {
    let stft = Stft::new(&StftConfig {
        n_fft: 1024,
        hop_length: 256,
        win_length: None,
    })
    .expect("the sizes are valid");
    let clip = noise();
    let mut group = criterion.benchmark_group("stft");
    group.bench_function("magnitude_of_one_clip", |bencher| {
        bencher.iter(|| stft.magnitude(black_box(&clip)));
    });
    group.bench_function("log_magnitude_of_one_clip", |bencher| {
        bencher.iter(|| {
            let mut values = stft.magnitude(black_box(&clip)).values;
            for value in &mut values {
                *value = log1p(*value);
            }
            values
        });
    });
    group.finish();
}

fn many_clips(criterion: &mut Criterion) {
    shared::measure(criterion, "log_magnitude_of_64_clips", |case| {
        matches!(case.work, Work::Stft { .. })
    });
}

criterion_group!(all, one_clip, many_clips);
criterion_main!(all);
