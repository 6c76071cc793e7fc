//! L1 and L2 distance between spectrograms.

use crate::reduction::{mean_over_batch, mean_per_item};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// How an error is measured; `"l1"` or `"l2"` in a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Absolute error. Its gradient has the same size for every error, and is 0 at 0.
    L1,
    /// Squared error (not its root).
    L2,
}

/// Mean error of a predicted spectrogram over the elements that count.
///
/// ```text
/// L1: l_b = sum_ft w_bft |x^_bft - x_bft|   / max(1, sum_ft w_bft)
/// L2: l_b = sum_ft w_bft (x^_bft - x_bft)^2 / max(1, sum_ft w_bft)
///
/// x^  prediction,  x  target,  b  item,  f  bin,  t  frame
/// w   1 where the bin counts, 0 elsewhere
/// ```
///
/// With [`valid_weights`](crate::valid_weights) this is the plain reconstruction loss, without the
/// padding; with [`hidden_weights`](crate::hidden_weights) it is the loss of a masked autoencoder
/// (He et al., "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022, section 3).
///
/// Domain: any in which differences mean something (magnitude, log1p, normalised); the unit of L1 is
/// that of the spectrogram, the unit of L2 its square.
///
/// Differs from the paper: He et al. average over all hidden elements of the batch; here each
/// example is averaged first, so that an example weighs the same with many hidden bins as with few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MagnitudeLoss {
    /// How an error is measured.
    pub norm: Norm,
}

impl MagnitudeLoss {
    /// The loss of each item.
    ///
    /// # Shapes
    /// - prediction, target, weights: `[batch, bins, frames]`
    /// - output: `[batch]`
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn per_item(
        &self,
        prediction: Tensor<3>,
        target: Tensor<3>,
        weights: Tensor<3>,
    ) -> Tensor<1> {
        assert_eq!(
            prediction.dims(),
            target.dims(),
            "the prediction needs the shape of its target"
        );
        let error = prediction - target;
        let size = match self.norm {
            Norm::L1 => error.abs(),
            Norm::L2 => error.square(),
        };
        mean_per_item(size, weights)
    }

    /// The loss of the batch: the mean of its items' losses.
    ///
    /// # Shapes
    /// - prediction, target, weights: `[batch, bins, frames]`
    /// - output: `[1]`
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn forward(
        &self,
        prediction: Tensor<3>,
        target: Tensor<3>,
        weights: Tensor<3>,
    ) -> Tensor<1> {
        mean_over_batch(self.per_item(prediction, target, weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection::valid_weights;
    use burn::tensor::{Device, TensorData};
    use proptest::prelude::*;

    const BOTH: [Norm; 2] = [Norm::L1, Norm::L2];

    /// A batch as plain numbers, so that laws can cut, swap and alter it.
    #[derive(Clone, Debug)]
    struct Batch {
        shape: [usize; 3],
        prediction: Vec<f32>,
        target: Vec<f32>,
        weights: Vec<f32>,
    }

    impl Batch {
        fn items(&self, items: &[usize]) -> Batch {
            let [_, bins, frames] = self.shape;
            let pick = |values: &[f32]| {
                let of = |item: &usize| &values[item * bins * frames..(item + 1) * bins * frames];
                items.iter().flat_map(of).copied().collect::<Vec<f32>>()
            };
            Batch {
                shape: [items.len(), bins, frames],
                prediction: pick(&self.prediction),
                target: pick(&self.target),
                weights: pick(&self.weights),
            }
        }

        fn per_item(&self, norm: Norm) -> Vec<f32> {
            let (_, items) = self.evaluate(norm);
            items
        }

        fn batch_loss(&self, norm: Norm) -> f32 {
            let [prediction, target, weights] = self.tensors();
            let loss = MagnitudeLoss { norm }.forward(prediction, target, weights);
            loss.into_scalar()
        }

        fn gradient(&self, norm: Norm) -> Vec<f32> {
            let (gradient, _) = self.evaluate(norm);
            gradient
        }

        fn evaluate(&self, norm: Norm) -> (Vec<f32>, Vec<f32>) {
            let [prediction, target, weights] = self.tensors();
            let prediction = prediction.require_grad();
            let items = MagnitudeLoss { norm }.per_item(prediction.clone(), target, weights);
            let gradients = mean_over_batch(items.clone()).backward();
            let gradient = prediction.grad(&gradients).unwrap();
            (
                gradient.into_data().try_to_vec().unwrap(),
                items.into_data().try_to_vec().unwrap(),
            )
        }

        fn tensors(&self) -> [Tensor<3>; 3] {
            let device = Device::flex().autodiff();
            [&self.prediction, &self.target, &self.weights].map(|values| {
                Tensor::from_data(TensorData::new(values.clone(), self.shape), &device)
            })
        }
    }

    fn batches() -> impl Strategy<Value = Batch> {
        (2_usize..5, 1_usize..4, 1_usize..6).prop_flat_map(|(batch, bins, frames)| {
            let n = batch * bins * frames;
            let values = || prop::collection::vec(-3.0_f32..3.0, n);
            let weights = prop::collection::vec(prop::sample::select(vec![0.0_f32, 1.0]), n);
            (values(), values(), weights).prop_map(move |(prediction, target, weights)| Batch {
                shape: [batch, bins, frames],
                prediction,
                target,
                weights,
            })
        })
    }

    fn close(got: f32, expected: f32) -> bool {
        (got - expected).abs() <= 1e-5 * expected.abs().max(1.0)
    }

    proptest! {
        #[test]
        fn exact_reconstruction_costs_nothing_and_pulls_nowhere(batch in batches()) {
            let exact = Batch { prediction: batch.target.clone(), ..batch };
            for norm in BOTH {
                prop_assert!(exact.per_item(norm).iter().all(|&loss| loss == 0.0));
                prop_assert!(exact.gradient(norm).iter().all(|&slope| slope == 0.0));
            }
        }

        #[test]
        fn a_batch_is_the_mean_of_its_items_for_any_split(batch in batches(), cut in 0.0_f64..1.0) {
            let n = batch.shape[0];
            let cut = 1 + (cut * (n - 1) as f64) as usize;
            let (left, right): (Vec<usize>, Vec<usize>) = (0..n).partition(|&item| item < cut);
            for norm in BOTH {
                let whole = batch.batch_loss(norm);
                let mut items = batch.items(&left).per_item(norm);
                if !right.is_empty() {
                    items.extend(batch.items(&right).per_item(norm));
                }
                prop_assert_eq!(items.len(), n);
                prop_assert!(close(whole, items.iter().sum::<f32>() / n as f32));
            }
        }

        #[test]
        fn permuting_the_batch_permutes_the_items(batch in batches()) {
            let order: Vec<usize> = (0..batch.shape[0]).rev().collect();
            for norm in BOTH {
                let mut expected = batch.per_item(norm);
                expected.reverse();
                prop_assert_eq!(batch.items(&order).per_item(norm), expected);
            }
        }

        #[test]
        fn what_is_not_selected_never_matters(batch in batches(), other in -9.0_f32..9.0) {
            let mut altered = batch.clone();
            for (i, weight) in batch.weights.iter().enumerate() {
                if *weight == 0.0 {
                    altered.prediction[i] = other;
                    altered.target[i] = -other;
                }
            }
            for norm in BOTH {
                prop_assert_eq!(batch.per_item(norm), altered.per_item(norm));
                let gradient = altered.gradient(norm);
                prop_assert_eq!(&gradient, &batch.gradient(norm));
                for (slope, weight) in gradient.iter().zip(&batch.weights) {
                    prop_assert!(*weight == 1.0 || *slope == 0.0);
                }
            }
        }

        #[test]
        fn l1_scales_with_the_error_and_l2_with_its_square(batch in batches(), scale in 0.1_f32..5.0) {
            let mut scaled = batch.clone();
            for x in scaled.prediction.iter_mut().chain(&mut scaled.target) {
                *x *= scale;
            }
            for (norm, factor) in [(Norm::L1, scale), (Norm::L2, scale * scale)] {
                for (got, once) in scaled.per_item(norm).iter().zip(batch.per_item(norm)) {
                    prop_assert!(close(*got, factor * once), "{norm:?}: {got} of {once}");
                }
            }
        }

        #[test]
        fn the_gradient_is_the_finite_difference(batch in batches()) {
            // Far from the kink of L1, and a step at which f32 keeps four digits of the difference.
            let step = 0.01;
            let mut batch = batch;
            for (x, y) in batch.prediction.iter_mut().zip(&batch.target) {
                if (*x - y).abs() < 2.0 * step {
                    *x = y + 0.5;
                }
            }
            for norm in BOTH {
                for (i, slope) in batch.gradient(norm).into_iter().enumerate() {
                    let at = |offset: f32| {
                        let mut moved = batch.clone();
                        moved.prediction[i] += offset;
                        moved.batch_loss(norm)
                    };
                    let difference = (at(step) - at(-step)) / (2.0 * step);
                    prop_assert!((slope - difference).abs() < 2e-3, "{norm:?}: {slope}, {difference}");
                }
            }
        }
    }

    #[test]
    fn an_item_that_is_all_padding_is_zero_and_harmless() {
        let shape = [3, 2, 4];
        let weights = valid_weights(shape, &[4, 0, 1], &Device::flex());
        let batch = Batch {
            shape,
            prediction: (0..24).map(|i| i as f32).collect(),
            target: vec![-1.0; 24],
            weights: weights.into_data().try_to_vec().unwrap(),
        };
        for norm in BOTH {
            let (gradient, items) = batch.evaluate(norm);
            assert_eq!(items[1], 0.0);
            assert!(items[0] > 0.0 && items[2] > 0.0);
            assert!(gradient.iter().all(|slope| slope.is_finite()));
            assert_eq!(gradient[8..16], [0.0; 8]);
            assert!(gradient[0] > 0.0);
        }
    }

    #[test]
    fn norms_are_written_in_lower_case() {
        for (norm, name) in [(Norm::L1, "\"l1\""), (Norm::L2, "\"l2\"")] {
            assert_eq!(serde_json::to_string(&norm).unwrap(), name);
            assert_eq!(serde_json::from_str::<Norm>(name).unwrap(), norm);
        }
        assert!(serde_json::from_str::<Norm>("\"L1\"").is_err());
    }

    #[test]
    #[should_panic(expected = "the prediction needs the shape of its target")]
    fn a_prediction_of_another_shape_is_refused() {
        let device = Device::flex();
        let (ones, other) = (
            Tensor::ones([2, 3, 4], &device),
            Tensor::ones([2, 3, 1], &device),
        );
        MagnitudeLoss { norm: Norm::L1 }.forward(ones.clone(), other, ones);
    }
}
