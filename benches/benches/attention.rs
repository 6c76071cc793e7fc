//! Attention and its gradient at the sizes of a small encoder, of a wider one, and of the paper preset's grid of
//! patches.

mod shared;

use criterion::{Criterion, criterion_group, criterion_main};
use peer::Work;

fn attention(criterion: &mut Criterion) {
    shared::measure(criterion, "attention", |case| {
        matches!(case.work, Work::Attention { .. })
    });
}

criterion_group!(all, attention);
criterion_main!(all);
