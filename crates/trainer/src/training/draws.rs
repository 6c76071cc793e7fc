//! Burn's random numbers, drawn from keys.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use params::keyed_rng;
use rand::Rng;

/// What `draw` returns, where every number that it draws on `device` follows from `key` alone.
///
/// A device's generator belongs to the whole process: two trainings at once would reset it and
/// take each other's numbers, so they take turns here.
pub(crate) fn keyed_draws<R>(device: &Device, key: [u64; 3], draw: impl FnOnce() -> R) -> R {
    static DRAWING: Mutex<()> = Mutex::new(());
    let _drawing = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    let [seed, stream, step] = key;
    device.seed(keyed_rng([seed, stream, step, 0]).next_u64());
    draw()
}
