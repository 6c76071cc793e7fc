//! The forward pass of fused InfoNCE, out of which the queries' slopes come.

use super::columns::Running;
use super::ranges;
use super::tile::{KEY_TILE, Operands, QUERY_TILE, QueryTile, padded, tiles};
use crate::product::{Onto, product};
use crate::scratch::with_scratch;
use rayon::prelude::*;
use std::f32::consts::{LN_2, LOG2_E};
use std::ops::Range;

/// What came of a query.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    pub(super) loss: f32,
    pub(super) right: bool,
    pub(super) candidates: f32,
    /// Logarithm to base 2 of the sum of exponentials, its own key's among them.
    pub(super) log_sum: f32,
}

/// The answers, and the slope of each loss by its query, `[queries, features]`; none without gradient.
pub(super) fn forward(operands: Operands, with_gradient: bool) -> (Vec<Answer>, Vec<f32>) {
    let (queries, features) = (operands.queries.rows, operands.queries.columns);
    let mut answers = vec![Answer::default(); queries];
    let mut slopes = vec![0.0; if with_gradient { queries * features } else { 0 }];
    let mut rest = (&mut answers[..], &mut slopes[..]);
    let mut work = Vec::with_capacity(queries.div_ceil(QUERY_TILE) + operands.groups.len());
    for [queries, keys] in ranges(operands.groups) {
        for queries in tiles(queries, QUERY_TILE) {
            let width = if with_gradient { features } else { 0 };
            let (answers, answers_after) = rest.0.split_at_mut(queries.len());
            let (slopes, slopes_after) = rest.1.split_at_mut(queries.len() * width);
            rest = (answers_after, slopes_after);
            let slopes = with_gradient.then_some(slopes);
            work.push((queries.start, keys.clone(), answers, slopes));
        }
    }
    work.into_par_iter()
        .for_each(|(start, keys, answers, slopes)| {
            forward_tile(operands, start, keys, answers, slopes);
        });
    (answers, slopes)
}

/// The softmax over a query's negatives is renormalised with each tile of keys (Milakov & Gimelshein
/// 2018; Dao et al. 2022, algorithm 1); its own key joins at the end.
///
/// ```text
/// l  = ln(1 + e^x),   x = ln sum_{j in N} e^(s_j - s_own)
/// dl = (sum_{j in N} p_j k_j - (1 - p_own) k_own) / tau,   1 - p_own = 1 / (1 + e^-x)
/// ```
fn forward_tile(
    operands: Operands,
    start: usize,
    candidates: Range<usize>,
    answers: &mut [Answer],
    slopes: Option<&mut [f32]>,
) {
    let Operands { keys, asked, .. } = operands;
    let lanes = padded(answers.len());
    let features = keys.columns;
    let sum_len = if slopes.is_some() {
        lanes * features
    } else {
        0
    };
    let lengths = [
        lanes * features,
        lanes * asked.columns,
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
            asked_columns,
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
        let range = start..start + answers.len();
        let tile = QueryTile::new(operands, range.clone(), query_columns, asked_columns);
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
            let mut own = [(0, 0); QUERY_TILE];
            let mut n_own = 0;
            tile.compare(range.clone(), scores, marks, |lane, place| {
                own[n_own] = (lane, place);
                n_own += 1;
            });
            for &(lane, place) in &own[..n_own] {
                positive[lane] = scores[place];
            }
            running.absorb(scores, marks);
            if slopes.is_some() {
                running.shrink(sums);
                product(sums, Onto::Sum, scores, keys.rows(range), 1.0);
            }
        }
        for (i, answer) in answers.iter_mut().enumerate() {
            // Without negatives the sum is 0, and this minus infinity.
            let x = LN_2 * (running.reference[i] - positive[i] + running.sum[i].log2());
            let loss = if x > 0.0 {
                x + (-x).exp().ln_1p()
            } else {
                x.exp().ln_1p()
            };
            *answer = Answer {
                loss,
                right: positive[i] > running.nearest[i],
                candidates: running.count[i] + 1.0,
                log_sum: positive[i] + loss * LOG2_E,
            };
        }
        let Some(slopes) = slopes else { return };
        let rows = slopes.chunks_exact_mut(features.max(1)).zip(&*answers);
        for (i, (slopes, answer)) in rows.enumerate() {
            let factor = operands.scale * (running.reference[i] - answer.log_sum).exp2();
            let own_factor = operands.scale * (-answer.loss).exp_m1();
            let own = &keys.rows(operands.own[start + i]..keys.rows).data[..features];
            let sums = sums[i..].iter().step_by(lanes);
            for ((slope, sum), own) in slopes.iter_mut().zip(sums).zip(own) {
                *slope = sum * factor + own * own_factor;
            }
        }
    });
}
