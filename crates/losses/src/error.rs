//! What a configuration can get wrong.

use crate::domain::Domain;
use thiserror::Error;

/// Why a loss can't be used as it is configured.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LossError {
    /// A loss was put on values that it is not defined on.
    #[error("{loss} is defined on {}, not on {got}: {}", listed(expected), missing(*got, expected))]
    WrongDomain {
        /// The loss, by its name in reports.
        loss: &'static str,
        /// The domains it is defined on.
        expected: Vec<Domain>,
        /// The domain it was put on.
        got: Domain,
    },
    /// A number lies outside its range.
    #[error(
        "`{field}` has to be {expected}, got {got}: change it in the configuration of the loss"
    )]
    OutOfRange {
        /// The field, as in the configuration; after a dot, that of a sub-table.
        field: String,
        /// The range, in words.
        expected: &'static str,
        /// The number.
        got: f64,
    },
    /// Every weight of a composite is 0.
    #[error("every term of the composite has weight 0: give at least one of {expected} a weight")]
    NothingToLearn {
        /// The weights that there are.
        expected: &'static str,
    },
    /// A multi-resolution STFT loss has no resolution.
    #[error(
        "`resolutions` is empty: give at least one table with `n_fft`, `hop_length` and `win_length`, or \
         leave it out for the usual three"
    )]
    NoResolutions,
}

impl LossError {
    /// The same complaint, seen from a configuration that holds the loss as `table`.
    pub(crate) fn within(self, table: &str) -> Self {
        match self {
            LossError::OutOfRange {
                field,
                expected,
                got,
            } => LossError::OutOfRange {
                field: format!("{table}.{field}"),
                expected,
                got,
            },
            other => other,
        }
    }
}

/// `Ok` if `holds`, else [`LossError::OutOfRange`]. A NaN holds nowhere.
pub(crate) fn in_range(
    field: &'static str,
    got: f64,
    holds: bool,
    expected: &'static str,
) -> Result<(), LossError> {
    if holds {
        Ok(())
    } else {
        Err(LossError::OutOfRange {
            field: field.to_owned(),
            expected,
            got,
        })
    }
}

/// As [`in_range`], for a number that has to be positive and finite.
pub(crate) fn positive(field: &'static str, got: f64) -> Result<(), LossError> {
    let holds = got > 0.0 && got.is_finite();
    in_range(field, got, holds, "positive and finite")
}

/// The least that is added to magnitudes, or to energies: its square is still a number in f32, and so is what a
/// loud sound makes of its reciprocal.
pub(crate) const LEAST_EPSILON: f64 = 1e-18;

/// As [`in_range`], for what keeps a division or a logarithm finite in f32.
pub(crate) fn epsilon_in_range(field: &'static str, got: f64) -> Result<(), LossError> {
    let holds = got >= LEAST_EPSILON && got.is_finite();
    in_range(field, got, holds, "finite, and 1e-18 at least")
}

fn listed(domains: &[Domain]) -> String {
    let names: Vec<String> = domains.iter().map(Domain::to_string).collect();
    names.join(" or ")
}

fn missing(got: Domain, expected: &[Domain]) -> &'static str {
    expected
        .first()
        .map_or("it has no domain", |&wanted| got.conversion_to(wanted))
}
