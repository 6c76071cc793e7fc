//! Which labels of the training split are used.

use params::keyed_rng;
use rand::Rng;
use stft_data::{Dataset, Split};

/// Labels the stream of [`keyed_rng`] that labelled examples are drawn from.
const LABEL_STREAM: u64 = u64::from_le_bytes(*b"trnlabel");

/// `share` of the training split, rounded and at least one example, drawn by key from the data's seed.
///
/// Examples are put in an order that neither the share nor the other examples decide on, and the first of them are
/// taken: a larger share has all of a smaller one's. The renders of one patch stand together in it.
pub(crate) fn labelled(dataset: &Dataset, share: f64) -> Vec<usize> {
    let train = dataset.indices(Split::Train);
    let mut drawn: Vec<(u64, usize)> = train
        .iter()
        .map(|&index| {
            let id = dataset.source().fingerprint(index).id();
            let place = keyed_rng([dataset.seed(), LABEL_STREAM, id, 0]).next_u64();
            (place, index)
        })
        .collect();
    drawn.sort_unstable();
    let count = (share * train.len() as f64).round() as usize;
    drawn.truncate(count.max(1));
    drawn.into_iter().map(|(_, index)| index).collect()
}
