//! Errors in specifications, patches, vectors and manifest rows.

use thiserror::Error;

/// An error in parameter data; every message names the parameter and the expected value.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ParamError {
    /// A specification without parameters.
    #[error("the specification lists no parameter: give at least one")]
    Empty,
    /// Two parameters, or two classes of one parameter, have the same name.
    #[error("{owner} lists `{name}` twice: names must differ")]
    DuplicateName {
        /// The specification, or the parameter whose classes these are.
        owner: String,
        /// The repeated name.
        name: String,
    },
    /// A parameter whose name is the empty string.
    #[error("parameter number {index} has no name: give it one")]
    NoName {
        /// Its index in the specification, from 0.
        index: usize,
    },
    /// A continuous range that is empty or not finite.
    #[error(
        "parameter `{name}` has the range {min}..{max}: both ends must be finite and min below max"
    )]
    Range {
        /// The parameter.
        name: String,
        /// The lower end.
        min: f32,
        /// The upper end.
        max: f32,
    },
    /// An exponential curve over a range that reaches zero.
    #[error("parameter `{name}` is exponential from {min}: an exponential curve needs min above 0")]
    ExponentialFrom {
        /// The parameter.
        name: String,
        /// The lower end.
        min: f32,
    },
    /// A categorical parameter with fewer than two classes.
    #[error("parameter `{name}` has {got} class(es): a categorical parameter needs at least 2")]
    TooFewClasses {
        /// The parameter.
        name: String,
        /// How many classes it lists.
        got: usize,
    },
    /// A parameter of the specification has no value.
    #[error("the {kind} parameter `{name}` has no value: add it")]
    Missing {
        /// The parameter.
        name: String,
        /// `continuous` or `categorical`.
        kind: &'static str,
    },
    /// A value of a parameter that the specification doesn't have, or not with this kind.
    #[error("the specification has no {kind} parameter `{name}`: remove or rename it")]
    Unknown {
        /// The name of the value.
        name: String,
        /// `continuous` or `categorical`.
        kind: &'static str,
    },
    /// A continuous value outside its range, or not a number.
    #[error("`{name}` is {got}: expected {min} to {max} {unit}")]
    OutOfRange {
        /// The parameter.
        name: String,
        /// The lower end.
        min: f32,
        /// The upper end.
        max: f32,
        /// The unit of the three numbers.
        unit: String,
        /// The value.
        got: f32,
    },
    /// A class index at or beyond the number of classes.
    #[error("`{name}` has class index {got}: expected 0 to {}", .classes - 1)]
    ClassOutOfRange {
        /// The parameter.
        name: String,
        /// How many classes it has.
        classes: usize,
        /// The index.
        got: usize,
    },
    /// A vector whose length is not that of the specification.
    #[error("the vector has {got} {kind} value(s): the specification has {expected}")]
    Length {
        /// `continuous` or `categorical`.
        kind: &'static str,
        /// How many the specification has.
        expected: usize,
        /// How many the vector has.
        got: usize,
    },
}
