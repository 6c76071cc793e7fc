//! The softmax of a tile whose columns are queries, several queries at a time.
//!
//! A tile holds a row of `lanes` values per key, one value per query. No sum runs within a vector, so that the
//! results of a query don't depend on the width of the machine's vectors.

use crate::cpu::exponential::exp2;
use crate::cpu::rows::scale_rows;
use crate::cpu::simd::arch;
use pulp::{Simd, WithSimd};

/// Each query's softmax after some of the keys (Milakov & Gimelshein 2018). Scores are logarithms to base 2.
pub(super) struct Running<'a> {
    /// The largest score.
    pub(super) max: &'a mut [f32],
    /// The sum of `2^(score - max)`.
    pub(super) sum: &'a mut [f32],
    /// The factor by which the last step scaled the earlier sums.
    pub(super) shrink: &'a mut [f32],
}

impl Running<'_> {
    pub(super) fn start(&mut self) {
        self.max.fill(f32::NEG_INFINITY);
        self.sum.fill(0.0);
    }

    /// Adds more keys: their scores become weights `2^(score - max)`.
    pub(super) fn absorb(&mut self, scores: &mut [f32]) {
        arch().dispatch(Absorb {
            scores,
            running: self,
        });
    }

    /// Scales the rows, sums with the weights of earlier keys, to the present maximum.
    pub(super) fn shrink(&self, rows: &mut [f32]) {
        scale_rows(rows, self.shrink);
    }
}

/// Turns scores and the gradients of the weights into weights and the gradients of the scores, in place:
/// `p = 2^(score - log_sum)`, `ds = p (dp - delta)`. `log_sum` and `delta` have a value per query.
pub(super) fn weights_and_score_gradients(
    scores: &mut [f32],
    gradients: &mut [f32],
    log_sum: &[f32],
    delta: &[f32],
) {
    arch().dispatch(ScoreGradients {
        scores,
        gradients,
        log_sum,
        delta,
    });
}

/// `sums += sum over rows of a * b`.
pub(super) fn add_column_products(a: &[f32], b: &[f32], sums: &mut [f32]) {
    arch().dispatch(ColumnProducts { a, b, sums });
}

struct Absorb<'a, 'b> {
    scores: &'a mut [f32],
    running: &'a mut Running<'b>,
}

impl WithSimd for Absorb<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { scores, running } = self;
        let width = running.max.len() / S::F32_LANES;
        let mut columns = Columns::<S> {
            scores: S::as_mut_simd_f32s(scores).0,
            max: S::as_mut_simd_f32s(running.max).0,
            sum: S::as_mut_simd_f32s(running.sum).0,
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
    max: &'a mut [S::f32s],
    sum: &'a mut [S::f32s],
    shrink: &'a mut [S::f32s],
}

impl<S: Simd> Columns<'_, S> {
    /// The `N` vectors of queries from vector `at` on.
    #[inline(always)]
    fn absorb<const N: usize>(&mut self, simd: S, at: usize) {
        let width = self.max.len();
        // Loops rather than closures: code that is not inlined can't use the machine's vectors.
        let mut max = [simd.splat_f32s(f32::NEG_INFINITY); N];
        max.copy_from_slice(&self.max[at..at + N]);
        let old = max;
        for row in self.scores.chunks_exact(width) {
            let row = &row[at..at + N];
            for i in 0..N {
                max[i] = simd.max_f32s(max[i], row[i]);
            }
        }
        let mut sum = max;
        for i in 0..N {
            let shrink = exp2(simd, simd.sub_f32s(old[i], max[i]));
            sum[i] = simd.mul_f32s(self.sum[at + i], shrink);
            self.shrink[at + i] = shrink;
        }
        for row in self.scores.chunks_exact_mut(width) {
            let row = &mut row[at..at + N];
            for i in 0..N {
                row[i] = exp2(simd, simd.sub_f32s(row[i], max[i]));
                sum[i] = simd.add_f32s(sum[i], row[i]);
            }
        }
        self.max[at..at + N].copy_from_slice(&max);
        self.sum[at..at + N].copy_from_slice(&sum);
    }
}

struct ScoreGradients<'a> {
    scores: &'a mut [f32],
    gradients: &'a mut [f32],
    log_sum: &'a [f32],
    delta: &'a [f32],
}

impl WithSimd for ScoreGradients<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let log_sum = S::as_simd_f32s(self.log_sum).0;
        let delta = S::as_simd_f32s(self.delta).0;
        let scores = S::as_mut_simd_f32s(self.scores).0;
        let gradients = S::as_mut_simd_f32s(self.gradients).0;
        let rows = scores
            .chunks_exact_mut(log_sum.len())
            .zip(gradients.chunks_exact_mut(log_sum.len()));
        for (scores, gradients) in rows {
            let queries = log_sum.iter().zip(delta);
            for ((score, gradient), (&log_sum, &delta)) in
                scores.iter_mut().zip(gradients).zip(queries)
            {
                *score = exp2(simd, simd.sub_f32s(*score, log_sum));
                *gradient = simd.mul_f32s(*score, simd.sub_f32s(*gradient, delta));
            }
        }
    }
}

struct ColumnProducts<'a> {
    a: &'a [f32],
    b: &'a [f32],
    sums: &'a mut [f32],
}

impl WithSimd for ColumnProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let sums = S::as_mut_simd_f32s(self.sums).0;
        let a = S::as_simd_f32s(self.a).0.chunks_exact(sums.len());
        let b = S::as_simd_f32s(self.b).0.chunks_exact(sums.len());
        for (a, b) in a.zip(b) {
            for ((sum, &a), &b) in sums.iter_mut().zip(a).zip(b) {
                *sum = simd.mul_add_e_f32s(a, b, *sum);
            }
        }
    }
}
