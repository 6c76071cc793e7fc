//! Cases of the comparison with PyTorch, by criterion.

use std::time::Duration;

use benches::{Case, cases};
use criterion::{Criterion, SamplingMode};

/// Makes this process one that trains, as the program does: on all threads, or as many as `RAYON_NUM_THREADS` says.
pub fn as_the_program() {
    kernels::keep_freed_memory();
    kernels::join_thread_pool();
}

/// Measures the cases that are wanted.
#[allow(dead_code)]
pub fn measure(criterion: &mut Criterion, group: &str, wanted: impl Fn(&Case) -> bool) {
    as_the_program();
    let mut group = criterion.benchmark_group(group);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.measurement_time(Duration::from_secs(10));
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
