//! Training steps of the presets: forward, loss, backward, AdamW.

mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use peer::Case;

fn steps(criterion: &mut Criterion) {
    // The paper's contrastive step takes too long; the comparison with PyTorch has it.
    shared::measure(criterion, "steps", Case::is_short_training_step);
}

criterion_group!(all, steps);
criterion_main!(all);
