//! Attention and its gradient on two threads, at the sizes of a small encoder, of a wider one, and of
//! the paper preset's grid of patches.

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};

const THREADS: usize = 2;
/// `[batch, heads, tokens, head_dim]`
const SIZES: [[usize; 4]; 3] = [[8, 8, 512, 32], [8, 8, 1024, 64], [1, 8, 7107, 64]];

fn attention(criterion: &mut Criterion) {
    let device = Device::flex();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build()
        .expect("threads can be started");
    let mut group = criterion.benchmark_group("attention");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(10));
    for size in SIZES {
        let name = size.map(|axis| axis.to_string()).join("x");
        let operands = [(); 3].map(|()| Tensor::<4>::random(size, Distribution::Default, &device));
        group.bench_function(format!("{name}/forward"), |bencher| {
            bencher.iter(|| {
                let [query, key, value] = black_box(operands.clone());
                pool.install(|| kernels::attention(query, key, value, None))
            });
        });
        group.bench_function(format!("{name}/forward_and_backward"), |bencher| {
            bencher.iter(|| {
                let [query, key, value] =
                    black_box(operands.clone()).map(|operand| operand.autodiff().require_grad());
                pool.install(|| kernels::attention(query, key, value, None).sum().backward())
            });
        });
    }
    group.finish();
}

criterion_group!(all, attention);
criterion_main!(all);
