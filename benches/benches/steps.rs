//! Training steps of the presets: forward, loss, backward, AdamW.

mod shared;

use benches::{Case, Pass, Work};
use criterion::{Criterion, criterion_group, criterion_main};

/// Criterion wants ten calls of everything: beyond this they take minutes, as the paper's contrast does. The
/// comparison with PyTorch has it.
const LARGEST_GFLOP: f64 = 1000.0;

fn steps(criterion: &mut Criterion) {
    shared::measure(criterion, "steps", |case| {
        is_a_models_step(case) && case.gflop() < LARGEST_GFLOP
    });
}

fn is_a_models_step(case: &Case) -> bool {
    let is_model = matches!(
        case.work,
        Work::UNet(_)
            | Work::Transformer(_)
            | Work::MaskedTraining(_)
            | Work::ContrastiveTraining(_)
    );
    is_model && case.pass == Pass::Step
}

criterion_group!(all, steps);
criterion_main!(all);
