use params::keyed_rng;

use crate::dataset::dataset::Dataset;
use crate::dataset::epoch::EVALUATION_EPOCH;
use crate::dataset::split::Split;
use crate::transform::random::below;

/// Label of the [`keyed_rng`] stream of the shuffled order.
const ORDER_STREAM: u64 = u64::from_le_bytes(*b"dataordr");

/// The order in which a loader uses the examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The training split without end, shuffled in each epoch. The epochs form one stream, and batch `k`
    /// holds the `batch_size` items from `k · batch_size` on. So every batch is full, no example is
    /// dropped, and the position of a run is one number. The crop and the mask of an item are those of
    /// its epoch.
    Training,
    /// A split once, in the order of the source. The last batch may be smaller. Crops and masks are
    /// those of [`EVALUATION_EPOCH`], the same every time.
    Evaluation(Split),
}

/// The `(index, epoch)` pairs of each batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchOrder {
    order: Order,
    batch_size: usize,
    indices: Vec<usize>,
    seed: u64,
    /// The epoch that was shuffled last, and its order.
    shuffled: Option<(u64, Vec<usize>)>,
}

impl BatchOrder {
    pub(crate) fn new(dataset: &Dataset, order: Order, batch_size: usize) -> BatchOrder {
        assert!(batch_size > 0, "batch size: expected at least 1, got 0");
        let split = match order {
            Order::Training => Split::Train,
            Order::Evaluation(split) => split,
        };
        let indices = dataset.indices(split).to_vec();
        BatchOrder {
            order,
            batch_size,
            indices,
            seed: dataset.seed(),
            shuffled: None,
        }
    }

    /// Items of batch `k`; none after the end.
    pub(crate) fn items(&mut self, k: u64) -> Option<Vec<(usize, u64)>> {
        let first = k.checked_mul(self.batch_size as u64)?;
        match self.order {
            Order::Training => Some(
                (first..first + self.batch_size as u64)
                    .map(|position| self.training_item(position))
                    .collect(),
            ),
            Order::Evaluation(_) => {
                let rest = self.indices.get(usize::try_from(first).ok()?..)?;
                let items: Vec<_> = rest
                    .iter()
                    .take(self.batch_size)
                    .map(|&index| (index, EVALUATION_EPOCH))
                    .collect();
                (!items.is_empty()).then_some(items)
            }
        }
    }

    fn training_item(&mut self, position: u64) -> (usize, u64) {
        let examples = self.indices.len() as u64;
        let epoch = position / examples;
        let rank = (position % examples) as usize;
        let shuffled = match self.shuffled.take() {
            Some(kept) if kept.0 == epoch => kept,
            _ => (epoch, self.shuffle(epoch)),
        };
        let index = shuffled.1[rank];
        self.shuffled = Some(shuffled);
        (index, epoch)
    }

    /// Fisher-Yates shuffle, keyed by seed and epoch.
    fn shuffle(&self, epoch: u64) -> Vec<usize> {
        let mut rng = keyed_rng([self.seed, ORDER_STREAM, epoch, 0]);
        let mut shuffled = self.indices.clone();
        for last in (1..shuffled.len()).rev() {
            shuffled.swap(last, below(&mut rng, last + 1));
        }
        shuffled
    }
}
