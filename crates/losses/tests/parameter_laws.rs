//! Properties of the parameter loss.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use losses::{ParameterLoss, ParameterPrediction, ParameterTarget, mean_over_batch};
use proptest::prelude::*;

const CONTINUOUS: usize = 4;
const CLASSES: [usize; 3] = [2, 5, 3];

/// A batch as plain numbers: continuous parameters and all logits, item after item.
#[derive(Clone, Debug)]
struct Batch {
    items: usize,
    continuous: Vec<f64>,
    logits: [Vec<f64>; 3],
    target: Vec<f64>,
    classes: Vec<i64>,
    label_smoothing: f64,
}

/// Loss of each item, and the gradients of the batch's loss: of the continuous parameters and of each
/// categorical parameter's logits.
type Outcome = (Vec<f64>, [Vec<f64>; 4]);

impl Batch {
    fn evaluate(&self) -> Outcome {
        let device = Device::flex().autodiff();
        let floats = |values: &[f64], width: usize| {
            let values = TensorData::new(values.to_vec(), [self.items, width]);
            Tensor::<2>::from_data(values, (&device, DType::F64))
        };
        let continuous = floats(&self.continuous, CONTINUOUS).require_grad();
        let logits: Vec<Tensor<2>> = self
            .logits
            .iter()
            .zip(CLASSES)
            .map(|(logits, n)| floats(logits, n).require_grad())
            .collect();
        let classes = TensorData::new(self.classes.clone(), [self.items, CLASSES.len()]);
        let loss = ParameterLoss {
            label_smoothing: self.label_smoothing,
        };
        let scores = loss.per_item(
            ParameterPrediction {
                continuous: Some(continuous.clone()),
                logits: logits.clone(),
            },
            ParameterTarget {
                continuous: Some(floats(&self.target, CONTINUOUS)),
                classes: Some(Tensor::<2, Int>::from_data(classes, &device)),
            },
        );
        let gradients = mean_over_batch(scores.loss.clone()).backward();
        let slopes = |x: &Tensor<2>| {
            let slopes = x.grad(&gradients).unwrap();
            slopes.into_data().iter::<f64>().collect::<Vec<f64>>()
        };
        let items = scores.loss.into_data().iter::<f64>().collect();
        let [a, b, c] = &logits[..] else {
            unreachable!("three categorical parameters")
        };
        (items, [&continuous, a, b, c].map(slopes))
    }

    /// The numbers with gradients, in the order of an [`Outcome`].
    fn inputs(&mut self) -> [&mut Vec<f64>; 4] {
        let [a, b, c] = &mut self.logits;
        [&mut self.continuous, a, b, c]
    }

    fn items(&self, order: &[usize]) -> Batch {
        fn rows<T: Copy>(values: &[T], width: usize, order: &[usize]) -> Vec<T> {
            let row = |&item: &usize| &values[item * width..(item + 1) * width];
            order.iter().flat_map(row).copied().collect()
        }
        Batch {
            items: order.len(),
            continuous: rows(&self.continuous, CONTINUOUS, order),
            logits: std::array::from_fn(|q| rows(&self.logits[q], CLASSES[q], order)),
            target: rows(&self.target, CONTINUOUS, order),
            classes: rows(&self.classes, CLASSES.len(), order),
            label_smoothing: self.label_smoothing,
        }
    }
}

fn batches() -> impl Strategy<Value = Batch> {
    (1_usize..5, 0.0_f64..0.9).prop_flat_map(|(items, label_smoothing)| {
        let position = || {
            prop::collection::vec(
                (0_u32..=64).prop_map(|x| x as f64 / 64.0),
                items * CONTINUOUS,
            )
        };
        let logits = |n: usize| prop::collection::vec(-6.0_f64..6.0, items * n);
        let logits = CLASSES.map(logits);
        let classes = prop::collection::vec(CLASSES.map(|n| 0..n as i64), items);
        (position(), position(), logits, classes).prop_map(
            move |(continuous, target, logits, classes)| Batch {
                items,
                continuous,
                logits,
                target,
                classes: classes.into_iter().flatten().collect(),
                label_smoothing,
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_gradient_is_the_finite_difference(batch in batches()) {
        let step = 1e-6;
        let (_, gradients) = batch.evaluate();
        for (input, gradient) in gradients.iter().enumerate() {
            let largest = gradient.iter().fold(1e-2_f64, |m, x| m.max(x.abs()));
            for (i, slope) in gradient.iter().enumerate() {
                let at = |offset: f64| {
                    let mut moved = batch.clone();
                    moved.inputs()[input][i] += offset;
                    let (items, _) = moved.evaluate();
                    items.iter().sum::<f64>() / items.len() as f64
                };
                let difference = (at(step) - at(-step)) / (2.0 * step);
                // The gradient of a mean is divided by the number of items in f32.
                prop_assert!(
                    (slope - difference).abs() <= 1e-5 * largest,
                    "input {input}, value {i}: {slope}, {difference}"
                );
            }
        }
    }

    #[test]
    fn an_item_costs_what_it_costs_alone_in_any_order(batch in batches()) {
        let backwards: Vec<usize> = (0..batch.items).rev().collect();
        let (together, _) = batch.items(&backwards).evaluate();
        for (item, got) in backwards.into_iter().zip(together) {
            let (alone, _) = batch.items(&[item]).evaluate();
            prop_assert!((got - alone[0]).abs() <= 1e-12 * alone[0].max(1.0));
        }
    }

    #[test]
    fn a_constant_on_all_logits_changes_nothing(batch in batches(), by in -50.0_f64..50.0) {
        let mut shifted = batch.clone();
        for logits in &mut shifted.logits {
            logits.iter_mut().for_each(|logit| *logit += by);
        }
        let ((items, _), (others, _)) = (batch.evaluate(), shifted.evaluate());
        for (item, other) in items.iter().zip(others) {
            prop_assert!((item - other).abs() < 1e-9, "{item} {other}");
        }
    }

    #[test]
    fn exact_positions_have_no_loss_and_no_gradient(batch in batches()) {
        let exact = Batch { continuous: batch.target.clone(), ..batch };
        let (_, [gradient, ..]) = exact.evaluate();
        prop_assert!(gradient.iter().all(|&slope| slope == 0.0), "{gradient:?}");
    }
}

#[test]
fn equal_logits_cost_the_logarithm_of_the_classes() {
    let batch = Batch {
        items: 2,
        continuous: vec![0.5; 2 * CONTINUOUS],
        logits: CLASSES.map(|n| vec![0.7; 2 * n]),
        target: vec![0.5; 2 * CONTINUOUS],
        classes: vec![0, 4, 1, 1, 0, 2],
        label_smoothing: 0.2,
    };
    let mean = CLASSES.map(|n| (n as f64).ln()).iter().sum::<f64>() / 3.0;
    let (items, gradients) = batch.evaluate();
    for item in items {
        assert!((item - mean / 2.0).abs() < 1e-9, "{item}, {mean}");
    }
    assert!(gradients.iter().flatten().all(|slope| slope.is_finite()));
}
