//! The stages: what each one is, what it starts from, how it trains or tests, and their order.

pub(crate) mod autoencoder;
pub(crate) mod context;
pub(crate) mod lineage;
pub(crate) mod parameters;
pub(crate) mod pipeline;
pub(crate) mod session;
pub(crate) mod spec;
pub(crate) mod stage_run;
pub(crate) mod start;
pub(crate) mod table;
pub(crate) mod test;
pub(crate) mod train;
pub(crate) mod transformer;
pub(crate) mod weights;
