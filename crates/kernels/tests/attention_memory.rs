//! The memory of attention is linear in the tokens. A test program of its own, because memory belongs to the process.

#![cfg(feature = "flex")]

use burn::tensor::{Device, Distribution, Tensor};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const HEADS: usize = 4;
const HEAD_DIM: usize = 32;

/// The bytes by which the peak rises above the present use.
fn peak_growth(work: impl FnOnce()) -> usize {
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    work();
    MEMORY.peak_usage() - before
}

/// The growth in the forward pass, and in both passes.
fn peaks(tokens: usize) -> [usize; 2] {
    let random = || {
        let shape = [1, HEADS, tokens, HEAD_DIM];
        Tensor::<4>::random(shape, Distribution::Default, &Device::flex().autodiff()).require_grad()
    };
    let [query, key, value] = [random(), random(), random()];
    let run = || kernels::attention(query.clone(), key.clone(), value.clone(), None);
    let forward = peak_growth(|| drop(run()));
    let both = peak_growth(|| drop(run().sum().backward()));
    [forward, both]
}

#[test]
fn twice_the_tokens_take_twice_the_memory() {
    // Allocates what the threads keep from call to call.
    peaks(256);
    let tokens = [1024, 2048, 4096];
    let all = tokens.map(peaks);
    for (which, name) in ["forward", "forward and backward"].into_iter().enumerate() {
        let of_this = all.map(|peaks| peaks[which]);
        for pair in of_this.windows(2) {
            assert!(
                10 * pair[1] <= 23 * pair[0],
                "{name}: {of_this:?} bytes for {tokens:?} tokens"
            );
        }
        for (peak, tokens) in of_this.into_iter().zip(tokens) {
            let operand = 4 * HEADS * tokens * HEAD_DIM;
            assert!(
                peak >= operand,
                "{name}: {peak} bytes, the output alone takes {operand}"
            );
            let scores = 4 * HEADS * tokens * tokens;
            assert!(
                tokens < 4096 || peak < scores / 8,
                "{name}: {peak} bytes for {tokens} tokens, whose scores would take {scores}"
            );
        }
    }
}
