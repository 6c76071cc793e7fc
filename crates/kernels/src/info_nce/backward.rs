//! The gradient of the keys of fused InfoNCE.

use super::columns::slopes;
use super::ranges;
use super::tile::{KEY_TILE, Operands, QUERY_TILE, QueryTile, padded, tiles};
use crate::blocks::zeros;
use crate::matrix::Matrix;
use crate::product::{Onto, product};
use crate::scratch::with_scratch;
use rayon::prelude::*;
use std::ops::Range;

/// The keys are split so that there are at least this many pieces of work, as far as there are tiles. It
/// is a constant, so that the result doesn't depend on the number of threads.
const PIECES: usize = 16;

/// What the forward pass left for each query, and the gradient of its loss.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) loss: &'a [f32],
    pub(super) log_sum: &'a [f32],
    pub(super) gradient: &'a [f32],
}

/// `[keys, features]`. The softmax is computed anew, tile by tile:
///
/// ```text
/// dk_j = sum_i g_i (p_ij - [j = own(i)]) q_i / tau
/// ```
pub(super) fn keys_backward(operands: Operands, known: Known) -> Vec<f32> {
    let (keys, features) = (operands.keys.rows, operands.keys.columns);
    let mut gradient = zeros(keys * features);
    let piece = keys
        .div_ceil(PIECES)
        .next_multiple_of(KEY_TILE)
        .max(KEY_TILE);
    let mut rest = &mut gradient[..];
    let mut work = Vec::with_capacity(PIECES + operands.groups.len());
    for [queries, keys] in ranges(operands.groups) {
        for keys in tiles(keys, piece) {
            let (gradient, after) = rest.split_at_mut(keys.len() * features);
            rest = after;
            work.push((queries.clone(), keys, gradient));
        }
    }
    work.into_par_iter().for_each(|(queries, keys, gradient)| {
        let height = padded(features);
        // Columns are a whole number of vectors; the keys' own rows are not, for every width.
        let mut columns = vec![0.0; keys.len() * height];
        for queries in tiles(queries, QUERY_TILE) {
            add_tile(operands, known, queries, keys.clone(), &mut columns);
        }
        let rows = gradient.chunks_exact_mut(features);
        for (row, column) in rows.zip(columns.chunks_exact(height)) {
            row.copy_from_slice(&column[..features]);
        }
    });
    gradient
}

fn add_tile(
    operands: Operands,
    known: Known,
    queries: Range<usize>,
    keys: Range<usize>,
    columns: &mut [f32],
) {
    let (rows, lanes) = (queries.len(), padded(queries.len()));
    let features = operands.keys.columns;
    let height = padded(features);
    let lengths = [
        lanes * features,
        lanes * operands.asked.columns,
        rows * height,
        lanes * KEY_TILE,
        lanes * KEY_TILE,
        lanes,
        lanes,
    ];
    with_scratch(lengths, |scratch| {
        let [
            query_columns,
            asked_columns,
            query_rows,
            scores,
            marks,
            log_sum,
            factor,
        ] = scratch;
        let values = operands.queries.rows(queries.clone());
        values.transposed().copy_columns(1.0, height, query_rows);
        let tile = QueryTile::new(operands, queries.clone(), query_columns, asked_columns);
        // The lanes beyond the last query are excluded everywhere; what they hold only has to be finite.
        log_sum.fill(0.0);
        factor.fill(0.0);
        let gradient = &known.gradient[queries.clone()];
        log_sum[..rows].copy_from_slice(&known.log_sum[queries.clone()]);
        for (factor, gradient) in factor.iter_mut().zip(gradient) {
            *factor = operands.scale * gradient;
        }
        for range in tiles(keys.clone(), KEY_TILE) {
            let scores = &mut scores[..lanes * range.len()];
            let marks = &mut marks[..lanes * range.len()];
            let mut own = [(0, 0); QUERY_TILE];
            let mut n_own = 0;
            tile.compare(range.clone(), scores, marks, |lane, place| {
                own[n_own] = (lane, place);
                n_own += 1;
            });
            slopes(scores, marks, log_sum, factor);
            for &(lane, place) in &own[..n_own] {
                let loss = known.loss[queries.start + lane];
                scores[place] = factor[lane] * (-loss).exp_m1();
            }
            let weights = Matrix::by_columns(scores, lanes, range.len()).rows(0..rows);
            let place = (range.start - keys.start) * height..(range.end - keys.start) * height;
            product(&mut columns[place], Onto::Sum, query_rows, weights, 1.0);
        }
    });
}
