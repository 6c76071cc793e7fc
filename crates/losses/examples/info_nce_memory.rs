//! Time and memory of InfoNCE at the size of the paper preset: 25,000 queries, 56,000 keys of 256
//! features, forward and backward.
//!
//! ```text
//! cargo run -p losses --example info_nce_memory
//! ```
//!
//! The matrix of all similarities would take 5.2 GiB, and its gradient as much again.

use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use losses::{ContrastiveTokens, InfoNce, mean_over_batch};
use std::time::Instant;

const BATCH: usize = 8;
const TOKENS: usize = 7_000;
const HIDDEN: usize = 3_125;
const FEATURES: usize = 256;
const VALUES: usize = 25;

fn main() {
    let device = Device::flex().autodiff();
    device.seed(0);
    let random = |width: usize| {
        Tensor::<3>::random(
            [BATCH, TOKENS, width],
            Distribution::Normal(0.0, 1.0),
            &device,
        )
    };
    let mask = |is: fn(usize) -> bool| {
        let values: Vec<bool> = (0..BATCH * TOKENS).map(|i| is(i % TOKENS)).collect();
        Tensor::<2, Bool>::from_data(TensorData::new(values, [BATCH, TOKENS]), &device)
    };
    let queries = random(FEATURES).require_grad();
    let tokens = ContrastiveTokens {
        queries: queries.clone(),
        keys: random(FEATURES),
        content: random(VALUES),
        // Every second token, and so many of them.
        hidden: mask(|token| token % 2 == 0 && token / 2 < HIDDEN),
        valid: mask(|_| true),
        scored: mask(|_| true),
        draw_keys: vec![],
    };
    let before = memory_mib("VmRSS");

    let start = Instant::now();
    let scores = InfoNce::default().per_item(tokens);
    let loss = mean_over_batch(scores.loss);
    let value = loss.clone().into_scalar::<f32>();
    let forward_s = start.elapsed().as_secs_f64();
    let gradient = queries.grad(&loss.backward()).unwrap();
    let slope = gradient.abs().sum().into_scalar::<f32>();
    let total_s = start.elapsed().as_secs_f64();

    let asked = scores.queries.sum().into_scalar::<f32>();
    let candidates = mean_over_batch(scores.candidates).into_scalar::<f32>();
    println!("queries {asked}, candidates {candidates}, loss {value:.4}, |gradient| {slope:.4}");
    println!("forward {forward_s:.1} s, forward and backward {total_s:.1} s");
    match (before, memory_mib("VmHWM")) {
        (Some(before), Some(peak)) => {
            println!("inputs {before} MiB, peak {} MiB above them", peak - before);
        }
        _ => println!("peak memory is only known on Linux"),
    }
}

/// A line of `/proc/self/status`, where there is one.
fn memory_mib(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}
