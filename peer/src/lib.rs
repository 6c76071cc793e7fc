//! Work whose speed and memory are measured, here and in PyTorch.
//!
//! [`cases`] are the rows of the comparison with PyTorch, [`sweeps`] the same work at growing sizes. Each [`Case`]
//! holds its sizes: this crate builds them, `torch_peer.py` reads them as JSON, and
//! [`gflop`](Case::gflop) counts operations from them. The Criterion benchmarks measure some of the cases too.
//! `README.md` has the method and the results.
//!
//! ```
//! use peer::{Pass, Work};
//!
//! let work = Work::Attention { batch: 2, heads: 3, tokens: 5, head_dim: 4 };
//! let mut prepared = work.prepare(Pass::Step);
//! let outcome = (prepared.call)();
//! assert!(outcome() > 0.0); // the mean absolute value of the gradient
//! assert_eq!(prepared.parameters, 0);
//! ```
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod case;
mod flop;
mod formula;
mod sweep;
mod work;

pub use case::{Case, cases};
pub use sweep::sweeps;
pub use work::{LayerKind, Outcome, Pass, Prepared, TransformerSize, UNetSize, Work};
