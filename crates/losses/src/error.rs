//! Errors of a loss's configuration.

use crate::domain::Domain;
use thiserror::Error;

/// An error in the configuration of a loss.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Error)]
pub enum LossError {
    /// A loss is not defined on the given domain.
    #[error("{loss} is defined on {}, not on {got}: {}", listed(expected), missing(*got, expected))]
    WrongDomain {
        /// The name of the loss.
        loss: &'static str,
        /// The domains that it is defined on.
        expected: Vec<Domain>,
        /// The given domain.
        got: Domain,
    },
    /// A number is out of range.
    #[error(
        "`{field}` has to be {expected}, got {got}: change it in the configuration of the loss"
    )]
    OutOfRange {
        /// The field of the configuration; the field of a sub-table follows a dot.
        field: String,
        /// The range, in words.
        expected: &'static str,
        /// The number.
        got: f64,
    },
    /// Every weight of a composite is 0.
    #[error("every term of the composite has weight 0: give at least one of {expected} a weight")]
    NothingToLearn {
        /// The names of the weights.
        expected: &'static str,
    },
    /// A term needs the frequencies of the bins, which weren't given.
    #[error(
        "{term} needs the frequencies of the bins: give `init` the sample rate and the transform"
    )]
    NoFrequencies {
        /// Its name.
        term: &'static str,
    },
    /// A multi-resolution STFT loss has no resolution.
    #[error(
        "`resolutions` is empty: give at least one table with `n_fft`, `hop_length` and `win_length`, or \
         leave it out for the usual three"
    )]
    NoResolutions,
}

impl LossError {
    /// The same error, with the field prefixed by the sub-table `table`.
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

/// As [`in_range`], for a number that must be positive and finite.
pub(crate) fn weight_in_range(field: &'static str, got: f64) -> Result<(), LossError> {
    let holds = got >= 0.0 && got.is_finite();
    in_range(field, got, holds, "0 or more, and finite")
}

pub(crate) fn positive(field: &'static str, got: f64) -> Result<(), LossError> {
    let holds = got > 0.0 && got.is_finite();
    in_range(field, got, holds, "positive and finite")
}

/// Least value that may be added to magnitudes or energies: its square, and a loud sound divided by it, are
/// finite in f32.
pub(crate) const LEAST_EPSILON: f64 = 1e-18;

/// As [`in_range`], for a number that keeps a division or a logarithm finite in f32.
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
