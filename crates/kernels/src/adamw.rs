//! A step of AdamW.

#[cfg(feature = "flex")]
mod fused;

#[cfg(feature = "flex")]
use crate::cpu::backend::is_fused_without_autodiff;
use burn::tensor::Tensor;

/// The settings of a step of [`adamw`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// The number of the step, from 1 on.
    pub time: usize,
    /// Learning rate: the factor of the update.
    pub learning_rate: f64,
    /// Weight decay: the share of the parameter that is subtracted, per unit of learning rate.
    pub weight_decay: f32,
    /// Decay of the running mean of gradients.
    pub beta_1: f32,
    /// Decay of the running mean of squared gradients.
    pub beta_2: f32,
    /// Added to the root of the second moment, against division by zero.
    pub epsilon: f32,
}

/// One AdamW step: returns the new parameter and its two moments.
///
/// ```text
/// m = beta_1 m + (1 - beta_1) g
/// v = beta_2 v + (1 - beta_2) g^2
/// p = (1 - lr decay) p - lr (m / (1 - beta_1^t)) / (sqrt(v / (1 - beta_2^t)) + epsilon)
/// ```
///
/// Loshchilov & Hutter 2019, algorithm 2, where `t` is the number of the step. Without moments, as at the first
/// step, they begin at 0.
///
/// On the CPU every value is read and written once. Tensors that are not shared are overwritten.
///
/// # Shapes
/// All tensors have the same shape.
///
/// # Panics
/// If they don't, or the time is 0.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use kernels::{AdamWStep, adamw};
///
/// let device = Device::flex();
/// let step = AdamWStep {
///     time: 1,
///     learning_rate: 0.125,
///     weight_decay: 0.0,
///     beta_1: 0.9,
///     beta_2: 0.999,
///     epsilon: 0.0,
/// };
/// let parameter = Tensor::<1>::from_data([1.0, 1.0], &device);
/// // The first step doesn't depend on the size of a gradient.
/// let gradient = Tensor::<1>::from_data([1e-3, -20.0], &device);
/// let (parameter, _moments) = adamw(step, parameter, gradient, None);
/// let values = parameter.into_data().try_to_vec::<f32>().unwrap();
/// assert!((values[0] - 0.875).abs() < 1e-6 && (values[1] - 1.125).abs() < 1e-6);
/// ```
pub fn adamw<const D: usize>(
    step: AdamWStep,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    moments: Option<[Tensor<D>; 2]>,
) -> (Tensor<D>, [Tensor<D>; 2]) {
    assert!(step.time > 0, "steps are counted from 1, got 0");
    let moments = moments.unwrap_or_else(|| [parameter.zeros_like(), parameter.zeros_like()]);
    for (name, tensor) in [
        ("gradient", &gradient),
        ("the first moment", &moments[0]),
        ("the second moment", &moments[1]),
    ] {
        let (expected, got) = (parameter.dims(), tensor.dims());
        assert_eq!(expected, got, "the shape of {name} must be as expected");
    }
    #[cfg(feature = "flex")]
    if [&parameter, &gradient, &moments[0], &moments[1]]
        .into_iter()
        .all(is_fused_without_autodiff)
    {
        return fused::adamw(&step.factors(), parameter, gradient, moments);
    }
    stock(&step.factors(), parameter, gradient, moments)
}

/// The factors of a step.
#[derive(Clone, Copy, Debug)]
struct Factors {
    /// The factors of the old parameter, first moment and second moment.
    keep: [f32; 3],
    /// The factors of the gradient and of its square in the new moments.
    add: [f32; 2],
    /// `lr / (1 - beta_1^t)`, and `1 / (1 - beta_2^t)`
    rate: f32,
    square_rate: f32,
    epsilon: f32,
}

impl AdamWStep {
    fn factors(&self) -> Factors {
        // In f64: with beta_2 near 1, only the last digits of its power matter at first.
        let corrected = |beta: f32| {
            let power = f64::from(beta).powf(self.time as f64);
            1.0 / (1.0 - power)
        };
        let decay = self.learning_rate * f64::from(self.weight_decay);
        Factors {
            keep: [(1.0 - decay) as f32, self.beta_1, self.beta_2],
            add: [1.0 - self.beta_1, 1.0 - self.beta_2],
            rate: (self.learning_rate * corrected(self.beta_1)) as f32,
            square_rate: corrected(self.beta_2) as f32,
            epsilon: self.epsilon,
        }
    }
}

fn stock<const D: usize>(
    factors: &Factors,
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    [mean, square]: [Tensor<D>; 2],
) -> (Tensor<D>, [Tensor<D>; 2]) {
    let Factors {
        keep,
        add,
        rate,
        square_rate,
        epsilon,
    } = *factors;
    let mean = mean * keep[1] + gradient.clone() * add[0];
    let square = square * keep[2] + gradient.square() * add[1];
    let root = (square.clone() * square_rate).sqrt() + epsilon;
    (
        parameter * keep[0] - mean.clone() * rate / root,
        [mean, square],
    )
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::optim::{AdamWConfig, AdamWState, Optimizer};
    use burn::tensor::{Device, Distribution};
    use proptest::prelude::*;

    const STEP: AdamWStep = AdamWStep {
        time: 1,
        learning_rate: 0.01,
        weight_decay: 0.1,
        beta_1: 0.9,
        beta_2: 0.99,
        epsilon: 1e-8,
    };

    fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
        tensor.clone().into_data().try_to_vec().unwrap()
    }

    fn furthest<const D: usize>(left: &Tensor<D>, right: &Tensor<D>) -> f32 {
        let (left, right) = (values(left), values(right));
        assert_eq!(left.len(), right.len());
        let apart = left.iter().zip(right).map(|(l, r)| (l - r).abs());
        apart.fold(0.0, f32::max)
    }

    fn random(rows: usize, columns: usize) -> Tensor<2> {
        let spread = Distribution::Normal(0.0, 1.0);
        Tensor::random([rows, columns], spread, &Device::flex())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn twenty_steps_are_those_of_burn(rows in 1_usize..6, columns in 1_usize..90) {
            let burn = AdamWConfig::new()
                .with_beta_1(STEP.beta_1)
                .with_beta_2(STEP.beta_2)
                .with_epsilon(STEP.epsilon)
                .with_weight_decay(STEP.weight_decay)
                .build();
            let mut ours = random(rows, columns);
            let mut theirs = ours.clone();
            let mut moments = None;
            let mut state: Option<AdamWState<2>> = None;
            for time in 1..=20 {
                let gradient = random(rows, columns);
                let step = AdamWStep { time, ..STEP };
                let (parameter, after) = adamw(step, ours, gradient.clone(), moments);
                (ours, moments) = (parameter, Some(after));
                (theirs, state) = burn.step(STEP.learning_rate, theirs, gradient, state);
                prop_assert!(furthest(&ours, &theirs) < 1e-6, "step {time}");
            }
            let [mean, square] = moments.unwrap();
            let theirs = state.unwrap().momentum;
            prop_assert!(furthest(&mean, &theirs.moment_1) < 1e-6);
            prop_assert!(furthest(&square, &theirs.moment_2) < 1e-6);
        }
    }

    #[test]
    fn shared_tensors_are_not_overwritten() {
        let (parameter, gradient) = (random(3, 50), random(3, 50));
        let before = values(&parameter);
        let (moved, _) = adamw(STEP, parameter.clone(), gradient.clone(), None);
        assert_eq!(values(&parameter), before);
        assert!(furthest(&moved, &parameter) > 1e-3);
        // A view of a part shares its memory too.
        let rows = adamw(
            STEP,
            parameter.clone().narrow(0, 1, 1),
            gradient.narrow(0, 1, 1),
            None,
        );
        assert_eq!(values(&parameter), before);
        assert_eq!(values(&rows.0), values(&moved)[50..100]);
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let (parameter, gradient) = (random(7, 30_011), random(7, 30_011));
        let step = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let (parameter, gradient) = (parameter.clone(), gradient.clone());
            let (parameter, [mean, square]) = pool
                .build()
                .unwrap()
                .install(|| adamw(STEP, parameter, gradient, None));
            [parameter, mean, square].map(|tensor| values(&tensor))
        };
        assert_eq!(step(1), step(2));
        let device = Device::flex();
        let zeros = || Tensor::zeros([7, 30_011], &device);
        let fallback = stock(
            &STEP.factors(),
            parameter.clone(),
            gradient.clone(),
            [zeros(), zeros()],
        );
        let (fused, _) = adamw(STEP, parameter.clone(), gradient.clone(), None);
        assert!(furthest(&fallback.0, &fused) < 1e-6);
    }
}
