/// The epoch of crops and masks for evaluation and statistics, which training never reaches. It is the
/// same every time, so that validations can be compared.
pub const EVALUATION_EPOCH: u64 = u64::MAX;
