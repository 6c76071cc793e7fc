//! Time and memory of InfoNCE at the size of the paper preset: 25,000 queries, 56,000 keys of 256
//! features, forward and backward, fused and in chunks, each with detached keys and with keys on the graph.
//!
//! ```text
//! cargo run -p losses --example info_nce_memory
//! cargo run -p losses --example info_nce_memory -- 700 312 256
//! ```
//!
//! The arguments are the tokens of each of 8 items, how many of them are hidden, and the features. The
//! matrix of all similarities would take 5.2 GiB, and its gradient as much again. Fails with exit code 1 if
//! a run takes 2 GiB or more above its inputs.

use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use losses::{ContrastiveScores, ContrastiveTokens, InfoNce, mean_over_batch};
use std::process::ExitCode;
use std::time::Instant;

const BATCH: usize = 8;
const VALUES: usize = 25;
const LIMIT_MIB: u64 = 2048;

fn main() -> ExitCode {
    let arguments: Result<Vec<usize>, _> = std::env::args().skip(1).map(|x| x.parse()).collect();
    let sizes = match arguments.as_deref() {
        Ok([]) => [7_000, 3_125, 256],
        Ok(&[tokens, hidden, features]) if 2 * hidden <= tokens + 1 => [tokens, hidden, features],
        _ => {
            eprintln!("give three numbers: tokens, hidden (at most half of the tokens), features");
            return ExitCode::from(2);
        }
    };
    let ways: [(&str, Way); 2] = [
        ("fused", InfoNce::per_item),
        ("in chunks", InfoNce::per_item_in_chunks),
    ];
    let mut within = true;
    for (name, way) in ways {
        for keys_on_graph in [false, true] {
            let keys = if keys_on_graph {
                "on the graph"
            } else {
                "detached"
            };
            println!("{name}, keys {keys}:");
            within &= run(sizes, way, keys_on_graph);
        }
    }
    ExitCode::from(u8::from(!within))
}

type Way = fn(&InfoNce, ContrastiveTokens) -> ContrastiveScores;

/// Returns whether the memory stays below the limit, as far as it is known.
fn run([tokens, hidden, features]: [usize; 3], way: Way, keys_on_graph: bool) -> bool {
    let device = Device::flex().autodiff();
    device.seed(0);
    let random = |width: usize| {
        let shape = [BATCH, tokens, width];
        Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device)
    };
    let mask = |is: &dyn Fn(usize) -> bool| {
        let values: Vec<bool> = (0..BATCH * tokens).map(|i| is(i % tokens)).collect();
        Tensor::<2, Bool>::from_data(TensorData::new(values, [BATCH, tokens]), &device)
    };
    let queries = random(features).require_grad();
    let keys = random(features);
    let batch = ContrastiveTokens {
        queries: queries.clone(),
        keys: if keys_on_graph {
            keys.require_grad()
        } else {
            keys
        },
        content: random(VALUES),
        // Every second token, `hidden` of them.
        hidden: mask(&|token| token % 2 == 0 && token / 2 < hidden),
        valid: mask(&|_| true),
        scored: mask(&|_| true),
        draw_keys: vec![],
    };
    // Resets the peak; where that fails, the peak is that of all runs so far.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = memory_mib("VmRSS");

    let start = Instant::now();
    let scores = way(&InfoNce::default(), batch);
    let loss = mean_over_batch(scores.loss);
    let value = loss.clone().into_scalar::<f32>();
    let forward_s = start.elapsed().as_secs_f64();
    let gradient = queries.grad(&loss.backward()).unwrap();
    let slope = gradient.abs().sum().into_scalar::<f32>();
    let total_s = start.elapsed().as_secs_f64();

    let queries = scores.queries.sum().into_scalar::<f32>();
    let candidates = mean_over_batch(scores.candidates).into_scalar::<f32>();
    println!(
        "  queries {queries}, candidates {candidates}, loss {value:.4}, |gradient| {slope:.4}"
    );
    println!("  forward {forward_s:.1} s, forward and backward {total_s:.1} s");
    let (Some(before), Some(peak)) = (before, memory_mib("VmHWM")) else {
        println!("  peak memory is only known on Linux");
        return true;
    };
    let above = peak.saturating_sub(before);
    println!("  inputs {before} MiB, peak {above} MiB above them, limit {LIMIT_MIB} MiB");
    above < LIMIT_MIB
}

/// A line of `/proc/self/status`, on Linux.
fn memory_mib(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}
