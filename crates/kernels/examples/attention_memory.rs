//! The memory of attention beyond its operands, by the number of tokens.
//!
//! `cargo run -p kernels --features flex --example attention_memory`

use burn::tensor::{Device, Distribution, Tensor};

const HEADS: usize = 8;
const HEAD_DIM: usize = 64;

fn main() {
    println!("tokens  operands MiB  forward MiB  forward and backward MiB  scores would be MiB");
    for tokens in [1024, 2048, 4096, 7107] {
        let device = Device::flex().autodiff();
        let random = || {
            let shape = [1, HEADS, tokens, HEAD_DIM];
            Tensor::<4>::random(shape, Distribution::Default, &device).require_grad()
        };
        let [query, key, value] = [random(), random(), random()];
        let run = || kernels::attention(query.clone(), key.clone(), value.clone(), None);
        let forward = peak_growth(|| drop(run()));
        let both = peak_growth(|| drop(run().sum().backward()));
        let mib = |values: usize| values as f64 * 4.0 / f64::from(1 << 20);
        println!(
            "{tokens:6} {:13.1} {forward:12.1} {both:25.1} {:20.1}",
            mib(3 * HEADS * tokens * HEAD_DIM),
            mib(HEADS * tokens * tokens),
        );
    }
}

/// The MiB by which the peak of resident memory rises above the present use, as Linux reports it.
fn peak_growth(work: impl FnOnce()) -> f64 {
    // Resets the peak.
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process reset its peak");
    let before = status_mib("VmRSS:");
    work();
    status_mib("VmHWM:") - before
}

fn status_mib(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux reports memory use");
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: f64 = kib
        .and_then(|kib| kib.parse().ok())
        .expect("a number of kB");
    kib / 1024.0
}
