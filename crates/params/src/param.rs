//! Parameters: a name, and either a range with a curve or a list of classes.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::ParamError;

/// One parameter of a synthesizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Entry", into = "Entry")]
pub struct Param {
    /// The name, unique within its specification.
    pub name: String,
    /// Its values.
    pub kind: ParamKind,
}

impl Param {
    /// Checks range or classes.
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        let name = || self.name.clone();
        match &self.kind {
            &ParamKind::Continuous {
                min, max, curve, ..
            } => {
                if !(min.is_finite() && max.is_finite() && min < max) {
                    return Err(ParamError::Range {
                        name: name(),
                        min,
                        max,
                    });
                }
                if curve == Curve::Exponential && min <= 0.0 {
                    return Err(ParamError::ExponentialFrom { name: name(), min });
                }
            }
            ParamKind::Categorical { classes } => {
                if classes.len() < 2 {
                    return Err(ParamError::TooFewClasses {
                        name: name(),
                        got: classes.len(),
                    });
                }
                let mut seen = HashSet::new();
                if let Some(class) = classes.iter().find(|class| !seen.insert(*class)) {
                    let owner = format!("parameter `{}`", self.name);
                    return Err(ParamError::DuplicateName {
                        owner,
                        name: class.clone(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// The values of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamKind {
    /// All values of a range.
    Continuous {
        /// The value at position 0, in `unit`.
        min: f32,
        /// The value at position 1, in `unit`.
        max: f32,
        /// The unit, for display: `Hz`, `s`, `semitones`, `unit` for a plain number.
        unit: String,
        /// The map from positions to values.
        curve: Curve,
    },
    /// One of several classes, given by its index.
    Categorical {
        /// The class names, in index order.
        classes: Vec<String>,
    },
}

impl Param {
    /// The same parameter with an empty unit.
    pub(crate) fn without_unit(&self) -> Self {
        let mut plain = self.clone();
        if let ParamKind::Continuous { unit, .. } = &mut plain.kind {
            unit.clear();
        }
        plain
    }
}

/// Map from the position `u` in 0..1 of a continuous parameter to its value `v` in `min..max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Curve {
    /// `v = min + (max - min) u`: equal steps are equal differences.
    #[default]
    Linear,
    /// `v = min + (max - min) u^2`: finer near `min`, for amounts whose small values matter and
    /// whose range reaches zero.
    Quadratic,
    /// `v = min (max / min)^u`: equal steps are equal ratios, for frequencies and times.
    Exponential,
}

impl Curve {
    /// The value at position `u` in 0..1; exactly `min` at 0 and `max` at 1.
    pub(crate) fn value(self, u: f32, min: f32, max: f32) -> f32 {
        let (u, low, high) = (f64::from(u), f64::from(min), f64::from(max));
        // `libm` is the same code on every platform, unlike the system's `exp`.
        let value = match self {
            Curve::Linear => low + (high - low) * u,
            Curve::Quadratic => low + (high - low) * u * u,
            Curve::Exponential => low * libm::exp(u * libm::log(high / low)),
        };
        (value as f32).clamp(min, max)
    }

    /// The position in 0..1 of a value in `min..=max`: the inverse of [`Curve::value`].
    pub(crate) fn position(self, value: f32, min: f32, max: f32) -> f32 {
        let (value, low, high) = (f64::from(value), f64::from(min), f64::from(max));
        let u = match self {
            Curve::Linear => (value - low) / (high - low),
            Curve::Quadratic => ((value - low) / (high - low)).sqrt(),
            Curve::Exponential => libm::log(value / low) / libm::log(high / low),
        };
        (u as f32).clamp(0.0, 1.0)
    }
}

/// A parameter in `params.json`: flat, with its kind as a tag. Unknown keys are errors, because a misspelt
/// `curve` would silently be linear.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
enum Entry {
    Continuous {
        name: String,
        min: f32,
        max: f32,
        unit: String,
        #[serde(default, skip_serializing_if = "is_linear")]
        curve: Curve,
    },
    Categorical {
        name: String,
        classes: Vec<String>,
    },
}

fn is_linear(curve: &Curve) -> bool {
    *curve == Curve::Linear
}

impl From<Entry> for Param {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Continuous {
                name,
                min,
                max,
                unit,
                curve,
            } => Self {
                name,
                kind: ParamKind::Continuous {
                    min,
                    max,
                    unit,
                    curve,
                },
            },
            Entry::Categorical { name, classes } => Self {
                name,
                kind: ParamKind::Categorical { classes },
            },
        }
    }
}

impl From<Param> for Entry {
    fn from(Param { name, kind }: Param) -> Self {
        match kind {
            ParamKind::Continuous {
                min,
                max,
                unit,
                curve,
            } => Self::Continuous {
                name,
                min,
                max,
                unit,
                curve,
            },
            ParamKind::Categorical { classes } => Self::Categorical { name, classes },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CURVES: [Curve; 3] = [Curve::Linear, Curve::Quadratic, Curve::Exponential];

    #[test]
    fn each_curve_has_its_ends_and_its_middle() {
        let middle = CURVES.map(|curve| {
            assert_eq!(curve.value(0.0, 0.002, 8.0), 0.002);
            assert_eq!(curve.value(1.0, 0.002, 8.0), 8.0);
            assert_eq!(curve.position(0.002, 0.002, 8.0), 0.0);
            assert_eq!(curve.position(8.0, 0.002, 8.0), 1.0);
            curve.value(0.5, 2.0, 8.0)
        });
        assert_eq!(middle, [5.0, 3.5, 4.0]);
    }

    #[test]
    fn the_curve_is_optional_in_json_and_linear_without_it() {
        let text = r#"{"kind":"continuous","name":"level","min":0.0,"max":1.0,"unit":"unit"}"#;
        let param: Param = serde_json::from_str(text).unwrap();
        let ParamKind::Continuous { curve, .. } = param.kind else {
            panic!("expected a continuous parameter, got {param:?}");
        };
        assert_eq!(curve, Curve::Linear);
        assert_eq!(serde_json::to_string(&param).unwrap(), text);
    }

    #[test]
    fn a_misspelt_key_is_refused_by_name() {
        let text = r#"{"name":"a","kind":"continuous","min":1,"max":2,"unit":"s","crve":"linear"}"#;
        let error = serde_json::from_str::<Param>(text).unwrap_err().to_string();
        assert!(error.contains("crve") && error.contains("curve"), "{error}");
    }

    proptest! {
        #[test]
        fn position_undoes_value(
            u in 0.0_f32..=1.0,
            min in 1e-3_f32..10.0,
            factor in 1.5_f32..1e4,
            which in 0_usize..3,
        ) {
            let (curve, max) = (CURVES[which], min * factor);
            let back = curve.position(curve.value(u, min, max), min, max);
            // A value is rounded to 2^-24 of itself. Near `min` the position then moves by at
            // most 2^-24 min / (max - min) when linear and by the root of that when quadratic.
            let tolerance = if curve == Curve::Quadratic { 4e-4 } else { 1e-6 };
            prop_assert!((back - u).abs() <= tolerance, "{curve:?} {u} {back}");
        }

        #[test]
        fn every_curve_rises(
            a in 0.0_f32..=1.0,
            b in 0.0_f32..=1.0,
            min in 1e-3_f32..10.0,
            which in 0_usize..3,
        ) {
            let (low, high) = (a.min(b), a.max(b));
            let curve = CURVES[which];
            prop_assert!(curve.value(low, min, 90.0 * min) <= curve.value(high, min, 90.0 * min));
        }
    }
}
