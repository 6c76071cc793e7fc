//! Which examples are scored.

use std::sync::Arc;

use burn::tensor::Device;
use stft_data::{Dataset, Split};

/// Which examples are scored, and how they are fetched.
#[derive(Clone)]
pub struct Evaluation {
    /// Where examples come from.
    pub dataset: Arc<Dataset>,
    /// Which of them.
    pub split: Split,
    /// Examples in a batch; the means don't depend on it, but for that of a contrastive loss whose negatives
    /// come from the whole batch.
    pub batch_size: usize,
    /// Loader threads; the means don't depend on it.
    pub workers: usize,
    /// Where the batches go.
    pub device: Device,
}
