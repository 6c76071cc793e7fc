//! Every row of a matrix times another matrix: the output of a linear map, and the gradient of its input.
//!
//! The other matrix is laid out in tiles. Each stays in the nearest cache while it is multiplied by the rows of
//! many tokens.

use crate::cpu::blocks::filled_in_shares;
use crate::cpu::matrix::Matrix;
use crate::cpu::product::{Onto, padded, product_apart};
use crate::cpu::scratch::with_scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Values of a row in a tile: as many as `product` sums at once in 32 registers of 512 bits.
pub(super) const PANEL: usize = 64;

/// Summands in a tile: with [`PANEL`], 64 KiB. The L2 cache delivers a tile as fast as it is multiplied.
/// With half as many summands, the sums would be loaded and stored twice as often.
const DEPTH: usize = 256;

/// Tokens that a thread takes at a time: their output fits into the L2 cache.
const TOKENS: usize = 48;

/// Few tokens are divided among so many threads.
const PIECES: usize = 16;

/// With fewer multiplications than this, waking a thread takes longer than the work.
pub(super) const LEAST_PARALLEL: usize = 1 << 20;

/// `x weight + bias`, row after row.
pub(super) fn output(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
    let d_out = bias.len();
    let d_in = weight.len().checked_div(d_out).unwrap_or(0);
    let panels = Panels::new(Matrix {
        data: weight,
        rows: d_out,
        columns: d_in,
        row_stride: 1,
        column_stride: d_out,
    });
    map_rows(x, &panels, bias)
}

/// `gradient weight^T`, row after row.
pub(super) fn input_gradient(
    gradient: &[f32],
    weight: &[f32],
    [d_in, d_out]: [usize; 2],
) -> Vec<f32> {
    let panels = Panels::new(Matrix {
        data: weight,
        rows: d_in,
        columns: d_out,
        row_stride: d_out,
        column_stride: 1,
    });
    map_rows(gradient, &panels, &vec![0.0; d_in])
}

/// A matrix in tiles, as `product` needs them on its left.
struct Panels {
    /// Panel after panel, each tile after tile, column after column.
    values: Vec<f32>,
    width: usize,
    depth: usize,
}

impl Panels {
    /// Lays out a matrix whose columns are the summands.
    fn new(matrix: Matrix) -> Self {
        let [width, depth] = [matrix.rows, matrix.columns];
        let mut panels = Self {
            values: vec![0.0; padded(width) * depth],
            width,
            depth,
        };
        let fill = |(panel, values): (usize, &mut [f32])| {
            let start = panel * PANEL;
            let rows = matrix.rows(start..(start + PANEL).min(width));
            rows.copy_columns(1.0, values.len() / depth, values);
        };
        let values = &mut panels.values;
        if width * depth >= LEAST_PARALLEL {
            let values = values.par_chunks_mut(PANEL * depth);
            values.enumerate().for_each(fill);
        } else {
            values.chunks_mut(PANEL * depth).enumerate().for_each(fill);
        }
        panels
    }

    /// The panels, each with its range in a row of the output.
    fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[f32])> {
        let panels = self.values.chunks(PANEL * self.depth).enumerate();
        panels.map(|(panel, values)| {
            let start = panel * PANEL;
            (start..(start + PANEL).min(self.width), values)
        })
    }
}

/// For every row of `x`, the sum of the panels' columns times the row's values, plus `bias`.
fn map_rows(x: &[f32], panels: &Panels, bias: &[f32]) -> Vec<f32> {
    let Panels { width, depth, .. } = *panels;
    let tokens = x.len() / depth;
    let is_parallel = x.len() * width >= LEAST_PARALLEL;
    // Few tokens are spread over the threads too.
    let at_once = match is_parallel {
        true => tokens.div_ceil(PIECES).clamp(6, TOKENS).next_multiple_of(6),
        false => TOKENS,
    };
    let stride = padded(width);
    let least_share = LEAST_PARALLEL / 2 / depth;
    let length = tokens * width;
    filled_in_shares(
        length,
        at_once * width,
        least_share,
        || (),
        |(), range, output| {
            let x = &x[range.start / width * depth..range.end / width * depth];
            if stride == width {
                sum_up(x, panels, bias, output, stride);
                return;
            }
            with_scratch([output.len() / width * stride], |[rows]| {
                sum_up(x, panels, bias, rows, stride);
                let rows = rows.chunks_exact(stride);
                for (to, row) in output.chunks_exact_mut(width).zip(rows) {
                    to.copy_from_slice(&row[..width]);
                }
            });
        },
    )
}

/// Writes the output in rows that begin `stride` values apart.
fn sum_up(x: &[f32], panels: &Panels, bias: &[f32], rows: &mut [f32], stride: usize) {
    let depth = panels.depth;
    let tokens = x.len() / depth;
    for row in rows.chunks_exact_mut(stride) {
        let (row, beyond) = row.split_at_mut(bias.len());
        row.copy_from_slice(bias);
        beyond.fill(0.0);
    }
    for (range, panel) in panels.iter() {
        let height = panel.len() / depth;
        for (i, tile) in panel.chunks(height * DEPTH).enumerate() {
            let right = Matrix {
                data: &x[i * DEPTH..],
                rows: tile.len() / height,
                columns: tokens,
                row_stride: 1,
                column_stride: depth,
            };
            product_apart(
                &mut rows[range.start..],
                stride,
                Onto::Sum,
                tile,
                right,
                1.0,
            );
        }
    }
}
