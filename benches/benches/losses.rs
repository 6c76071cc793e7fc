//! Two losses that cost something: InfoNCE, whose table of similarities never exists at once, and the
//! multi-resolution STFT of sounds. Each with its gradient, on two threads.

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::{Bool, Device, Distribution, Tensor};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};
use losses::{
    ContrastiveTokens, InfoNce, MultiResolutionStftConfig, Negatives, WaveformLoss, mean_over_batch,
};

const THREADS: usize = 2;

/// Batch, tokens and features: every token is a key, half of them are asked.
const CONTRAST: [(usize, usize, usize); 2] = [(16, 512, 256), (16, 289, 128)];

/// Values of a patch, by which tokens of the same content are told; 25 to 128 in the experiments.
const PATCH: usize = 128;

/// Sounds of two seconds at 44.1 kHz.
const SOUNDS: [usize; 2] = [8, 88_200];

fn pool() -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build()
        .expect("threads can be started")
}

/// 4,096 queries among 8,192 keys, and the default experiment's batch.
fn info_nce(criterion: &mut Criterion) {
    let device = Device::flex();
    let pool = pool();
    let mut group = criterion.benchmark_group("info_nce");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(10));
    for (batch, tokens, features) in CONTRAST {
        let random = |width: usize| {
            Tensor::<3>::random([batch, tokens, width], Distribution::Default, &device)
        };
        let [queries, keys, content] = [features, features, PATCH].map(random);
        let all = Tensor::<2, Bool>::full([batch, tokens], true, &device);
        let hidden = all.clone().slice_fill([0..batch, 0..tokens / 2], false);
        for (name, negatives) in [
            ("batch", Negatives::Batch),
            ("clip", Negatives::Clip { sampled: None }),
        ] {
            let loss = InfoNce {
                negatives,
                ..InfoNce::default()
            };
            let queried = batch * tokens.div_ceil(2);
            let size = format!("{queried}_of_{}x{features}", batch * tokens);
            group.bench_function(format!("{size}/{name}"), |bencher| {
                bencher.iter(|| {
                    let tokens = black_box(ContrastiveTokens {
                        queries: queries.clone().autodiff().require_grad(),
                        keys: keys.clone(),
                        content: content.clone(),
                        hidden: hidden.clone(),
                        valid: all.clone(),
                        scored: all.clone(),
                        draw_keys: Vec::new(),
                    });
                    pool.install(|| mean_over_batch(loss.per_item(tokens).loss).backward())
                });
            });
        }
    }
    group.finish();
}

fn multi_resolution(criterion: &mut Criterion) {
    let device = Device::flex();
    let pool = pool();
    let loss = MultiResolutionStftConfig::default()
        .init(&device)
        .expect("the defaults are valid");
    let [batch, samples] = SOUNDS;
    let random = || Tensor::<2>::random(SOUNDS, Distribution::Normal(0.0, 0.1), &device);
    let [prediction, target] = [random(), random()];
    let mut group = criterion.benchmark_group("multi_resolution_stft");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(10));
    group.bench_function(
        format!("{batch}x{samples}/forward_and_backward"),
        |bencher| {
            bencher.iter(|| {
                let prediction = black_box(prediction.clone()).autodiff().require_grad();
                pool.install(|| {
                    let items = loss.per_item(prediction, target.clone(), &vec![samples; batch]);
                    mean_over_batch(items).backward()
                })
            });
        },
    );
    group.finish();
}

criterion_group!(all, info_nce, multi_resolution);
criterion_main!(all);
