//! What the fused versions for the CPU are made of.

pub(crate) mod backend;
pub(crate) mod blocks;
pub(crate) mod blockwise;
pub(crate) mod error_function;
pub(crate) mod exponential;
pub(crate) mod graph;
pub(crate) mod matrix;
pub(crate) mod product;
pub(crate) mod rows;
pub(crate) mod scratch;
pub(crate) mod sigmoid;
pub(crate) mod simd;
pub(crate) mod transpose;
pub(crate) mod vectors;
