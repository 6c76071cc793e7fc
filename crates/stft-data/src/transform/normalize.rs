use serde::{Deserialize, Serialize};

/// Scales log1p magnitudes to mean 0 and standard deviation 1 over the training split.
///
/// Belongs to every model that was trained with it, so keep it in the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Mean of the log1p magnitudes of all valid frames.
    pub mean: f32,
    /// Their standard deviation (divisor n); positive.
    pub std: f32,
}

impl Normalization {
    /// `(value - mean) / std`.
    pub fn apply(&self, value: f32) -> f32 {
        (value - self.mean) / self.std
    }

    /// `value · std + mean`: the inverse of [`apply`](Normalization::apply).
    pub fn invert(&self, value: f32) -> f32 {
        value * self.std + self.mean
    }
}

/// Count, mean and summed squared deviation, in f64.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Moments {
    count: f64,
    mean: f64,
    squared_deviation: f64,
}

impl Moments {
    /// Computes them in two passes, which is exact enough for millions of values.
    pub(crate) fn of(values: impl Iterator<Item = f32> + Clone) -> Moments {
        let (count, sum) = values
            .clone()
            .fold((0_u64, 0.0_f64), |(count, sum), value| {
                (count + 1, sum + f64::from(value))
            });
        if count == 0 {
            return Moments::default();
        }
        let mean = sum / count as f64;
        let squared_deviation = values.map(|value| (f64::from(value) - mean).powi(2)).sum();
        Moments {
            count: count as f64,
            mean,
            squared_deviation,
        }
    }

    /// Moments of both sets together (Chan, Golub and LeVeque 1979, equation 2.1). Rounding depends on
    /// the order, so callers merge in a fixed order.
    pub(crate) fn merge(self, other: Moments) -> Moments {
        let count = self.count + other.count;
        if count == 0.0 {
            return self;
        }
        let delta = other.mean - self.mean;
        Moments {
            count,
            mean: self.mean + delta * other.count / count,
            squared_deviation: self.squared_deviation
                + other.squared_deviation
                + delta * delta * self.count * other.count / count,
        }
    }

    /// The normalisation; none if all values are equal to within f32.
    pub(crate) fn normalization(self) -> Option<Normalization> {
        let std = (self.squared_deviation / self.count).sqrt() as f32;
        (std > f32::EPSILON * self.mean.abs() as f32).then_some(Normalization {
            mean: self.mean as f32,
            std,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_moments_are_the_moments_of_all_values() {
        let values: Vec<f32> = (0..101).map(|i| (i as f32 * 0.7).sin() + 3.0).collect();
        let whole = Moments::of(values.iter().copied());
        for cut in [0, 1, 40, 100, 101] {
            let (left, right) = values.split_at(cut);
            let merged =
                Moments::of(left.iter().copied()).merge(Moments::of(right.iter().copied()));
            assert_eq!(merged.count, 101.0);
            assert!((merged.mean - whole.mean).abs() < 1e-12);
            assert!((merged.squared_deviation - whole.squared_deviation).abs() < 1e-9);
        }
    }

    #[test]
    fn applying_gives_mean_zero_and_deviation_one_and_can_be_undone() {
        let values: Vec<f32> = (0..97).map(|i| (i * i % 31) as f32).collect();
        let normalization = Moments::of(values.iter().copied()).normalization().unwrap();
        let after = Moments::of(values.iter().map(|&v| normalization.apply(v)));
        assert!(after.mean.abs() < 1e-6);
        assert!(((after.squared_deviation / after.count).sqrt() - 1.0).abs() < 1e-6);
        for &value in &values {
            assert!((normalization.invert(normalization.apply(value)) - value).abs() < 1e-4);
        }
    }

    #[test]
    fn equal_values_have_no_normalization() {
        assert_eq!(Moments::of([0.0; 5].into_iter()).normalization(), None);
        assert_eq!(Moments::of([2.5; 7].into_iter()).normalization(), None);
        assert_eq!(Moments::default().normalization(), None);
    }
}
