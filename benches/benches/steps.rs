//! Training steps of the presets: forward, loss, backward, AdamW.

mod shared;

use benches::Case;
use criterion::{Criterion, criterion_group, criterion_main};

fn steps(criterion: &mut Criterion) {
    // The comparison with PyTorch has the paper's contrast.
    shared::measure(criterion, "steps", Case::is_short_training_step);
}

criterion_group!(all, steps);
criterion_main!(all);
