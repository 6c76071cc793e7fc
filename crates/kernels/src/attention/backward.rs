//! The backward pass of fused attention.

use super::columns::{add_column_products, weights_and_score_gradients};
use super::heads::{Head, KEY_TILE, KeyTile, KeyTiles, Operands, QUERY_TILE};
use crate::cpu::blocks::{tiles, zeros};
use crate::cpu::matrix::{Matrices, Matrix};
use crate::cpu::product::{Onto, padded, product};
use crate::cpu::scratch::with_scratch;
use rayon::prelude::*;
use std::f32::consts::LOG2_E;
use std::ops::Range;

/// The keys of every head are split into at least this many pieces of work. The number is constant, so that the
/// result doesn't depend on the number of threads.
const PIECES: usize = 16;

/// The gradients of query, key and value, `[batch, heads, queries or keys, head_dim]`, from the results of the
/// forward pass and the gradient of its output, in any layout. `log_sum` is `[batch, heads, queries, 1]`.
pub(super) fn backward(
    operands: Operands,
    output: Matrices,
    log_sum: Matrices,
    gradient: Matrices,
) -> [Vec<f32>; 3] {
    let [batch, heads, queries, head_dim] = operands.query.shape();
    let [_, _, keys, _] = operands.key.shape();
    let zeros = |len: usize| zeros(batch * heads * len);
    if batch * heads * queries * keys * head_dim == 0 {
        return [queries, keys, keys].map(|count| zeros(count * head_dim));
    }
    let pieces = PIECES.div_ceil(batch * heads).min(keys.div_ceil(KEY_TILE));
    let piece_keys = keys.div_ceil(pieces).next_multiple_of(KEY_TILE);
    let pieces = keys.div_ceil(piece_keys);

    // Every piece of the keys has its own part of the gradient of the queries. The gradients of the keys and
    // values are summed in columns, which are a whole number of vectors.
    let (query_len, key_dim) = (queries * head_dim, padded(head_dim));
    let mut query_gradient = zeros(pieces * query_len);
    let [mut key_gradient, mut value_gradient] = [(); 2].map(|()| zeros(keys * key_dim));
    let key_tiles = KeyTiles::new(&operands);
    query_gradient
        .par_chunks_mut(pieces * query_len)
        .zip(key_gradient.par_chunks_mut(keys * key_dim))
        .zip(value_gradient.par_chunks_mut(keys * key_dim))
        .enumerate()
        .for_each(
            |(index, ((query_gradient, key_gradient), value_gradient))| {
                let head = operands.head(index);
                let forward = Forward {
                    output: output.matrix(index),
                    log_sum: log_sum.matrix(index),
                    gradient: gradient.matrix(index),
                };
                query_gradient
                    .par_chunks_mut(query_len)
                    .zip(key_gradient.par_chunks_mut(piece_keys * key_dim))
                    .zip(value_gradient.par_chunks_mut(piece_keys * key_dim))
                    .enumerate()
                    .for_each(|(piece, ((query, key), value))| {
                        let first_key = piece * piece_keys;
                        let keys = first_key..first_key + piece_keys;
                        let key_tiles = key_tiles.within(head.batch, keys);
                        let mut gradients = Gradients {
                            query,
                            first_key,
                            key,
                            value,
                        };
                        for queries in tiles(0..queries, QUERY_TILE) {
                            backward_tile(queries, head, &forward, key_tiles, &mut gradients);
                        }
                    });
            },
        );
    [
        sum_pieces(query_gradient, pieces, query_len),
        without_padding(key_gradient, key_dim, head_dim),
        without_padding(value_gradient, key_dim, head_dim),
    ]
}

/// The results of the forward pass for a head, and the gradient of its output.
struct Forward<'a> {
    output: Matrix<'a>,
    log_sum: Matrix<'a>,
    gradient: Matrix<'a>,
}

/// The gradients of a head: of all its queries, and of its keys and values from `first_key` on.
struct Gradients<'a> {
    query: &'a mut [f32],
    first_key: usize,
    key: &'a mut [f32],
    value: &'a mut [f32],
}

/// Flash attention (Dao et al. 2022, algorithm 4): computes the weights again, tile by tile.
///
/// ```text
/// p  = exp(q k^T / sqrt(d) - log_sum)      dv += p^T do
/// ds = p (do v^T - sum(do o))              dk += ds^T q / sqrt(d),  dq += ds k / sqrt(d)
/// ```
fn backward_tile(
    queries: Range<usize>,
    head: Head,
    forward: &Forward,
    tiles: &[KeyTile],
    gradients: &mut Gradients,
) {
    let (rows, d, d_padded) = (queries.len(), head.head_dim, padded(head.head_dim));
    let lanes = padded(rows);
    let lengths = [
        lanes * d,
        lanes * d,
        rows * d_padded,
        rows * d_padded,
        lanes * d,
        lanes * KEY_TILE,
        lanes * KEY_TILE,
        lanes,
        lanes,
    ];
    with_scratch(lengths, |scratch| {
        let [
            query,
            gradient,
            query_rows,
            gradient_rows,
            sums,
            scores,
            dots,
            log_sum,
            delta,
        ] = scratch;
        let of_head = [
            head.query,
            forward.gradient,
            forward.log_sum,
            forward.output,
        ];
        let [q, g, l, o] = of_head.map(|matrix| matrix.rows(queries.clone()));
        q.copy_columns(head.scale * LOG2_E, lanes, query);
        q.transposed().copy_columns(1.0, d_padded, query_rows);
        g.copy_columns(1.0, lanes, gradient);
        g.transposed().copy_columns(1.0, d_padded, gradient_rows);
        // The lanes below the last query must not become infinite. Their values are never used.
        l.copy_columns(LOG2_E, lanes, log_sum);
        o.copy_columns(1.0, lanes, sums);
        delta.fill(0.0);
        add_column_products(sums, gradient, delta);
        sums.fill(0.0);

        for tile in tiles {
            let count = tile.keys.len();
            let scores = &mut scores[..lanes * count];
            let dots = &mut dots[..lanes * count];
            tile.scores(query, head, scores);
            let value = head.value.rows(tile.keys.clone());
            product(dots, Onto::Nothing, gradient, value.transposed(), 1.0);
            weights_and_score_gradients(scores, dots, log_sum, delta);

            let weights = Matrix::by_columns(scores, lanes, count).rows(0..rows);
            let score_gradients = Matrix::by_columns(dots, lanes, count).rows(0..rows);
            let place = (tile.keys.start - gradients.first_key) * d_padded;
            let place = place..place + count * d_padded;
            let value_gradient = &mut gradients.value[place.clone()];
            product(value_gradient, Onto::Sum, gradient_rows, weights, 1.0);
            let key_gradient = &mut gradients.key[place];
            product(
                key_gradient,
                Onto::Sum,
                query_rows,
                score_gradients,
                head.scale,
            );
            product(sums, Onto::Sum, dots, head.key.rows(tile.keys.clone()), 1.0);
        }
        let query_gradient = &mut gradients.query[queries.start * d..queries.end * d];
        write_rows(query_gradient, d, head.scale, sums, lanes);
    });
}

/// Writes `factor` times columns of `lanes` values as rows of `width`, for as many rows as there are.
fn write_rows(rows: &mut [f32], width: usize, factor: f32, columns: &[f32], lanes: usize) {
    for (i, row) in rows.chunks_exact_mut(width).enumerate() {
        for (to, &from) in row.iter_mut().zip(columns[i..].iter().step_by(lanes)) {
            *to = factor * from;
        }
    }
}

/// Sums `[heads, pieces, len]` to `[heads, len]`, always in the same order.
fn sum_pieces(parts: Vec<f32>, pieces: usize, len: usize) -> Vec<f32> {
    if pieces == 1 {
        return parts;
    }
    let mut sums = vec![0.0; parts.len() / pieces];
    sums.par_chunks_mut(len)
        .zip(parts.par_chunks(pieces * len))
        .for_each(|(sums, parts)| {
            for part in parts.chunks_exact(len) {
                for (sum, part) in sums.iter_mut().zip(part) {
                    *sum += part;
                }
            }
        });
    sums
}

/// The first `len` values of every `padded`.
fn without_padding(values: Vec<f32>, padded: usize, len: usize) -> Vec<f32> {
    if padded == len {
        return values;
    }
    values
        .chunks_exact(padded)
        .flat_map(|row| &row[..len])
        .copied()
        .collect()
}
