//! The subcommands, one file each.

pub mod data;
pub mod doctor;
pub mod run;
pub mod synth;
