//! The subcommands, one file each.

pub mod compare;
pub mod data;
pub mod doctor;
pub mod experiment;
pub mod export;
pub mod label_efficiency;
pub mod predict;
pub mod report;
pub mod run;
pub mod synth;
