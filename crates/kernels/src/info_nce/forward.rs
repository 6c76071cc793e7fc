//! The forward pass of fused InfoNCE, which also computes the slopes of the losses by the queries.

use super::columns::Running;
use super::ranges;
use super::tile::{KEY_TILE, Operands, QUERY_TILE, QueryTile};
use crate::cpu::blocks::tiles;
use crate::cpu::product::{Onto, padded, product};
use crate::cpu::scratch::with_scratch;
use rayon::prelude::*;
use std::f32::consts::{LN_2, LOG2_E};
use std::ops::Range;

/// The results of a query.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct QueryScore {
    pub(super) loss: f32,
    pub(super) right: bool,
    pub(super) candidates: f32,
    /// Logarithm to base 2 of the sum of exponentials, including its own key's.
    pub(super) log_sum: f32,
}

/// The results of the queries, and the slope of each loss by its query, `[queries, features]`; empty without
/// gradient.
pub(super) fn forward(operands: Operands, with_gradient: bool) -> (Vec<QueryScore>, Vec<f32>) {
    let (queries, features) = (operands.queries.rows, operands.queries.columns);
    let width = if with_gradient { features } else { 0 };
    let mut scores = vec![QueryScore::default(); queries];
    let mut slopes = vec![0.0; queries * width];
    let mut rest = (&mut scores[..], &mut slopes[..]);
    let mut work = Vec::with_capacity(queries.div_ceil(QUERY_TILE) + operands.groups.len());
    for [queries, keys] in ranges(operands.groups) {
        for queries in tiles(queries, QUERY_TILE) {
            let (scores, scores_after) = rest.0.split_at_mut(queries.len());
            let (slopes, slopes_after) = rest.1.split_at_mut(queries.len() * width);
            rest = (scores_after, slopes_after);
            let slopes = with_gradient.then_some(slopes);
            work.push((queries, keys.clone(), scores, slopes));
        }
    }
    work.into_par_iter()
        .for_each(|(queries, keys, scores, slopes)| {
            forward_tile(operands, queries, keys, scores, slopes);
        });
    (scores, slopes)
}

/// The softmax over a query's negatives is renormalised with each tile of keys (Milakov & Gimelshein
/// 2018; Dao et al. 2022, algorithm 1). The query's own key is added at the end.
///
/// ```text
/// l  = ln(1 + e^x),   x = ln sum_{j in N} e^(s_j - s_own)
/// dl = (sum_{j in N} p_j k_j - (1 - p_own) k_own) / tau,   1 - p_own = 1 / (1 + e^-x)
/// ```
fn forward_tile(
    operands: Operands,
    queries: Range<usize>,
    candidates: Range<usize>,
    results: &mut [QueryScore],
    slopes: Option<&mut [f32]>,
) {
    let Operands {
        keys, query_side, ..
    } = operands;
    let lanes = padded(queries.len());
    let features = keys.columns;
    let sum_len = slopes.as_ref().map_or(0, |_| lanes * features);
    let lengths = [
        lanes * features,
        lanes * query_side.columns,
        sum_len,
        lanes * KEY_TILE,
        lanes * KEY_TILE,
        lanes,
        lanes,
        lanes,
        lanes,
        lanes,
        lanes,
    ];
    with_scratch(lengths, |scratch| {
        let [
            query_columns,
            side_columns,
            sums,
            scores,
            marks,
            positive,
            nearest,
            reference,
            sum,
            count,
            shrink,
        ] = scratch;
        let tile = QueryTile::new(operands, queries.clone(), query_columns, side_columns);
        let mut running = Running {
            nearest,
            reference,
            sum,
            count,
            shrink,
        };
        running.start();
        sums.fill(0.0);
        for range in tiles(candidates, KEY_TILE) {
            let scores = &mut scores[..lanes * range.len()];
            let marks = &mut marks[..lanes * range.len()];
            tile.compare(range.clone(), scores, marks);
            for (lane, place) in tile.own(range.clone()) {
                positive[lane] = scores[place];
            }
            running.absorb(scores, marks);
            if slopes.is_some() {
                running.shrink(sums);
                product(sums, Onto::Sum, scores, keys.rows(range), 1.0);
            }
        }
        for (i, result) in results.iter_mut().enumerate() {
            *result = query_score(&running, i, positive[i]);
        }
        if let Some(slopes) = slopes {
            write_slopes(operands, queries, results, running.reference, sums, slopes);
        }
    });
}

/// The results of query `i` of a tile, whose own key has the score `positive`.
fn query_score(running: &Running, i: usize, positive: f32) -> QueryScore {
    // Without negatives the sum is 0, and this minus infinity.
    let x = LN_2 * (running.reference[i] - positive + running.sum[i].log2());
    let loss = if x > 0.0 {
        x + (-x).exp().ln_1p()
    } else {
        x.exp().ln_1p()
    };
    QueryScore {
        loss,
        right: positive > running.nearest[i],
        candidates: running.count[i] + 1.0,
        log_sum: positive + loss * LOG2_E,
    }
}

/// The slopes of the losses by some queries, from the sums of keys, weighted relative to the references.
fn write_slopes(
    operands: Operands,
    queries: Range<usize>,
    results: &[QueryScore],
    references: &[f32],
    sums: &[f32],
    slopes: &mut [f32],
) {
    let Operands { keys, scale, .. } = operands;
    let lanes = references.len();
    let rows = slopes.chunks_exact_mut(keys.columns).zip(results);
    for (i, (slopes, result)) in rows.enumerate() {
        let factor = scale * (references[i] - result.log_sum).exp2();
        let own_factor = scale * (-result.loss).exp_m1();
        let own = operands.own[queries.start + i];
        let own = &keys.rows(own..keys.rows).data[..keys.columns];
        let sums = sums[i..].iter().step_by(lanes);
        for ((slope, sum), own) in slopes.iter_mut().zip(sums).zip(own) {
            *slope = sum * factor + own * own_factor;
        }
    }
}
