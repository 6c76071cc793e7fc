//! Two losses that cost something, each with its gradient: InfoNCE, whose table of similarities never exists at once,
//! and the multi-resolution STFT of sounds.

mod shared;

use benches::Work;
use criterion::{Criterion, criterion_group, criterion_main};

fn losses(criterion: &mut Criterion) {
    shared::measure(criterion, "losses", |case| {
        matches!(case.work, Work::InfoNce(_) | Work::MultiResolution(_))
    });
}

criterion_group!(all, losses);
criterion_main!(all);
