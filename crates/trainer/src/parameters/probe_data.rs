//! The sounds that a linear map beside parameter heads is solved from.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use heads::{LinearProbe, summary_statistics, summary_statistics_parts};
use nalgebra::DMatrix;
use stft_data::{Dataset, Loader, Order, Split};

use crate::data::batch::TensorBatch;
use crate::error::TrainerError;
use crate::parameters::feature_encoder::FeatureEncoder;
use crate::parameters::probe::{MOST_FOR_AXES, solve};
use crate::parameters::network::ParameterNetwork;
use crate::parameters::metrics::truths;

/// Labels that are looked at, at most: that many are held in memory, and more change little.
const MOST_LABELS: usize = 4000;

/// Sounds that are described at once.
const AT_ONCE: usize = 32;

/// Sounds of the training split, of which some labels may be used.
pub struct ProbeData {
    /// All of the training split, heard from the beginning, in the scale that the network knows.
    pub dataset: Dataset,
    /// Those of which the labels may be used.
    pub labelled: Vec<usize>,
    /// Threads that load.
    pub workers: usize,
}

impl ProbeData {
    /// The map that tells the labels, on `device`.
    ///
    /// # Errors
    /// A sound can't be read.
    pub(crate) fn solve<E: FeatureEncoder>(
        &self,
        network: &ParameterNetwork<E>,
        device: &Device,
    ) -> Result<LinearProbe, TrainerError> {
        let used = evenly(&self.labelled, MOST_LABELS);
        let heard = self.heard(&used);
        let parts = summary_statistics_parts(network.bins);
        let mut values = Vec::with_capacity(heard.len() * parts.iter().sum::<usize>());
        let dataset = Arc::new(self.dataset.with_training(&heard));
        let order = Order::Evaluation(Split::Train);
        for batch in Loader::new(dataset, order, AT_ONCE, self.workers, 0) {
            let batch = TensorBatch::new(&batch?, &device.clone().inner());
            let loudness = network.loudness(batch.spectrogram, &batch.valid_frames);
            let described = summary_statistics(loudness, &batch.valid_frames).into_data();
            values.extend(described.iter::<f64>());
        }
        let descriptions = DMatrix::from_row_iterator(heard.len(), parts.iter().sum(), values);
        let truths = truths(&self.dataset, &used);
        let rows = used.iter().map(|index| {
            let row = heard.binary_search(index);
            row.expect("what is labelled is heard")
        });
        let labels: Vec<_> = rows.zip(truths).collect();
        let classes = network.spec.class_counts();
        let solution = solve(&descriptions, &parts, &labels, &classes);

        let outputs = solution.bias.len();
        let shape = [solution.weight.len() / outputs, outputs];
        let weight = Tensor::from_data(TensorData::new(solution.weight, shape), device);
        let bias = Tensor::from_data(TensorData::new(solution.bias, [outputs]), device);
        let map = LinearProbe::init(network.bins, network.spec.n_continuous(), &classes, device);
        Ok(map.with_weights(weight, bias))
    }

    /// The sounds that are listened to, in order: those whose labels are `used`, and as many others as the axes want.
    fn heard(&self, used: &[usize]) -> Vec<usize> {
        let mut heard: BTreeSet<usize> = used.iter().copied().collect();
        let train = self.dataset.indices(Split::Train).iter();
        let others: Vec<usize> = train
            .filter(|index| !heard.contains(index))
            .copied()
            .collect();
        heard.extend(evenly(&others, MOST_FOR_AXES.saturating_sub(heard.len())));
        heard.into_iter().collect()
    }
}

/// At most so many, from everywhere.
fn evenly(indices: &[usize], most: usize) -> Vec<usize> {
    let count = indices.len().min(most);
    (0..count)
        .map(|i| indices[i * indices.len() / count])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_of_many_come_from_everywhere_and_all_of_few_stay() {
        let many: Vec<usize> = (0..10).collect();
        assert_eq!(evenly(&many, 4), [0, 2, 5, 7]);
        assert_eq!(evenly(&many, 10), many);
        assert_eq!(evenly(&many, 99), many);
        assert!(evenly(&many, 0).is_empty() && evenly(&[], 3).is_empty());
    }
}
