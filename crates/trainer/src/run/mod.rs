//! What a run leaves on disk: its directory, checkpoints, and where weights came from.

pub(crate) mod atomic_write;
pub(crate) mod checkpoint;
pub(crate) mod exported;
pub(crate) mod json_file;
pub(crate) mod lineage;
pub(crate) mod run_dir;
pub(crate) mod trained_on;
