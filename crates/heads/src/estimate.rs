//! Predicted parameters of a batch.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

/// Predicted parameters of a batch.
#[derive(Clone, Debug)]
pub struct ParameterEstimate {
    /// Continuous parameters, `[batch, continuous]`, as positions in 0..1; none where there are none.
    pub continuous: Option<Tensor<2>>,
    /// Logits of each categorical parameter, `[batch, classes]`.
    pub logits: Vec<Tensor<2>>,
}

/// Least probability, so that its logarithm is finite.
const LEAST_PROBABILITY: f64 = 1e-12;

impl ParameterEstimate {
    /// Splits outputs, `[batch, outputs]`, into continuous parameters and the logits of each categorical one, in this
    /// order. `position` maps the former to 0..1.
    pub(crate) fn of_outputs(
        outputs: Tensor<2>,
        n_continuous: usize,
        class_counts: &[usize],
        position: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> Self {
        let mut start = n_continuous;
        let logits = class_counts.iter().map(|&classes| {
            start += classes;
            outputs.clone().narrow(1, start - classes, classes)
        });
        let logits = logits.collect();
        let continuous = (n_continuous > 0).then(|| position(outputs.narrow(1, 0, n_continuous)));
        Self { continuous, logits }
    }

    /// The weighted mean of two estimates, with weight `share` of `other`: of positions, and of the probabilities of
    /// classes.
    ///
    /// # Panics
    /// If they don't have the same parameters and items.
    pub fn mean_with(self, other: Self, share: f64) -> Self {
        assert_eq!(
            self.logits.len(),
            other.logits.len(),
            "both estimates need the same categorical parameters"
        );
        let mean = |one: Tensor<2>, other: Tensor<2>| one * (1.0 - share) + other * share;
        let logits = std::iter::zip(self.logits, other.logits).map(|(one, other)| {
            let [one, other] = [one, other].map(|logits| softmax(logits, 1));
            mean(one, other).clamp_min(LEAST_PROBABILITY).log()
        });
        Self {
            logits: logits.collect(),
            continuous: match (self.continuous, other.continuous) {
                (Some(one), Some(other)) => Some(mean(one, other)),
                (None, None) => None,
                _ => panic!("both estimates need the same continuous parameters"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn estimate(positions: [f32; 2], probabilities: [f32; 3]) -> ParameterEstimate {
        let device = Device::flex();
        ParameterEstimate {
            continuous: Some(Tensor::from_data([positions], &device)),
            // Logits may be off by any constant.
            logits: vec![Tensor::from_data(
                [probabilities.map(|p| p.ln() + 7.0)],
                &device,
            )],
        }
    }

    #[test]
    fn positions_and_probabilities_are_averaged() {
        let one = estimate([0.2, 0.8], [0.5, 0.25, 0.25]);
        let other = estimate([0.6, 0.8], [0.1, 0.8, 0.1]);
        let mean = one.mean_with(other, 0.25);
        let list = |x: Tensor<2>| x.into_data().try_to_vec::<f32>().unwrap();
        let close = |got: Vec<f32>, expected: &[f32]| {
            assert_eq!(got.len(), expected.len());
            for (got, expected) in got.iter().zip(expected) {
                assert!((got - expected).abs() < 1e-6, "{got} {expected}");
            }
        };
        close(list(mean.continuous.unwrap()), &[0.3, 0.8]);
        let logits = mean.logits[0].clone();
        close(list(logits.exp()), &[0.4, 0.3875, 0.2125]);
    }

    #[test]
    fn a_probability_of_zero_has_a_finite_logarithm() {
        let sure = || estimate([0.0, 1.0], [1.0, 0.0, 0.0]);
        let logits = sure().mean_with(sure(), 0.5).logits[0].clone();
        let values = logits.into_data().try_to_vec::<f32>().unwrap();
        assert!(values.iter().all(|x| x.is_finite()), "{values:?}");
    }
}
