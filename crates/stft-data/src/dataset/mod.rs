//! From a source of sounds to batches: splits, examples, their order, and the workers that make them.

pub(crate) mod batch;
mod chain;
// The type that gives the folder its name is where its name leads to.
#[allow(clippy::module_inception)]
pub(crate) mod dataset;
pub(crate) mod epoch;
pub(crate) mod loader;
mod memory_cache;
pub(crate) mod order;
pub(crate) mod split;
