//! The gradient of a convolution's weights.

use super::correlate::tasks_wanted;
use super::signal::Signal;
use crate::cpu::blocks::zeros;
use crate::cpu::matrix::Matrix;
use crate::cpu::product::{Onto, padded, product};
use crate::cpu::scratch::with_scratch;
use crate::cpu::transpose::write_columns;
use rayon::prelude::*;
use std::ops::Range;

/// Channels of `far` that are multiplied at once.
const BLOCK: usize = 64;

/// Frames of a product: so many rows of a block fit into the L1 cache.
const DEPTH: usize = 128;

/// Values of the sums of a task, at most: they stay in the L2 cache.
const SUMS: usize = 1 << 17;

/// Fewer multiplications are not worth another thread.
const TASK_PRODUCTS: usize = 1 << 20;

/// The sizes that decide which frames are multiplied.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    pub(super) taps: usize,
    pub(super) stride: usize,
    /// Frames of zeros before the first of `far`.
    pub(super) left: usize,
}

/// The gradient of the weights.
///
/// ```text
/// dW[a, b, k] = sum_i sum_j near[i, a, j] far[i, b, stride j + k - left]
/// ```
///
/// `near` is the gradient of the output and `far` the input; in the transposed convolution it is the other way
/// round. Returns `[near.channels, far.channels, taps]`.
pub(super) fn weight_gradient(near: Signal, far: Signal, meeting: Meeting) -> Vec<f32> {
    let row_length = far.channels * meeting.taps;
    let mut gradient = zeros(near.channels * row_length);
    if gradient.is_empty() {
        return gradient;
    }
    let blocks = far.channels.div_ceil(BLOCK);
    let products = gradient.len() * near.batch * near.frames;
    let rows = rows_of_a_task(near.channels, blocks, meeting.taps, products);
    let mut tasks: Vec<Task> = (0..near.channels.div_ceil(rows) * blocks)
        .map(|i| Task {
            first_near: i / blocks * rows,
            first_far: i % blocks * BLOCK,
            gradient: Vec::with_capacity(rows),
        })
        .collect();
    for (i, row) in gradient.chunks_exact_mut(row_length).enumerate() {
        let tasks = &mut tasks[i / rows * blocks..];
        for (task, piece) in tasks.iter_mut().zip(row.chunks_mut(BLOCK * meeting.taps)) {
            task.gradient.push(piece);
        }
    }
    if products < TASK_PRODUCTS {
        for mut task in tasks {
            task.run(near, far, meeting);
        }
    } else {
        tasks
            .into_par_iter()
            .for_each(|mut task| task.run(near, far, meeting));
    }
    gradient
}

fn rows_of_a_task(channels: usize, blocks: usize, taps: usize, products: usize) -> usize {
    /// Columns that a product computes at once.
    const COLUMNS: usize = 6;
    let tasks = (products / TASK_PRODUCTS).clamp(1, tasks_wanted());
    let rows = channels.div_ceil(tasks.div_ceil(blocks));
    let most = SUMS / (BLOCK * taps);
    rows.min(most).max(1).next_multiple_of(COLUMNS)
}

/// Rows `near` and a block of channels `far` of the gradient.
struct Task<'a> {
    first_near: usize,
    first_far: usize,
    /// For each row `[channels of the block, taps]`.
    gradient: Vec<&'a mut [f32]>,
}

impl Task<'_> {
    fn run(&mut self, near: Signal, far: Signal, meeting: Meeting) {
        let Meeting { taps, stride, .. } = meeting;
        let width = self.gradient[0].len() / taps;
        let height = padded(width);
        let rows = self.gradient.len();
        let chunks = near.frames.div_ceil(DEPTH).max(1);
        let depth = near.frames.div_ceil(chunks);
        // Taps a stride apart use the same frames, one step later.
        let reach = (taps - 1) / stride;
        let panel_rows = depth + reach;
        with_scratch(
            [stride.min(taps) * panel_rows * height, taps * rows * height],
            |[panel, sums]| {
                sums.fill(0.0);
                for item in 0..near.batch {
                    for first in (0..near.frames).step_by(depth) {
                        let depth = depth.min(near.frames - first);
                        let steps = first..first + depth + reach;
                        let phases = panel.chunks_exact_mut(panel_rows * height);
                        for (phase, panel) in phases.enumerate() {
                            let panel = &mut panel[..steps.len() * height];
                            let channels = self.first_far..self.first_far + width;
                            pack(far, item, channels, steps.clone(), phase, meeting, panel);
                        }
                        let right = Matrix {
                            data: &near.rows_from(item, self.first_near)[first..],
                            rows: depth,
                            columns: rows,
                            row_stride: 1,
                            column_stride: near.frames,
                        };
                        for (tap, sums) in sums.chunks_exact_mut(rows * height).enumerate() {
                            let start = tap % stride * panel_rows + tap / stride;
                            let left = &panel[start * height..][..depth * height];
                            product(sums, Onto::Sum, left, right, 1.0);
                        }
                    }
                }
                for (row, gradient) in self.gradient.iter_mut().enumerate() {
                    for tap in 0..taps {
                        let sums = &sums[(tap * rows + row) * height..][..width];
                        for (gradient, &sum) in gradient.chunks_exact_mut(taps).zip(sums) {
                            gradient[tap] = sum;
                        }
                    }
                }
            },
        );
    }
}

/// Writes the frames `stride step + phase - left` of the channels: `[step, channel]`, the channels
/// filled up with zeros to whole vectors.
fn pack(
    far: Signal,
    item: usize,
    channels: Range<usize>,
    steps: Range<usize>,
    phase: usize,
    Meeting { stride, left, .. }: Meeting,
    panel: &mut [f32],
) {
    let height = panel.len() / steps.len();
    let width = channels.len();
    let inside = left.saturating_sub(phase).div_ceil(stride);
    let beyond = (far.frames + left).saturating_sub(phase).div_ceil(stride);
    let from = inside.clamp(steps.start, steps.end) - steps.start;
    let to = beyond.clamp(steps.start + from, steps.end) - steps.start;
    panel[..from * height].fill(0.0);
    panel[to * height..].fill(0.0);
    if from == to {
        return;
    }
    let panel = &mut panel[from * height..to * height];
    let first = stride * (steps.start + from) + phase - left;
    if stride == 1 {
        let matrix = Matrix {
            data: &far.rows_from(item, channels.start)[first..],
            rows: width,
            columns: to - from,
            row_stride: far.frames,
            column_stride: 1,
        };
        write_columns(matrix, 1.0, height, panel);
    } else {
        for (i, channel) in channels.enumerate() {
            let frames = far.row(item, channel)[first..].iter().step_by(stride);
            for (to, &from) in panel[i..].iter_mut().step_by(height).zip(frames) {
                *to = from;
            }
        }
    }
    if width < height {
        for column in panel.chunks_exact_mut(height) {
            column[width..].fill(0.0);
        }
    }
}
