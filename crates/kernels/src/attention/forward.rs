//! The forward pass of fused attention.

use super::columns::Running;
use super::heads::{Head, KEY_TILE, KeyTile, KeyTiles, Operands, QUERY_TILE, padded};
use crate::blocks::zeros;
use crate::matrix::Matrix;
use crate::product::{Onto, product};
use crate::scratch::with_scratch;
use rayon::prelude::*;
use std::f32::consts::{LN_2, LOG2_E};

/// The output, as `query`, and the logarithm of the sum of exponentials of each query's scores,
/// `[batch, heads, queries]`: infinite where no key is visible.
pub(super) fn forward(operands: Operands) -> (Vec<f32>, Vec<f32>) {
    let [batch, heads, queries, head_dim] = operands.query.shape();
    let mut output = zeros(batch * heads * queries * head_dim);
    let mut log_sum = vec![f32::INFINITY; batch * heads * queries];
    if output.is_empty() {
        return (output, log_sum);
    }
    let tiles = KeyTiles::new(&operands);
    output
        .par_chunks_mut(queries * head_dim)
        .zip(log_sum.par_chunks_mut(queries))
        .enumerate()
        .for_each(|(head, (output, log_sum))| {
            let head = operands.head(head);
            output
                .par_chunks_mut(QUERY_TILE * head_dim)
                .zip(log_sum.par_chunks_mut(QUERY_TILE))
                .enumerate()
                .for_each(|(tile, (output, log_sum))| {
                    let start = tile * QUERY_TILE;
                    let query = head.query.rows(start..start + log_sum.len());
                    forward_tile(query, head, tiles.of(head.batch), output, log_sum);
                });
        });
    (output, log_sum)
}

/// Flash attention (Dao et al. 2022, algorithm 1; Rabe & Staats 2021): the softmax of these queries is
/// renormalised with each tile of keys. Scores are stored transposed, a row per key, because then
/// neither product has to rearrange an operand and the softmax needs no sums within a vector.
fn forward_tile(
    query: Matrix,
    head: Head,
    tiles: &[KeyTile],
    output: &mut [f32],
    log_sum: &mut [f32],
) {
    let lanes = padded(log_sum.len());
    let d = head.head_dim;
    let lengths = [lanes * d, lanes * d, lanes * KEY_TILE, lanes, lanes, lanes];
    with_scratch(
        lengths,
        |[query_columns, sums, scores, max, sum, shrink]| {
            query.copy_columns(head.scale * LOG2_E, lanes, query_columns);
            let mut running = Running { max, sum, shrink };
            running.start();
            for (i, tile) in tiles.iter().enumerate() {
                let scores = &mut scores[..lanes * tile.keys.len()];
                tile.scores(query_columns, head, scores);
                running.absorb(scores);
                let onto = if i == 0 {
                    Onto::Nothing
                } else {
                    running.shrink(sums);
                    Onto::Sum
                };
                let value = head.value.rows(tile.keys.clone());
                product(sums, onto, scores, value, 1.0);
            }
            if tiles.is_empty() {
                return;
            }
            for (i, (output, log_sum)) in output.chunks_exact_mut(d).zip(log_sum).enumerate() {
                let factor = 1.0 / running.sum[i];
                for (output, &sum) in output.iter_mut().zip(sums[i..].iter().step_by(lanes)) {
                    *output = sum * factor;
                }
                *log_sum = LN_2 * (running.max[i] + running.sum[i].log2());
            }
        },
    );
}
