//! The forward pass of fused attention.

use super::columns::Running;
use super::heads::{Head, KEY_TILE, KeyTile, KeyTiles, Operands, QUERY_TILE};
use crate::cpu::blocks::zeros;
use crate::cpu::matrix::Matrix;
use crate::cpu::product::{Onto, padded, product};
use crate::cpu::scratch::with_scratch;
use rayon::prelude::*;
use std::f32::consts::{LN_2, LOG2_E};

/// The output, `[batch, heads / adjacent, queries, adjacent, head_dim]`, in which so many heads are `adjacent`.
/// And the logarithm of the sum of exponentials of each query's scores, infinite where no key is visible, of the
/// same shape without the last axis.
pub(super) fn forward(operands: Operands, adjacent: usize) -> (Vec<f32>, Vec<f32>) {
    let [batch, heads, queries, head_dim] = operands.query.shape();
    let mut output = zeros(batch * heads * queries * head_dim);
    let mut log_sum = vec![f32::INFINITY; batch * heads * queries];
    if output.is_empty() {
        return (output, log_sum);
    }
    let tiles = KeyTiles::new(&operands);
    let width = adjacent * head_dim;
    output
        .par_chunks_mut(queries * width)
        .zip(log_sum.par_chunks_mut(queries * adjacent))
        .enumerate()
        .for_each(|(group, (output, log_sum))| {
            output
                .par_chunks_mut(QUERY_TILE * width)
                .zip(log_sum.par_chunks_mut(QUERY_TILE * adjacent))
                .enumerate()
                .for_each(|(tile, (output, log_sum))| {
                    let start = tile * QUERY_TILE;
                    let end = start + output.len() / width;
                    for place in 0..adjacent {
                        let head = operands.head(group * adjacent + place);
                        let results = Results {
                            output: &mut output[place * head_dim..],
                            log_sum: &mut log_sum[place..],
                            adjacent,
                        };
                        let query = head.query.rows(start..end);
                        forward_tile(query, head, tiles.of(head.batch), results);
                    }
                });
        });
    (output, log_sum)
}

/// The destination of a head's results. The slices begin with the first query's. Of every `adjacent` vectors
/// one belongs to this head.
struct Results<'a> {
    output: &'a mut [f32],
    log_sum: &'a mut [f32],
    adjacent: usize,
}

/// Flash attention (Dao et al. 2022, algorithm 1; Rabe & Staats 2021): the softmax of these queries is
/// renormalised with each tile of keys. Scores are stored transposed, a row per key. Then neither product has to
/// rearrange an operand, and the softmax needs no sums within a vector.
fn forward_tile(query: Matrix, head: Head, tiles: &[KeyTile], results: Results) {
    let lanes = padded(query.rows);
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
                if i > 0 {
                    running.shrink(sums);
                }
                let value = head.value.rows(tile.keys.clone());
                product(sums, Onto::nth(i), scores, value, 1.0);
            }
            if tiles.is_empty() {
                return;
            }
            let outputs = results.output.chunks_mut(results.adjacent * d);
            let log_sums = results.log_sum.iter_mut().step_by(results.adjacent);
            for (i, (output, log_sum)) in outputs.zip(log_sums).enumerate() {
                let factor = 1.0 / running.sum[i];
                for (output, &sum) in output[..d].iter_mut().zip(sums[i..].iter().step_by(lanes)) {
                    *output = sum * factor;
                }
                *log_sum = LN_2 * (running.max[i] + running.sum[i].log2());
            }
        },
    );
}
