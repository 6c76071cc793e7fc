//! Mean and standard deviation of a slice.

use crate::cpu::vectors::sums;
use pulp::Simd;

/// The moments that normalise a slice: `(x - mean) * inverse_deviation`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    pub(super) mean: f32,
    pub(super) inverse_deviation: f32,
}

impl Moments {
    /// ```text
    /// mean = sum x / n        inverse_deviation = 1 / sqrt(sum (x - mean)^2 / n + epsilon)
    /// ```
    ///
    /// In two passes, so that a large mean costs the deviation no digits.
    #[inline(always)]
    pub(super) fn of<S: Simd>(simd: S, values: &[f32], epsilon: f64) -> Self {
        let n = values.len() as f64;
        let [sum] = sums(
            simd,
            [values],
            #[inline(always)]
            |[sum], [x]| [simd.add_f32s(sum, x)],
        );
        let mean = (sum / n) as f32;
        let means = simd.splat_f32s(mean);
        let [squares] = sums(
            simd,
            [values],
            #[inline(always)]
            |[sum], [x]| {
                let centred = simd.sub_f32s(x, means);
                [simd.mul_add_e_f32s(centred, centred, sum)]
            },
        );
        Self {
            mean,
            inverse_deviation: (squares / n + epsilon).sqrt().recip() as f32,
        }
    }
}
