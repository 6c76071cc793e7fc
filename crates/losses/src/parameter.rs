//! Error of estimated synthesizer parameters.

use crate::error::{LossError, in_range};
use crate::loss::assert_same_shape;
use crate::reduction::{at_least_f32, mean_per_item};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

/// Squared error of continuous parameters and cross-entropy of categorical ones.
///
/// ```text
/// l_b    = (cont_b + cat_b) / 2   if both kinds exist, else the existing one
/// cont_b = mean_p (c^_bp - c_bp)^2
/// cat_b  = mean_q H_bq
/// H_bq   = - sum_k t_bqk ln softmax(z_bq)_k
/// t_bqk  = (1 - s) [k = y_bq] + s / K_q
///
/// c^, c  continuous parameters, predicted and true, positions in 0..1
/// z, y   logits and true class of categorical parameter q, which has K_q classes
/// s      label smoothing
/// ```
///
/// Label smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR
/// 2016, section 7.
///
/// Domain: parameter vectors, no sound.
///
/// Differs from the paper: there is one classifier for each categorical parameter, all with the same
/// weight; each item is averaged first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ParameterLoss {
    /// Share of the probability that is spread over all classes, 0 to below 1.
    pub label_smoothing: f64,
}

/// Predicted parameters of a batch.
#[derive(Clone, Debug)]
pub struct ParameterPrediction {
    /// Continuous parameters, `[batch, continuous]`; `None` or width 0 if the synthesizer has none.
    pub continuous: Option<Tensor<2>>,
    /// Logits of each categorical parameter, `[batch, classes]`.
    pub logits: Vec<Tensor<2>>,
}

/// The true parameters of a batch.
#[derive(Clone, Debug)]
pub struct ParameterTarget {
    /// Continuous parameters, `[batch, continuous]`, positions in 0..1.
    pub continuous: Option<Tensor<2>>,
    /// Classes, `[batch, categorical]`, in the order of the logits.
    pub classes: Option<Tensor<2, Int>>,
}

/// Loss and parts of each item. All except `correct` are `[batch]`.
#[derive(Clone, Debug)]
pub struct ParameterScores {
    /// The loss.
    pub loss: Tensor<1>,
    /// Mean squared error of the continuous parameters.
    pub cont_mse: Option<Tensor<1>>,
    /// Mean cross-entropy of the categorical parameters.
    pub cross_entropy: Option<Tensor<1>>,
    /// 1 where the most probable class is the true one, else 0: `[batch, categorical]`.
    pub correct: Option<Tensor<2>>,
}

impl ParameterLoss {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] if the label smoothing isn't in 0 to below 1.
    pub fn validate(&self) -> Result<(), LossError> {
        let holds = (0.0..1.0).contains(&self.label_smoothing);
        let expected = "from 0 to below 1";
        in_range("label_smoothing", self.label_smoothing, holds, expected)
    }

    /// Computes loss and parts of each item.
    ///
    /// # Panics
    /// If prediction and target don't have the same parameters or have none, or a class has no logit.
    pub fn per_item(
        &self,
        prediction: ParameterPrediction,
        target: ParameterTarget,
    ) -> ParameterScores {
        let not_empty = |values: &Tensor<2>| values.dims()[1] > 0;
        let continuous = [prediction.continuous, target.continuous];
        let cont_mse = match <(_, _)>::from(continuous.map(|values| values.filter(not_empty))) {
            (Some(prediction), Some(target)) => Some(squared_error(prediction, target)),
            (None, None) => None,
            (prediction, _) => panic!(
                "prediction and target need the same continuous parameters, only the {} has any",
                if prediction.is_some() {
                    "prediction"
                } else {
                    "target"
                }
            ),
        };
        let n_classes = target
            .classes
            .as_ref()
            .map_or(0, |classes| classes.dims()[1]);
        assert_eq!(
            prediction.logits.len(),
            n_classes,
            "every categorical parameter of the target needs its logits"
        );
        let (cross_entropy, correct) = match target.classes {
            Some(classes) if n_classes > 0 => {
                let (cross_entropy, correct) = self.categorical(prediction.logits, classes);
                (Some(cross_entropy), Some(correct))
            }
            _ => (None, None),
        };
        let loss = match (&cont_mse, &cross_entropy) {
            (Some(cont), Some(cat)) => (cont.clone() + cat.clone()) * 0.5,
            (Some(only), None) | (None, Some(only)) => only.clone(),
            (None, None) => panic!("there are no parameters to compare"),
        };
        ParameterScores {
            loss,
            cont_mse,
            cross_entropy,
            correct,
        }
    }

    /// Mean cross-entropy of each item, `[batch]`, and which classes are correct, `[batch, categorical]`.
    fn categorical(
        &self,
        logits: Vec<Tensor<2>>,
        classes: Tensor<2, Int>,
    ) -> (Tensor<1>, Tensor<2>) {
        let mut entropies = Vec::with_capacity(logits.len());
        let mut correct = Vec::with_capacity(logits.len());
        for (q, logits) in logits.into_iter().enumerate() {
            let logits = at_least_f32(logits);
            assert_classes(q, classes.clone().narrow(1, q, 1), logits.dims()[1]);
            let truth = classes.clone().narrow(1, q, 1);
            let hit = logits.clone().detach().argmax(1).equal(truth.clone());
            correct.push(hit.float().cast(logits.dtype()));
            let log_p = log_softmax(logits, 1);
            let at_truth = log_p.clone().gather(1, truth);
            let everywhere = log_p.mean_dim(1);
            let smoothing = self.label_smoothing;
            entropies.push((at_truth * (1.0 - smoothing) + everywhere * smoothing).neg());
        }
        let entropies = Tensor::cat(entropies, 1);
        let weights = entropies.ones_like();
        (mean_per_item(entropies, weights), Tensor::cat(correct, 1))
    }
}

/// Panics if a class has no logit: `gather` would read beyond the row.
fn assert_classes(parameter: usize, classes: Tensor<2, Int>, count: usize) {
    for class in classes.into_data().iter::<i64>() {
        assert!(
            (0..count as i64).contains(&class),
            "categorical parameter {parameter} has {count} classes, numbered from 0, got class {class}"
        );
    }
}

fn squared_error(prediction: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    assert_same_shape(&prediction, &target);
    let error = (at_least_f32(prediction) - at_least_f32(target)).square();
    let weights = error.ones_like();
    mean_per_item(error, weights)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device};

    fn classes(classes: [[i64; 2]; 3]) -> Option<Tensor<2, Int>> {
        Some(Tensor::from_data(classes, &Device::flex()))
    }

    fn logits(width: usize) -> Tensor<2> {
        let values = Tensor::<1, Int>::arange(0..3 * width as i64, &Device::flex()).float();
        (values * 0.37).sin().reshape([3, width])
    }

    fn numbers(items: Tensor<1>) -> Vec<f32> {
        items.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn continuous_parameters_of_width_0_are_none() {
        let with = |continuous: Option<Tensor<2>>| {
            let prediction = ParameterPrediction {
                continuous: continuous.clone(),
                logits: vec![logits(4), logits(5)],
            };
            let target = ParameterTarget {
                continuous,
                classes: classes([[3, 0], [0, 4], [1, 2]]),
            };
            ParameterLoss::default().per_item(prediction, target)
        };
        let empty = with(Some(Tensor::zeros([3, 0], &Device::flex())));
        assert!(empty.cont_mse.is_none());
        assert_eq!(numbers(empty.loss), numbers(with(None).loss));
    }

    #[test]
    fn the_only_kind_of_parameters_is_the_whole_loss() {
        let score = |continuous: bool, categorical: bool| {
            let prediction = ParameterPrediction {
                continuous: continuous.then(|| logits(7)),
                logits: if categorical {
                    vec![logits(4), logits(5)]
                } else {
                    vec![]
                },
            };
            let target = ParameterTarget {
                continuous: continuous.then(|| logits(7) * 0.5),
                classes: classes([[3, 0], [0, 4], [1, 2]]).filter(|_| categorical),
            };
            ParameterLoss::default().per_item(prediction, target)
        };
        let categorical = score(false, true);
        assert!(categorical.cont_mse.is_none());
        let loss = numbers(categorical.loss);
        assert!(loss.iter().all(|&loss| loss > 0.1), "{loss:?}");
        assert_eq!(loss, numbers(categorical.cross_entropy.unwrap()));

        let continuous = score(true, false);
        assert!(continuous.cross_entropy.is_none() && continuous.correct.is_none());
        let loss = numbers(continuous.loss);
        assert!(loss.iter().all(|&loss| loss > 0.01), "{loss:?}");
        assert_eq!(loss, numbers(continuous.cont_mse.unwrap()));
    }

    #[test]
    #[should_panic(expected = "parameter 1 has 5 classes, numbered from 0, got class 5")]
    fn a_class_without_a_logit_is_refused() {
        let prediction = ParameterPrediction {
            continuous: None,
            logits: vec![logits(4), logits(5)],
        };
        let target = ParameterTarget {
            continuous: None,
            classes: classes([[3, 0], [0, 5], [1, 2]]),
        };
        ParameterLoss::default().per_item(prediction, target);
    }

    #[test]
    fn label_smoothing_is_a_share() {
        let validate = |label_smoothing| ParameterLoss { label_smoothing }.validate();
        for share in [0.0, 0.1, 0.999] {
            assert_eq!(validate(share), Ok(()));
        }
        for share in [-0.1, 1.0, f64::NAN] {
            let refusal = validate(share).unwrap_err().to_string();
            assert!(refusal.starts_with("`label_smoothing` has to be from 0 to below 1"));
        }
    }

    #[test]
    fn half_precision_is_computed_in_f32() {
        let evaluate = |dtype: DType| {
            // Rounded to half precision first, so that both see the same numbers.
            let half = |x: Tensor<2>| x.cast(DType::BF16).cast(dtype);
            let prediction = ParameterPrediction {
                continuous: Some(half(logits(7))),
                logits: vec![half(logits(4)), half(logits(5))],
            };
            let target = ParameterTarget {
                continuous: Some(half(logits(7) * 0.5)),
                classes: classes([[3, 0], [0, 4], [1, 2]]),
            };
            let loss = ParameterLoss {
                label_smoothing: 0.1,
            };
            numbers(loss.per_item(prediction, target).loss)
        };
        assert_eq!(evaluate(DType::BF16), evaluate(DType::F32));
    }
}
