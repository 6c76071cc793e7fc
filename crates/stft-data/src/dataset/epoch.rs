/// The epoch whose crops and masks belong to evaluation and to the statistics; training never gets
/// there. The same each time, so that two validations can be compared.
pub const EVALUATION_EPOCH: u64 = u64::MAX;
