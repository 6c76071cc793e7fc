//! From a source of sounds to batches: splits, examples, their order, and the workers that make them.

pub(crate) mod batch;
mod chain;
// `Dataset` is in a file of its own name, as other types are.
#[allow(clippy::module_inception)]
pub(crate) mod dataset;
pub(crate) mod epoch;
pub(crate) mod loader;
mod memory_cache;
pub(crate) mod order;
pub(crate) mod split;
