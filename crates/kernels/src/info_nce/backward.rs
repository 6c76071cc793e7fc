//! The gradient of the keys of fused InfoNCE.

use super::columns::slopes;
use super::forward::QueryScore;
use super::ranges;
use super::tile::{KEY_TILE, Operands, QUERY_TILE, QueryTile};
use crate::cpu::blocks::{tiles, zeros};
use crate::cpu::matrix::Matrix;
use crate::cpu::product::{Onto, padded, product};
use crate::cpu::scratch::with_scratch;
use rayon::prelude::*;
use std::ops::Range;

/// The keys are split so that there are at least this many pieces of work, as far as there are tiles. It
/// is a constant, so that the result doesn't depend on the number of threads.
const PIECES: usize = 16;

/// `[keys, features]`, from the scores of the queries and the gradient of their losses. The softmax is computed
/// again, tile by tile:
///
/// ```text
/// dk_j = sum_i g_i (p_ij - [j = own(i)]) q_i / tau
/// ```
pub(super) fn keys_backward(
    operands: Operands,
    scores: &[QueryScore],
    gradient: &[f32],
) -> Vec<f32> {
    let losses = Losses { scores, gradient };
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
            add_tile(operands, losses, queries, keys.clone(), &mut columns);
        }
        let rows = gradient.chunks_exact_mut(features);
        for (row, column) in rows.zip(columns.chunks_exact(height)) {
            row.copy_from_slice(&column[..features]);
        }
    });
    gradient
}

/// The queries' scores, and the gradient of their losses.
#[derive(Clone, Copy)]
struct Losses<'a> {
    scores: &'a [QueryScore],
    gradient: &'a [f32],
}

/// Adds what a tile of queries contributes to the gradient of some keys, `[keys, padded(features)]`.
fn add_tile(
    operands: Operands,
    losses: Losses,
    queries: Range<usize>,
    keys: Range<usize>,
    columns: &mut [f32],
) {
    let (rows, lanes) = (queries.len(), padded(queries.len()));
    let features = operands.keys.columns;
    let height = padded(features);
    let lengths = [
        lanes * features,
        lanes * operands.query_side.columns,
        rows * height,
        lanes * KEY_TILE,
        lanes * KEY_TILE,
        lanes,
        lanes,
    ];
    with_scratch(lengths, |scratch| {
        let [
            query_columns,
            side_columns,
            query_rows,
            scores,
            marks,
            log_sum,
            factor,
        ] = scratch;
        let values = operands.queries.rows(queries.clone());
        values.transposed().copy_columns(1.0, height, query_rows);
        let tile = QueryTile::new(operands, queries.clone(), query_columns, side_columns);
        // The lanes beyond the last query are excluded everywhere. Their values only have to be finite.
        log_sum.fill(0.0);
        factor.fill(0.0);
        for (i, query) in queries.clone().enumerate() {
            log_sum[i] = losses.scores[query].log_sum;
            factor[i] = operands.scale * losses.gradient[query];
        }
        for range in tiles(keys.clone(), KEY_TILE) {
            let scores = &mut scores[..lanes * range.len()];
            let marks = &mut marks[..lanes * range.len()];
            tile.compare(range.clone(), scores, marks);
            slopes(scores, marks, log_sum, factor);
            for (lane, place) in tile.own(range.clone()) {
                let loss = losses.scores[queries.start + lane].loss;
                scores[place] = factor[lane] * (-loss).exp_m1();
            }
            let weights = Matrix::by_columns(scores, lanes, range.len()).rows(0..rows);
            let place = (range.start - keys.start) * height..(range.end - keys.start) * height;
            product(&mut columns[place], Onto::Sum, query_rows, weights, 1.0);
        }
    });
}
