//! Memory of InfoNCE with keys on the graph. In a process of its own, because memory is measured per process.

use burn::tensor::{Bool, Device, Distribution, Tensor};
use losses::{ContrastiveTokens, InfoNce, Negatives, mean_over_batch};

/// A line of `/proc/self/status`, on Linux.
fn memory_mib(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

#[test]
fn chunks_share_their_key_gradients() {
    let device = Device::flex().autodiff();
    let random = |width: usize| {
        let shape = [1, 1000, width];
        Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device)
    };
    let everywhere = Tensor::<2, Bool>::full([1, 1000], true, &device);
    let keys = random(256).require_grad();
    let tokens = ContrastiveTokens {
        queries: random(256).require_grad(),
        keys: keys.clone(),
        content: random(25),
        hidden: everywhere.clone(),
        valid: everywhere.clone(),
        scored: everywhere,
        draw_keys: vec![0],
    };
    // Two queries at a time: 500 chunks, and gradients of each would take 1 MiB. Sampled negatives are never
    // fused, even if the sample is complete.
    let loss = InfoNce {
        negatives: Negatives::CLIP.sampled(999),
        chunk_bytes: 60_000,
        ..InfoNce::default()
    };
    let before = memory_mib("VmRSS");
    let gradients = mean_over_batch(loss.per_item(tokens).loss).backward();
    assert!(keys.grad(&gradients).is_some());
    if let (Some(before), Some(peak)) = (before, memory_mib("VmHWM")) {
        let above = peak.saturating_sub(before);
        assert!(above < 150, "{above} MiB above the inputs");
    }
}
