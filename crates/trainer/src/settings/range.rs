//! Whole numbers that have to lie in a range.

use crate::error::TrainerError;

/// Refuses a value of `key` below `min` or above `max`.
pub(crate) fn within(key: &str, got: u64, min: u64, max: u64) -> Result<(), TrainerError> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    let expected = match max {
        u64::MAX => format!("at least {min}"),
        _ => format!("from {min} to {max}"),
    };
    Err(TrainerError::value(key, expected, got))
}
