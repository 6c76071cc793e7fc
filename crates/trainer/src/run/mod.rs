//! What a run leaves on disk: its directory, checkpoints, and the record of what weights were trained from.

pub(crate) mod atomic_write;
pub(crate) mod checkpoint;
pub(crate) mod exported;
pub(crate) mod json_file;
pub(crate) mod provenance;
pub(crate) mod run_dir;
pub(crate) mod stage_dir;
pub(crate) mod trained_on;
