//! The gradient of a linear map's weight: sums over all tokens.

use super::rows::{LEAST_PARALLEL, PANEL};
use crate::cpu::blocks::{tiles, zeros};
use crate::cpu::matrix::Matrix;
use crate::cpu::product::{Onto, padded, product};
use crate::cpu::scratch::with_scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Rows of a block of the gradient, at most, and its columns: it fits the L2 cache.
const BLOCK: [usize; 2] = [264, 256];

/// Tokens of a product.
const DEPTH: usize = 256;

/// Rows with their inputs side by side: with [`DEPTH`], 24 KiB.
const STRIP: usize = 24;

/// The tokens are split into at least this many pieces of work. The number is constant, so that the result
/// doesn't depend on the number of threads.
const PIECES: usize = 16;

/// Rows of the gradient that are worth another thread.
const LEAST_ROWS: usize = 16;

/// The gradients of weight and bias: `x^T gradient`, row after row, and the sum of the gradient's rows.
pub(super) fn weight_gradient(
    x: &[f32],
    gradient: &[f32],
    [d_in, d_out]: [usize; 2],
) -> (Vec<f32>, Vec<f32>) {
    let cut = Cut::new(gradient.len() / d_out, [d_in, d_out]);
    let mut parts = zeros(cut.parts() * cut.part_len());
    let add_up = |(part, sums): (usize, &mut [f32])| cut.part(part).add_up(x, gradient, sums);
    if gradient.len() * d_in >= LEAST_PARALLEL {
        let parts = parts.par_chunks_mut(cut.part_len());
        parts.enumerate().for_each(add_up);
    } else {
        let parts = parts.chunks_mut(cut.part_len());
        parts.enumerate().for_each(add_up);
    }

    let mut weight = zeros(d_in * d_out);
    let fill = |(row, to): (usize, &mut [f32])| {
        for part in cut.parts_with(row) {
            let sums = &parts[part * cut.part_len()..][..cut.part_len()];
            cut.part(part).add_column(1 + row % cut.rows, sums, to);
        }
    };
    if d_in > 0 {
        let rows = weight.par_chunks_exact_mut(d_out);
        rows.enumerate().with_min_len(LEAST_ROWS).for_each(fill);
    }
    let mut bias = vec![0.0; d_out];
    for part in cut.parts_with(0) {
        let sums = &parts[part * cut.part_len()..][..cut.part_len()];
        cut.part(part).add_column(0, sums, &mut bias);
    }
    (weight, bias)
}

fn add(sums: &[f32], to: &mut [f32]) {
    for (to, sum) in to.iter_mut().zip(sums) {
        *to += sum;
    }
}

/// The partition of the work: blocks of the gradient, times stretches of the tokens.
struct Cut {
    tokens: usize,
    d_in: usize,
    d_out: usize,
    /// Rows of a block.
    rows: usize,
    columns: usize,
    /// Tokens of a stretch.
    part_tokens: usize,
}

/// A block of the gradient, summed over a stretch of the tokens.
struct Part {
    tokens: Range<usize>,
    rows: Range<usize>,
    columns: Range<usize>,
    cut: [usize; 2],
    panel_len: usize,
}

impl Cut {
    fn new(tokens: usize, [d_in, d_out]: [usize; 2]) -> Self {
        let evenly = |size: usize, most: usize| size.div_ceil(size.div_ceil(most).max(1)).max(1);
        // A product sums six columns at once.
        let rows = evenly(d_in, BLOCK[0]).next_multiple_of(6);
        let columns = evenly(d_out, BLOCK[1]).next_multiple_of(PANEL);
        let blocks = d_in.div_ceil(rows).max(1) * d_out.div_ceil(columns);
        let stretches = PIECES.div_ceil(blocks);
        Self {
            tokens,
            d_in,
            d_out,
            rows,
            columns,
            part_tokens: tokens.div_ceil(stretches).next_multiple_of(2 * DEPTH),
        }
    }

    /// Stretches of tokens, and blocks of rows and of columns.
    fn counts(&self) -> [usize; 3] {
        [
            self.tokens.div_ceil(self.part_tokens),
            self.d_in.div_ceil(self.rows).max(1),
            self.d_out.div_ceil(self.columns),
        ]
    }

    fn parts(&self) -> usize {
        self.counts().iter().product()
    }

    /// The parts that contribute to a row of the gradient, in the order in which they are added.
    fn parts_with(&self, row: usize) -> impl Iterator<Item = usize> + use<> {
        let [stretches, row_blocks, column_blocks] = self.counts();
        let block = row / self.rows;
        (0..stretches).flat_map(move |stretch| {
            let first = (stretch * row_blocks + block) * column_blocks;
            first..first + column_blocks
        })
    }

    /// A column of sums for the bias, and one for each row.
    fn panel_len(&self) -> usize {
        (1 + self.rows) * PANEL
    }

    fn part_len(&self) -> usize {
        self.columns / PANEL * self.panel_len()
    }

    fn part(&self, index: usize) -> Part {
        let [_, row_blocks, column_blocks] = self.counts();
        let of = |block: usize, size: usize, end: usize| {
            (block * size).min(end)..((block + 1) * size).min(end)
        };
        let stretch = index / (row_blocks * column_blocks);
        Part {
            tokens: of(stretch, self.part_tokens, self.tokens),
            rows: of(index / column_blocks % row_blocks, self.rows, self.d_in),
            columns: of(index % column_blocks, self.columns, self.d_out),
            cut: [self.d_in, self.d_out],
            panel_len: self.panel_len(),
        }
    }
}

impl Part {
    /// The columns of the gradient in panels, which are summed at once.
    fn panels(&self) -> impl Iterator<Item = Range<usize>> {
        tiles(self.columns.clone(), PANEL)
    }

    /// Adds column number `place` of every panel to a row of the gradient.
    fn add_column(&self, place: usize, sums: &[f32], row: &mut [f32]) {
        for (panel, sums) in self.panels().zip(sums.chunks(self.panel_len)) {
            add(&sums[place * height(&panel)..], &mut row[panel]);
        }
    }

    /// Panel after panel: columns of [`height`], the first for the bias, then one for each row.
    fn add_up(&self, x: &[f32], gradient: &[f32], sums: &mut [f32]) {
        let [d_in, d_out] = self.cut;
        let strips: Vec<_> = tiles(self.rows.clone(), STRIP).collect();
        let lengths = [strips.len() * STRIP * DEPTH, PANEL * DEPTH, DEPTH];
        with_scratch(lengths, |[inputs, tile, ones]| {
            ones.fill(1.0);
            for (i, tokens) in tiles(self.tokens.clone(), DEPTH).enumerate() {
                let depth = tokens.len();
                for (rows, inputs) in strips.iter().zip(inputs.chunks_exact_mut(STRIP * DEPTH)) {
                    let x = x[tokens.start * d_in + rows.start..].chunks(d_in);
                    for (to, from) in inputs.chunks_exact_mut(STRIP).take(depth).zip(x) {
                        // With a known length the compiler copies in place, without a call.
                        match (to.first_chunk_mut::<STRIP>(), from.first_chunk::<STRIP>()) {
                            (Some(to), Some(from)) if rows.len() == STRIP => *to = *from,
                            _ => to[..rows.len()].copy_from_slice(&from[..rows.len()]),
                        }
                    }
                }
                for (panel, sums) in self.panels().zip(sums.chunks_mut(self.panel_len)) {
                    let height = height(&panel);
                    let tile = &mut tile[..height * depth];
                    let gradient = Matrix {
                        data: &gradient[tokens.start * d_out + panel.start..],
                        rows: panel.len(),
                        columns: depth,
                        row_stride: 1,
                        column_stride: d_out,
                    };
                    gradient.copy_columns(1.0, height, tile);
                    let (bias, sums) = sums.split_at_mut(height);
                    let ones = Matrix::by_columns(ones, depth, 1);
                    product(bias, Onto::nth(i), tile, ones, 1.0);
                    let sums = sums.chunks_mut(height * STRIP);
                    let inputs = inputs.chunks_exact(STRIP * DEPTH);
                    for ((rows, inputs), sums) in strips.iter().zip(inputs).zip(sums) {
                        let inputs = Matrix {
                            data: inputs,
                            rows: depth,
                            columns: rows.len(),
                            row_stride: STRIP,
                            column_stride: 1,
                        };
                        product(
                            &mut sums[..height * rows.len()],
                            Onto::nth(i),
                            tile,
                            inputs,
                            1.0,
                        );
                    }
                }
            }
        });
    }
}

/// The length of a panel's columns.
fn height(panel: &Range<usize>) -> usize {
    padded(panel.len())
}
