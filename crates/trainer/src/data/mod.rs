//! From an experiment to batches of tensors: the source of sounds, their statistics, labels and augmentation.

pub(crate) mod batch;
pub(crate) mod labels;
pub(crate) mod magnitude;
pub(crate) mod single;
pub(crate) mod sounds;
pub(crate) mod source;
pub(crate) mod statistics;
pub(crate) mod time_shift;
