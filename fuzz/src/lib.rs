//! Shows that damaged and hostile sound files do no harm to `stft-data`.
//!
//! ```text
//! (seed, i) --mutated--> bytes --write--> file --examine--> Trial --judge--> Summary
//! ```
//!
//! A file is made from a sound of one of [eight formats](seeds) by one to four kinds of damage, most of
//! which know the format: sizes of chunks, fields of headers, lacing of pages, with the checksums made
//! to fit, so that the damage is what the decoder sees. File `i` is a function of the seed and `i`.
//! Beside them stand [files that somebody thought of](hand_made).
//!
//! Each file takes the way that every file of a folder takes: it is inspected by
//! [`FolderSource`](stft_data::FolderSource), loaded, resampled to 16,384 and to 44,100 Hz and transformed;
//! then the same at both rates through a [`SoundCache`](stft_data::SoundCache) that is empty at first, and
//! warm the second time. It may be refused, with a reason, and always the same. It may not panic, take more than [`MAX_SECONDS`] for a step, bring the memory of the
//! process above [`MAX_BYTES`], end the process, or give samples that break a promise.
//!
//! Files are examined in worker processes, one at a time in each, so that memory can be told for each
//! file, and a hang or an abort costs a worker and not the run.
//!
//! ```
//! let file = fuzz::mutated(1, 6);
//! assert_eq!(file.format, "OGG Vorbis");
//! assert_eq!(file, fuzz::mutated(1, 6));
//! assert_ne!(file.bytes, fuzz::seeds()[6].bytes);
//! ```

mod bytes;
mod case;
mod chunks;
mod draw;
mod drill;
mod examine;
mod field;
mod flac;
mod generic;
mod hand_made;
mod mpeg;
mod mutated;
mod mutator;
mod ogg;
mod seeds;
mod summary;
mod supervisor;
mod trial;
mod worker;

pub use case::{Case, cases, file};
pub use drill::Drill;
pub use examine::{Examined, Verdict, examine};
pub use hand_made::{Expected, HandMade, hand_made};
pub use mutated::{Mutated, mutated};
pub use seeds::{Seed, seeds};
pub use summary::Summary;
pub use supervisor::{Run, supervise};
pub use trial::{MAX_BYTES, MAX_SECONDS, Outcome, Trial};
pub use worker::work;

/// Counts what is allocated, at its peak. A block that grows counts with its old and its new place, and
/// memory that is asked for counts whether or not it is touched.
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
