//! Levels in decibels.

use crate::transform::Grid;

/// Levels further below a sound's maximum are raised to this distance: `top_db` of librosa.
const RANGE_DB: f64 = 80.0;

/// Smaller powers are raised to this one: `amin` of librosa, -100 dB.
const MIN_POWER: f64 = 1e-10;

/// Levels relative to the loudest value of the sound itself, in dB from -80 to 0:
///
/// ```text
/// L = max(10 log10(P / max P), -80)
/// ```
///
/// Silence, which has no maximum, is -80 dB everywhere.
///
/// Differs from librosa's `power_to_db(ref=np.max, amin=1e-10, top_db=80)`, which raises powers below 1e-10
/// to 1e-10 first. That changes nothing if the maximum is at least 0.01. Below, it flattens a sound the more
/// the quieter it is, and silence is 0 dB everywhere, like noise at full level.
pub(crate) fn relative_to_maximum(mut power: Grid) -> Grid {
    let max = maximum(&power);
    for value in &mut power.values {
        *value = if max > 0.0 {
            (10.0 * (*value / max).log10()).max(-RANGE_DB)
        } else {
            -RANGE_DB
        };
    }
    power
}

/// Levels relative to a power of 1, in dB, at least -100 and at most 80 below the loudest: librosa's
/// `power_to_db(ref=1.0, amin=1e-10, top_db=80)`.
///
/// ```text
/// L = max(10 log10(max(P, 1e-10)),  max L - 80)
/// ```
///
/// Silence is -100 dB everywhere.
pub(crate) fn relative_to_one(mut power: Grid) -> Grid {
    let level = |power: f64| 10.0 * power.max(MIN_POWER).log10();
    let floor = level(maximum(&power)) - RANGE_DB;
    for value in &mut power.values {
        *value = level(*value).max(floor);
    }
    power
}

/// Mean absolute difference of two grids of the same shape.
pub(crate) fn mean_difference(a: &Grid, b: &Grid) -> f64 {
    assert_eq!(
        (a.values.len(), a.frames),
        (b.values.len(), b.frames),
        "grids must have one shape: (values, frames) on the left and on the right"
    );
    let sum: f64 = a
        .values
        .iter()
        .zip(&b.values)
        .map(|(a, b)| (a - b).abs())
        .sum();
    sum / a.values.len() as f64
}

fn maximum(power: &Grid) -> f64 {
    power.values.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(values: &[f64]) -> Grid {
        Grid {
            values: values.to_vec(),
            frames: values.len(),
        }
    }

    #[test]
    fn the_loudest_value_is_zero_and_none_is_below_minus_eighty() {
        let levels = relative_to_maximum(grid(&[50.0, 0.5, 5e-9, 0.0]));
        assert_eq!(levels.values, [0.0, -20.0, -80.0, -80.0]);
    }

    #[test]
    fn silence_is_at_the_floor() {
        assert_eq!(relative_to_maximum(grid(&[0.0; 3])).values, [-80.0; 3]);
        assert_eq!(relative_to_one(grid(&[0.0; 3])).values, [-100.0; 3]);
    }

    #[test]
    fn absolute_levels_stay_within_eighty_of_the_loudest() {
        let levels = relative_to_one(grid(&[1e3, 1.0, 1e-6, 0.0]));
        assert_eq!(levels.values, [30.0, 0.0, -50.0, -50.0]);
        let quiet = relative_to_one(grid(&[1e-7, 1e-11]));
        assert_eq!(quiet.values, [-70.0, -100.0]);
    }

    #[test]
    fn the_smallest_numbers_have_finite_levels() {
        let levels = relative_to_maximum(grid(&[f64::MIN_POSITIVE, 5e-324, 0.0, f64::MAX]));
        assert!(levels.values.iter().all(|level| level.is_finite()));
    }
}
