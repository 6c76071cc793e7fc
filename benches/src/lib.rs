//! The work whose speed and memory are measured.
//!
//! [`cases`] are the rows of the comparison with PyTorch, [`sweeps`] the same work at growing sizes. Each
//! [`Case`] names its sizes once: they are what is built here, what `reference/torch_peer.py` is given, and
//! what its [`gflop`](Case::gflop) are counted from. `README.md` says what is measured, how, and what came
//! out.
//!
//! ```
//! use benches::{Attention, Pass, Work};
//!
//! let work = Work::Attention(Attention { batch: 2, heads: 3, tokens: 5, head_dim: 4 });
//! let mut prepared = work.prepare(Pass::Step);
//! (prepared.call)();
//! assert_eq!(prepared.parameters, 0);
//! ```
#![warn(missing_docs)]
#![forbid(unsafe_code)]

mod case;
mod flop;
mod layer;
mod noise;
mod sweep;
mod training;
mod weights;
mod work;

pub use case::{Case, cases};
pub use layer::{Layer, LayerKind};
pub use sweep::sweeps;
pub use work::{
    Attention, Contrast, ContrastiveSize, MaskedSize, Pass, Prepared, Product, Sounds, Transform,
    TransformerSize, UNetSize, Work,
};
