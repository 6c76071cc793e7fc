//! The softmax of a tile whose columns are queries, several queries at a time.
//!
//! A tile holds a row of values per key, one value per query. No sum runs within a vector, so that the results
//! of a query don't depend on the width of the machine's vectors.

use crate::cpu::exponential::exp2;
use crate::cpu::rows::scale_rows;
use crate::cpu::simd::arch;
use pulp::{Simd, WithSimd};

/// The softmax over each query's negatives after some of the keys. Scores are logarithms to base 2.
pub(super) struct Running<'a> {
    /// The largest score: minus infinity before the first.
    pub(super) nearest: &'a mut [f32],
    /// The offset of exponents: a score not far below the largest.
    pub(super) reference: &'a mut [f32],
    /// The sum of `2^(score - reference)`.
    pub(super) sum: &'a mut [f32],
    /// The number of negatives.
    pub(super) count: &'a mut [f32],
    /// The factor by which the last step scaled the earlier sums.
    pub(super) shrink: &'a mut [f32],
}

/// The most by which a score may exceed the reference before the sums are scaled to a new one. Weights stay
/// below `2^10`, and after the first keys the reference hardly ever changes.
const SLACK: f32 = 10.0;

/// A score below all others, but finite: a difference from it is no NaN.
const LOWEST: f32 = -1e30;

impl Running<'_> {
    pub(super) fn start(&mut self) {
        self.nearest.fill(f32::NEG_INFINITY);
        self.reference.fill(LOWEST);
        self.sum.fill(0.0);
        self.count.fill(0.0);
    }

    /// Adds more keys: their scores become weights `2^(score - reference)`, 0 where the mark isn't negative.
    pub(super) fn absorb(&mut self, scores: &mut [f32], marks: &[f32]) {
        arch().dispatch(Absorb {
            scores,
            marks,
            running: self,
        });
    }

    /// Scales the rows, sums with the weights of earlier keys, to the present reference.
    pub(super) fn shrink(&self, rows: &mut [f32]) {
        // A factor of 1 changes nothing.
        if self.shrink.iter().any(|&shrink| shrink != 1.0) {
            scale_rows(rows, self.shrink);
        }
    }
}

/// Turns scores into slopes: `factor * 2^(score - log_sum)`, or 0 where the mark isn't negative. `log_sum` and
/// `factor` have a value per query.
pub(super) fn slopes(scores: &mut [f32], marks: &[f32], log_sum: &[f32], factor: &[f32]) {
    arch().dispatch(Slopes {
        scores,
        marks,
        log_sum,
        factor,
    });
}

struct Absorb<'a, 'b> {
    scores: &'a mut [f32],
    marks: &'a [f32],
    running: &'a mut Running<'b>,
}

impl WithSimd for Absorb<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            scores,
            marks,
            running,
        } = self;
        let width = running.sum.len() / S::F32_LANES;
        let mut columns = Columns::<S> {
            scores: S::as_mut_simd_f32s(scores).0,
            marks: S::as_simd_f32s(marks).0,
            nearest: S::as_mut_simd_f32s(running.nearest).0,
            reference: S::as_mut_simd_f32s(running.reference).0,
            sum: S::as_mut_simd_f32s(running.sum).0,
            count: S::as_mut_simd_f32s(running.count).0,
            shrink: S::as_mut_simd_f32s(running.shrink).0,
        };
        // Four at a time, so that an addition doesn't wait for the one before.
        let mut at = 0;
        while at + 4 <= width {
            columns.absorb::<4>(simd, at);
            at += 4;
        }
        while at < width {
            columns.absorb::<1>(simd, at);
            at += 1;
        }
    }
}

struct Columns<'a, S: Simd> {
    scores: &'a mut [S::f32s],
    marks: &'a [S::f32s],
    nearest: &'a mut [S::f32s],
    reference: &'a mut [S::f32s],
    sum: &'a mut [S::f32s],
    count: &'a mut [S::f32s],
    shrink: &'a mut [S::f32s],
}

impl<S: Simd> Columns<'_, S> {
    /// The `N` vectors of queries from vector `at` on.
    #[inline(always)]
    fn absorb<const N: usize>(&mut self, simd: S, at: usize) {
        let width = self.sum.len();
        let [zero, one] = [0.0, 1.0].map(|x| simd.splat_f32s(x));
        let infinity = simd.splat_f32s(f32::NEG_INFINITY);
        // Loops rather than closures: code that is not inlined can't use the machine's vectors.
        let mut nearest = [zero; N];
        nearest.copy_from_slice(&self.nearest[at..at + N]);
        let mut count = [zero; N];
        count.copy_from_slice(&self.count[at..at + N]);
        let rows = self.scores.chunks_exact_mut(width);
        for (scores, marks) in rows.zip(self.marks.chunks_exact(width)) {
            let (scores, marks) = (&mut scores[at..at + N], &marks[at..at + N]);
            for i in 0..N {
                let excluded = simd.greater_than_or_equal_f32s(marks[i], zero);
                scores[i] = simd.select_f32s(excluded, infinity, scores[i]);
                nearest[i] = simd.max_f32s(nearest[i], scores[i]);
                count[i] = simd.add_f32s(count[i], simd.select_f32s(excluded, zero, one));
            }
        }
        self.nearest[at..at + N].copy_from_slice(&nearest);
        self.count[at..at + N].copy_from_slice(&count);

        let slack = simd.splat_f32s(SLACK);
        let (mut reference, mut sum) = ([zero; N], [zero; N]);
        for i in 0..N {
            let old = self.reference[at + i];
            let exceeded = simd.greater_than_f32s(nearest[i], simd.add_f32s(old, slack));
            reference[i] = simd.select_f32s(exceeded, nearest[i], old);
            let shrink = exp2(simd, simd.sub_f32s(old, reference[i]));
            sum[i] = simd.mul_f32s(self.sum[at + i], shrink);
            self.shrink[at + i] = shrink;
        }
        for row in self.scores.chunks_exact_mut(width) {
            let row = &mut row[at..at + N];
            for i in 0..N {
                row[i] = exp2(simd, simd.sub_f32s(row[i], reference[i]));
                sum[i] = simd.add_f32s(sum[i], row[i]);
            }
        }
        self.reference[at..at + N].copy_from_slice(&reference);
        self.sum[at..at + N].copy_from_slice(&sum);
    }
}

struct Slopes<'a> {
    scores: &'a mut [f32],
    marks: &'a [f32],
    log_sum: &'a [f32],
    factor: &'a [f32],
}

impl WithSimd for Slopes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let log_sum = S::as_simd_f32s(self.log_sum).0;
        let factor = S::as_simd_f32s(self.factor).0;
        let scores = S::as_mut_simd_f32s(self.scores).0;
        let marks = S::as_simd_f32s(self.marks).0;
        let zero = simd.splat_f32s(0.0);
        let rows = scores
            .chunks_exact_mut(log_sum.len())
            .zip(marks.chunks_exact(log_sum.len()));
        for (scores, marks) in rows {
            let queries = log_sum.iter().zip(factor);
            for ((score, &mark), (&log_sum, &factor)) in scores.iter_mut().zip(marks).zip(queries) {
                let weight = exp2(simd, simd.sub_f32s(*score, log_sum));
                let excluded = simd.greater_than_or_equal_f32s(mark, zero);
                let slope = simd.mul_f32s(weight, factor);
                *score = simd.select_f32s(excluded, zero, slope);
            }
        }
    }
}
