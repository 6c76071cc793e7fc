//! The stages: what each one is, how it starts, trains or tests, and their order.

pub(crate) mod job;
pub(crate) mod session;
pub(crate) mod stage_run;
pub(crate) mod start;
pub(crate) mod test;
pub(crate) mod train;
