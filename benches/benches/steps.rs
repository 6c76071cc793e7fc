//! Training steps of the presets: forward, squared error, backward, AdamW. On all threads, as in a run;
//! `RAYON_NUM_THREADS=2` sets how many.

use std::time::Duration;

use benches::{Case, Pass, Work, cases};
use criterion::{Criterion, SamplingMode, criterion_group, criterion_main};

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("steps");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(10));
    let cases = cases().expect("the experiment files are valid");
    for case in cases.iter().filter(|case| is_a_models_step(case)) {
        group.bench_function(&case.name, |bencher| {
            // Made here, so that no model is held in memory but the one that is measured.
            let mut prepared = case.work.prepare(case.pass);
            bencher.iter(|| (prepared.call)());
        });
    }
    group.finish();
}

fn is_a_models_step(case: &Case) -> bool {
    let is_model = matches!(case.work, Work::UNet(_) | Work::Transformer(_));
    is_model && case.pass == Pass::Step
}

criterion_group!(all, steps);
criterion_main!(all);
