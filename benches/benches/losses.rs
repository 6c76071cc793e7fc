//! The two losses that take long, each with its gradient: InfoNCE, which never holds the table of similarities at once,
//! and the multi-resolution STFT of sounds.

mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use peer::Work;

fn losses(criterion: &mut Criterion) {
    shared::measure(criterion, "losses", |case| {
        matches!(
            case.work,
            Work::InfoNce { .. } | Work::MultiResolution { .. }
        )
    });
}

criterion_group!(all, losses);
criterion_main!(all);
