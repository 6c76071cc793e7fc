//! Scores of a whole split: means over its examples, whatever the batches.

use burn::tensor::{Tensor, TensorData, Transaction};
use stft_data::{EVALUATION_EPOCH, Loader, Order, Spectrogram};

use crate::data::batch::TensorBatch;
use crate::error::TrainerError;
use crate::output::illustration::Illustration;
use crate::training::evaluation::Evaluation;
use crate::training::task::{ScoreName, Scores, Task};

impl Evaluation {
    /// Means of `model`'s scores over the split's examples, by name.
    ///
    /// # Errors
    /// An example can't be read.
    pub fn scores<T: Task>(
        &self,
        task: &T,
        model: &T::Model,
    ) -> Result<Vec<(ScoreName, f64)>, TrainerError> {
        self.means(|batch| task.scores(model, batch))
    }

    /// Means of the baseline's scores over the same examples, by name.
    ///
    /// # Errors
    /// An example can't be read.
    pub fn baseline<T: Task>(&self, task: &T) -> Result<Vec<(ScoreName, f64)>, TrainerError> {
        let mean = self.dataset.mean_spectrogram();
        let data = TensorData::new(mean.values, [mean.bins, mean.frames]);
        let mean = Tensor::<2>::from_data(data, &self.device);
        self.means(|batch| task.baseline(mean.clone(), batch))
    }

    /// `count` examples, spread evenly over the split, with `model`'s reconstructions; none where it makes none.
    ///
    /// # Errors
    /// An example can't be read.
    pub fn illustrate<T: Task>(
        &self,
        task: &T,
        model: &T::Model,
        count: usize,
    ) -> Result<Vec<Illustration>, TrainerError> {
        let indices = self.dataset.indices(self.split);
        let count = count.min(indices.len());
        let mut illustrations = Vec::with_capacity(count);
        for place in 0..count {
            let index = indices[place * indices.len() / count];
            let batch = self.dataset.batch(&[(index, EVALUATION_EPOCH)])?;
            let tensors = TensorBatch::new(&batch, &self.device);
            let Some(values) = task.reconstruct(model, &tensors) else {
                return Ok(Vec::new());
            };
            let values = values.into_data();
            let reconstruction = Spectrogram {
                values: values.try_to_vec().expect("models compute in f32"),
                bins: batch.bins,
                frames: batch.frames,
            };
            let illustration = Illustration::new(&self.dataset, batch, reconstruction)?;
            illustrations.push(illustration);
        }
        Ok(illustrations)
    }

    fn means(
        &self,
        score: impl Fn(&TensorBatch) -> Scores,
    ) -> Result<Vec<(ScoreName, f64)>, TrainerError> {
        let order = Order::Evaluation(self.split);
        let loader = Loader::new(
            self.dataset.clone(),
            order,
            self.batch_size,
            self.workers,
            0,
        );
        let mut sums: Vec<(ScoreName, f64)> = Vec::new();
        let mut examples = 0.0;
        for batch in loader {
            let batch = batch?;
            let tensors = TensorBatch::new(&batch, &self.device);
            let scores = score(&tensors);
            let scores = scores.with_parameter_errors(&tensors, self.dataset.source().spec());
            let names: Vec<_> = scores.named().map(|(name, _)| name).collect();
            let reading = scores
                .named()
                .map(|(_, values)| values)
                .chain(&scores.counted)
                .fold(Transaction::default(), |reading, values| {
                    reading.register(values.clone())
                });
            let mut columns: Vec<Vec<f32>> = reading
                .execute()
                .into_iter()
                .map(|values| values.try_to_vec().expect("scores are f32"))
                .collect();
            let counted = match columns.len() > names.len() {
                true => columns.pop().expect("it is the last one"),
                false => vec![1.0; batch.batch],
            };
            examples += counted.iter().copied().map(f64::from).sum::<f64>();
            for (place, (name, values)) in names.into_iter().zip(columns).enumerate() {
                let weighted = std::iter::zip(&values, &counted);
                let sum: f64 = weighted.map(|(x, w)| f64::from(x * w)).sum();
                match sums.get_mut(place) {
                    Some((_, total)) => *total += sum,
                    None => sums.push((name, sum)),
                }
            }
        }
        let mean = |(name, sum)| (name, sum / f64::max(examples, 1.0));
        Ok(sums.into_iter().map(mean).collect())
    }
}
