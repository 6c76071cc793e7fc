//! The training loop, once for every stage, and its parts.

pub(crate) mod devices;
pub(crate) mod draws;
pub(crate) mod evaluate;
pub(crate) mod evaluation;
pub(crate) mod fit;
pub(crate) mod memory;
pub(crate) mod observe;
pub(crate) mod optimizer;
pub(crate) mod parameter_terms;
pub(crate) mod schedule;
pub(crate) mod task;
pub(crate) mod weights;
