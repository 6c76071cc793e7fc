//! Every row of a matrix times another matrix: the output of a linear map, and its input's gradient.
//!
//! The matrix is laid out in tiles, of which each stays in the nearest cache while it meets the rows of
//! many tokens.

use crate::blocks::filled_in_shares;
use crate::matrix::Matrix;
use crate::product::{LANE_MULTIPLE, Onto, product_apart};
use crate::scratch::with_scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Values of a row in a tile: as many as `product` sums at once in registers, where there are 32 of 512
/// bits.
pub(super) const PANEL: usize = 64;

/// Summands in a tile: with [`PANEL`], 64 KiB. It comes out of the second cache as fast as it is multiplied, and half
/// as many sums would go back and forth more often.
const DEPTH: usize = 256;

/// Tokens that a thread takes at a time: their output fits the second cache.
const TOKENS: usize = 48;

/// So many threads have something to do with few tokens too.
const PIECES: usize = 16;

/// With fewer multiplications than this, waking a thread takes longer than doing its share.
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

/// A matrix in tiles as `product` wants them on its left.
struct Panels {
    /// Panel after panel, each tile after tile: columns of [`Panels::height`].
    values: Vec<f32>,
    width: usize,
    depth: usize,
}

impl Panels {
    /// Of a matrix whose columns are the summands.
    fn new(matrix: Matrix) -> Self {
        let [width, depth] = [matrix.rows, matrix.columns];
        let mut panels = Self {
            values: vec![0.0; width.next_multiple_of(LANE_MULTIPLE) * depth],
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

    /// The panels, with the values of a row that each stands for.
    fn iter(&self) -> impl Iterator<Item = (Range<usize>, &[f32])> {
        let panels = self.values.chunks(PANEL * self.depth).enumerate();
        panels.map(|(panel, values)| {
            let start = panel * PANEL;
            (start..(start + PANEL).min(self.width), values)
        })
    }
}

/// Of every row of `x`, the sum of the panels' columns times its values, and `bias`.
fn map_rows(x: &[f32], panels: &Panels, bias: &[f32]) -> Vec<f32> {
    let Panels { width, depth, .. } = *panels;
    let tokens = x.len() / depth;
    let is_parallel = x.len() * width >= LEAST_PARALLEL;
    // Few tokens are spread over the threads too.
    let at_once = match is_parallel {
        true => tokens.div_ceil(PIECES).clamp(6, TOKENS).next_multiple_of(6),
        false => TOKENS,
    };
    let stride = width.next_multiple_of(LANE_MULTIPLE);
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

/// The first tile of summands is written, the others are added.
pub(super) fn onto(i: usize) -> Onto {
    if i == 0 { Onto::Nothing } else { Onto::Sum }
}
