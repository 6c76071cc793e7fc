//! From values to places along an axis, and the round numbers that stand there.

use crate::number::tick;

/// Values beyond this size are taken as not finite, so that differences of two are finite.
const LARGEST: f64 = 1e300;

/// Ends that differ by this factor are shown by their logarithms.
const LOG_FROM: f64 = 30.0;

/// Where values lie between the two ends of an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

/// True where a value can be drawn.
pub(crate) fn drawable(value: f64) -> bool {
    value.abs() <= LARGEST
}

impl Scale {
    /// From the lowest to the highest of `values`.
    pub(crate) fn exactly(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = ends(values)?;
        let (low, high) = match low < high {
            true => (low, high),
            false => around(low),
        };
        Some(Self {
            low,
            high,
            logarithmic: false,
        })
    }

    /// With room for all of `values`, from 0 where that is near; logarithmic where they span decades and it is
    /// `allowed`.
    pub(crate) fn roomy(values: impl Iterator<Item = f64>, allowed: bool) -> Option<Self> {
        let (low, high) = ends(values)?;
        if allowed && low > 0.0 && high / low >= LOG_FROM {
            return Some(Self {
                low: low / 1.1,
                high: high * 1.1,
                logarithmic: true,
            });
        }
        let (low, high) = match low < high {
            true => {
                let room = 0.05 * (high - low);
                let from_zero = (0.0..=0.6 * high).contains(&low);
                let low = if from_zero { 0.0 } else { low - room };
                (low, high + room)
            }
            false => around(low),
        };
        Some(Self {
            low,
            high,
            logarithmic: false,
        })
    }

    /// True where equal factors are equally far apart.
    pub(crate) fn is_logarithmic(&self) -> bool {
        self.logarithmic
    }

    /// Where `value` lies: 0 at the low end, 1 at the high one, and never beyond.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let along = |x: f64| {
            if self.logarithmic {
                x.max(f64::MIN_POSITIVE).ln()
            } else {
                x
            }
        };
        let (low, high) = (along(self.low), along(self.high));
        ((along(value) - low) / (high - low)).clamp(0.0, 1.0)
    }

    /// Round values in the range, each with its label.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        match self.logarithmic {
            true => self.log_ticks(),
            false => self.linear_ticks(),
        }
    }

    fn linear_ticks(&self) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / 4.0;
        let decade = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .map(|factor| factor * decade)
            .into_iter()
            .find(|step| *step >= rough)
            .unwrap_or(rough);
        let first = (self.low / step).ceil();
        let values = (0..8).map(|place| (first + f64::from(place)) * step);
        let inside = values.filter(|value| (self.low..=self.high).contains(value));
        inside.map(|value| (value, tick(value, step))).collect()
    }

    /// Powers of ten, and 2 and 5 times those where they are few.
    fn log_ticks(&self) -> Vec<(f64, String)> {
        let (low, high) = (
            self.low.log10().floor() as i32,
            self.high.log10().ceil() as i32,
        );
        let factors: &[f64] = if high - low <= 2 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let every = ((high - low) / 6).max(1) as usize;
        (low..=high)
            .step_by(every)
            .flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)))
            .filter(|value| (self.low..=self.high).contains(value))
            .map(|value| (value, tick(value, value)))
            .collect()
    }
}

fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.filter(|value| drawable(*value));
    finite.fold(None, |ends, value| match ends {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// A range with `value` in its middle.
fn around(value: f64) -> (f64, f64) {
    let room = if value == 0.0 { 1.0 } else { 0.1 * value.abs() };
    (value - room, value + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roomy(values: &[f64]) -> Scale {
        Scale::roomy(values.iter().copied(), true).unwrap()
    }

    fn labels(scale: Scale) -> Vec<String> {
        scale.ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn losses_begin_at_zero_where_that_is_near() {
        assert_eq!(labels(roomy(&[0.3, 1.0])), ["0", "0.5", "1"]);
        assert_eq!(labels(roomy(&[4.0, 5.0])), ["4", "4.5", "5"]);
    }

    #[test]
    fn decades_are_shown_by_their_logarithms() {
        let scale = roomy(&[0.01, 10.0]);
        assert!(scale.is_logarithmic());
        assert!((scale.place(0.1f64.sqrt()) - 0.5).abs() < 1e-9);
        assert_eq!(labels(scale), ["0.01", "0.1", "1", "10"]);
        assert!(!roomy(&[0.0, 10.0]).is_logarithmic());
        assert!(
            !Scale::roomy([0.01, 10.0].into_iter(), false)
                .unwrap()
                .is_logarithmic()
        );
    }

    #[test]
    fn labels_of_neighbours_differ() {
        let scales = [
            roomy(&[0.300_001, 0.300_002]),
            roomy(&[7.0]),
            roomy(&[0.0]),
            roomy(&[1e-40, 2e-40]),
            roomy(&[123_456_789.0, 123_456_799.0]),
            roomy(&[-3e38, 3e38]),
        ];
        for scale in scales {
            let labels = labels(scale);
            assert!(labels.len() >= 2, "{scale:?}: {labels:?}");
            for pair in labels.windows(2) {
                assert_ne!(pair[0], pair[1], "{scale:?}");
            }
        }
    }

    #[test]
    fn what_is_not_finite_has_no_scale() {
        assert_eq!(
            Scale::roomy([f64::NAN, f64::INFINITY].into_iter(), true),
            None
        );
        assert_eq!(Scale::exactly(std::iter::empty()), None);
    }
}
