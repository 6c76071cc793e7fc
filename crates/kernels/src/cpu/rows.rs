//! Tiles with a row per key and a value per query.

use crate::cpu::product::LANE_MULTIPLE;
use crate::cpu::simd::arch;
use pulp::{Simd, WithSimd};

/// `row *= factor` for each of `rows`, value by value. A row is as long as `factor`: a multiple of the widest
/// vectors.
pub(crate) fn scale_rows(rows: &mut [f32], factor: &[f32]) {
    assert!(
        !factor.is_empty()
            && factor.len().is_multiple_of(LANE_MULTIPLE)
            && rows.len().is_multiple_of(factor.len()),
        "rows of {} factors in {} values",
        factor.len(),
        rows.len()
    );
    arch().dispatch(ScaleRows { rows, factor });
}

struct ScaleRows<'a> {
    rows: &'a mut [f32],
    factor: &'a [f32],
}

impl WithSimd for ScaleRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factor = S::as_simd_f32s(self.factor).0;
        let rows = S::as_mut_simd_f32s(self.rows).0;
        for row in rows.chunks_exact_mut(factor.len()) {
            for (value, &factor) in row.iter_mut().zip(factor) {
                *value = simd.mul_f32s(*value, factor);
            }
        }
    }
}
