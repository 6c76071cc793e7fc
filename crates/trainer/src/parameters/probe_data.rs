//! The sounds that a linear probe is fitted to.

use std::collections::BTreeSet;
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};
use heads::{LinearProbe, summary_statistics, summary_statistics_parts};
use nalgebra::DMatrix;
use stft_data::{Dataset, Loader, Order, Split};

use crate::data::batch::TensorBatch;
use crate::error::TrainerError;
use crate::parameters::average::truths;
use crate::parameters::feature_encoder::FeatureEncoder;
use crate::parameters::network::ParameterNetwork;
use crate::parameters::probe::{MOST_FOR_AXES, fit};

/// Most labels that are used: their statistics are held in memory, and more change little.
const MOST_LABELS: usize = 4000;

/// Sounds whose statistics are computed at once.
const AT_ONCE: usize = 32;

/// The training split, and those of its sounds whose labels may be used.
pub struct ProbeData {
    /// All of the training split, each sound from its beginning, in the scale of the network.
    pub dataset: Dataset,
    /// Indices of the sounds whose labels may be used.
    pub labelled: Vec<usize>,
    /// Loader threads.
    pub workers: usize,
}

impl ProbeData {
    /// Fits the probe to the labels, in closed form, on `device`.
    ///
    /// # Errors
    /// A sound can't be read.
    pub(crate) fn fit<E: FeatureEncoder>(
        &self,
        network: &ParameterNetwork<E>,
        device: &Device,
    ) -> Result<LinearProbe, TrainerError> {
        let used = evenly(&self.labelled, MOST_LABELS);
        let sounds = self.sounds(&used);
        let parts = summary_statistics_parts(network.bins);
        let mut values = Vec::with_capacity(sounds.len() * parts.iter().sum::<usize>());
        let dataset = Arc::new(self.dataset.with_training(&sounds));
        let order = Order::Evaluation(Split::Train);
        for batch in Loader::new(dataset, order, AT_ONCE, self.workers, 0) {
            let batch = TensorBatch::new(&batch?, &device.clone().inner());
            let loudness = network.loudness(batch.spectrogram, &batch.valid_frames);
            let statistics = summary_statistics(loudness, &batch.valid_frames).into_data();
            values.extend(statistics.iter::<f64>());
        }
        let statistics = DMatrix::from_row_iterator(sounds.len(), parts.iter().sum(), values);
        let truths = truths(&self.dataset, &used);
        let rows = used.iter().map(|index| {
            let row = sounds.binary_search(index);
            row.expect("labelled sounds are among them")
        });
        let labels: Vec<_> = rows.zip(truths).collect();
        let classes = network.spec.class_counts();
        let solution = fit(&statistics, &parts, &labels, &classes);

        let outputs = solution.bias.len();
        let shape = [solution.weight.len() / outputs, outputs];
        let weight = Tensor::from_data(TensorData::new(solution.weight, shape), device);
        let bias = Tensor::from_data(TensorData::new(solution.bias, [outputs]), device);
        let probe = LinearProbe::init(network.bins, network.spec.n_continuous(), &classes, device);
        Ok(probe.with_weights(weight, bias))
    }

    /// The sounds whose statistics are used, in order: those whose labels are `used`, and others for the principal axes.
    fn sounds(&self, used: &[usize]) -> Vec<usize> {
        let mut sounds: BTreeSet<usize> = used.iter().copied().collect();
        let train = self.dataset.indices(Split::Train).iter();
        let others: Vec<usize> = train
            .filter(|index| !sounds.contains(index))
            .copied()
            .collect();
        sounds.extend(evenly(&others, MOST_FOR_AXES.saturating_sub(sounds.len())));
        sounds.into_iter().collect()
    }
}

/// At most `most` of `indices`, evenly spread.
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
