//! Sums over channels and taps: what a convolution computes, and what its transpose does for every
//! `stride`-th frame.

use super::signal::{Signal, copy_strided};
use super::winograd::{self, Pairs};
use crate::blocks::zeros;
use crate::matrix::Matrix;
use crate::product::{LANE_MULTIPLE, Onto, product};
use crate::scratch::with_scratch;
use rayon::prelude::*;
use std::ops::Range;

/// Frames that are multiplied with the weights at once: the columns of a product. Frames of several
/// examples lie side by side in a tile, so that short signals leave no lane idle.
const TILE: usize = 64;

/// Tiles which the same weights meet while they are in the second cache.
const GROUP: usize = 6;

/// Channels times taps of a product: so many rows of a tile fit into the first cache.
const DEPTH: usize = 128;

/// Fewer multiplications than this are not worth another thread.
const TASK_PRODUCTS: usize = 1 << 20;

/// Pieces of work for each thread, so that one that comes late is not waited for long.
const TASKS_PER_THREAD: usize = 4;

/// Frames of the output at equal distance, whose windows take the same taps.
///
/// ```text
/// y[o, write.start + write.step j] = b[o] + sum_c sum_k W[o, c, k] x[c, read.start + read.step j + k]
/// ```
#[derive(Debug)]
pub(super) struct Phase<'a> {
    pub(super) weights: Weights<'a>,
    pub(super) taps: usize,
    pub(super) read: Steps<isize>,
    pub(super) write: Steps<usize>,
    /// How many `j` there are.
    pub(super) frames: usize,
}

#[derive(Debug)]
pub(super) enum Weights<'a> {
    /// `[c_out, c_in, taps]`
    ByOutput(&'a [f32]),
    /// `[c_in, c_out, taps]`, of which the taps `first`, `first + step`, .. are met, the last one first.
    ByInput {
        data: &'a [f32],
        taps: usize,
        first: usize,
        step: usize,
    },
}

impl<'a> Weights<'a> {
    /// `[channels * taps, outputs]` of so many taps and `c_in` channels. Weights by input are copied to `memory`.
    fn matrix<'m>(
        &self,
        outputs: Range<usize>,
        channels: Range<usize>,
        c_in: usize,
        phase_taps: usize,
        memory: &'m mut [f32],
    ) -> Matrix<'m>
    where
        'a: 'm,
    {
        let rows = channels.len() * phase_taps;
        let (data, taps, first, step) = match *self {
            Self::ByOutput(data) => {
                return Matrix {
                    data: &data[(outputs.start * c_in + channels.start) * phase_taps..],
                    rows,
                    columns: outputs.len(),
                    row_stride: 1,
                    column_stride: c_in * phase_taps,
                };
            }
            Self::ByInput {
                data,
                taps,
                first,
                step,
            } => (data, taps, first, step),
        };
        let width = outputs.len();
        let c_out = data.len() / (c_in * taps);
        let memory = &mut memory[..rows * width];
        if rows == 0 {
            return Matrix::by_columns(memory, rows, width);
        }
        for (channel, memory) in channels.zip(memory.chunks_exact_mut(phase_taps * width)) {
            let from = &data[(channel * c_out + outputs.start) * taps..][..width * taps];
            for (tap, row) in memory.chunks_exact_mut(width).rev().enumerate() {
                copy_strided(row, &from[first + tap * step..], taps);
            }
        }
        Matrix::by_columns(memory, width, rows).transposed()
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<T> {
    pub(super) start: T,
    pub(super) step: usize,
}

/// The output `[batch, c_out, frames]` that the phases write, a bias for each of its channels.
pub(super) fn correlate(x: Signal, phases: &[Phase], bias: &[f32], frames: usize) -> Vec<f32> {
    let c_out = bias.len();
    let mut y = zeros(x.batch * c_out * frames);
    if y.is_empty() {
        return y;
    }
    let products: usize = phases
        .iter()
        .map(|phase| phase.frames * phase.taps * x.batch * x.channels * c_out)
        .sum();
    let partition = Partition::new(x.batch, c_out, frames, products);
    let blocks = c_out.div_ceil(partition.outputs);
    let mut tasks: Vec<Task> = (0..x.batch.div_ceil(partition.items) * blocks)
        .map(|i| Task {
            first_item: i / blocks * partition.items,
            first_output: i % blocks * partition.outputs,
            y: Vec::with_capacity(partition.items),
            frames,
        })
        .collect();
    for (item, y) in y.chunks_exact_mut(c_out * frames).enumerate() {
        let tasks = &mut tasks[item / partition.items * blocks..];
        for (task, piece) in tasks
            .iter_mut()
            .zip(y.chunks_mut(partition.outputs * frames))
        {
            task.y.push(piece);
        }
    }
    if let [task] = &mut tasks[..] {
        task.run(x, phases, bias);
    } else {
        tasks
            .into_par_iter()
            .for_each(|mut task| task.run(x, phases, bias));
    }
    y
}

/// How the work is shared out. No sum is split, so the threads may have their say.
struct Partition {
    /// Examples of a task.
    items: usize,
    /// Channels of the output of a task.
    outputs: usize,
}

impl Partition {
    fn new(batch: usize, c_out: usize, frames: usize, products: usize) -> Self {
        /// Frames of a task below which weights are read and tiles are filled for too little.
        const MIN_FRAMES: usize = 128;
        /// What a product takes at once.
        const COLUMNS: usize = 6;
        /// Reading a channel's weights takes as long as laying out so many frames of it.
        const FRAMES_PER_OUTPUT: usize = 6;
        let tasks = (products / TASK_PRODUCTS).clamp(1, tasks_wanted());
        let fewest_items = MIN_FRAMES.div_ceil(frames).min(batch.max(1));
        // Every group of examples reads all weights, and every block of channels lays out all frames.
        let groups = (1..=tasks.min(batch.div_ceil(fewest_items)).max(1))
            .min_by_key(|groups| {
                let blocks = tasks.div_ceil(*groups);
                blocks * batch * frames + groups * c_out * FRAMES_PER_OUTPUT
            })
            .expect("one group at least");
        let items = batch.div_ceil(groups).max(1);
        let groups = batch.div_ceil(items).max(1);
        let outputs = c_out
            .div_ceil(tasks.div_ceil(groups))
            .next_multiple_of(COLUMNS);
        Self {
            items,
            outputs: outputs.min(c_out),
        }
    }
}

/// As many pieces as keep all threads busy.
pub(super) fn tasks_wanted() -> usize {
    match rayon::current_num_threads() {
        1 => 1,
        threads => TASKS_PER_THREAD * threads,
    }
}

/// Some channels of some examples of the output.
struct Task<'a> {
    first_item: usize,
    first_output: usize,
    /// For each example `[outputs, frames]`.
    y: Vec<&'a mut [f32]>,
    frames: usize,
}

impl Task<'_> {
    fn run(&mut self, x: Signal, phases: &[Phase], bias: &[f32]) {
        let outputs = self.y[0].len() / self.frames;
        let c_out = bias.len();
        let bias = &bias[self.first_output..][..outputs];
        for phase in phases {
            if winograd::suits(phase, [x.channels, c_out]) {
                let pairs = Pairs {
                    x,
                    phase,
                    bias,
                    first_item: self.first_item,
                    first_output: self.first_output,
                };
                pairs.write(&mut self.y);
                continue;
            }
            let lanes = self.y.len() * phase.frames;
            let mut start = 0;
            while start < lanes {
                let end = lanes.min(start + GROUP * TILE);
                let tiles: Vec<Tile> = (start..end)
                    .step_by(TILE)
                    .map(|first| Tile::new(first..end.min(first + TILE), phase.frames))
                    .collect();
                self.tiles(x, phase, bias, &tiles);
                start = end;
            }
        }
    }

    fn tiles(&mut self, x: Signal, phase: &Phase, bias: &[f32], tiles: &[Tile]) {
        let outputs = self.first_output..self.first_output + bias.len();
        let channels_at_once = (DEPTH / phase.taps.max(1)).max(1);
        let height: usize = tiles.iter().map(|tile| tile.height).sum();
        with_scratch(
            [
                bias.len() * channels_at_once * phase.taps,
                TILE * channels_at_once * phase.taps,
                height * bias.len(),
            ],
            |[weights, panel, sums]| {
                for (sums, _) in of_tiles(sums, tiles, bias.len()) {
                    let height = sums.len() / bias.len();
                    for (column, &bias) in sums.chunks_exact_mut(height).zip(bias) {
                        column.fill(bias);
                    }
                }
                for first in (0..x.channels).step_by(channels_at_once) {
                    let channels = first..x.channels.min(first + channels_at_once);
                    let right = phase.weights.matrix(
                        outputs.clone(),
                        channels.clone(),
                        x.channels,
                        phase.taps,
                        weights,
                    );
                    for (sums, tile) in of_tiles(sums, tiles, bias.len()) {
                        let panel = &mut panel[..tile.height * right.rows];
                        tile.pack(x, self.first_item, phase, channels.clone(), panel);
                        product(sums, Onto::Sum, panel, right, 1.0);
                    }
                }
                for (sums, tile) in of_tiles(sums, tiles, bias.len()) {
                    for (output, column) in sums.chunks_exact(tile.height).enumerate() {
                        for run in &tile.runs {
                            let y = &mut self.y[run.item][output * self.frames..][..self.frames];
                            let Steps { start, step } = phase.write;
                            let y = &mut y[start + step * run.first..];
                            let column = &column[run.lane..][..run.length];
                            if step == 1 {
                                y[..run.length].copy_from_slice(column);
                            } else {
                                for (y, &sum) in y.iter_mut().step_by(step).zip(column) {
                                    *y = sum;
                                }
                            }
                        }
                    }
                }
            },
        );
    }
}

/// The part of `sums` that belongs to each tile.
fn of_tiles<'a>(
    mut sums: &'a mut [f32],
    tiles: &'a [Tile],
    outputs: usize,
) -> impl Iterator<Item = (&'a mut [f32], &'a Tile)> {
    tiles.iter().map(move |tile| {
        let (part, rest) = std::mem::take(&mut sums).split_at_mut(tile.height * outputs);
        sums = rest;
        (part, tile)
    })
}

/// Up to [`TILE`] frames of a phase, counted through the examples of a task.
pub(super) struct Tile {
    pub(super) runs: Vec<Run>,
    pub(super) lanes: usize,
    /// The lanes rounded up to whole vectors.
    pub(super) height: usize,
}

/// Neighbouring frames of one example.
pub(super) struct Run {
    /// Where they begin in the tile.
    pub(super) lane: usize,
    /// Which example of the task.
    pub(super) item: usize,
    pub(super) first: usize,
    pub(super) length: usize,
}

impl Tile {
    pub(super) fn new(lanes: Range<usize>, frames: usize) -> Self {
        let mut runs = Vec::new();
        let mut at = lanes.start;
        while at < lanes.end {
            let [item, first] = [at / frames, at % frames];
            let length = (frames - first).min(lanes.end - at);
            runs.push(Run {
                lane: at - lanes.start,
                item,
                first,
                length,
            });
            at += length;
        }
        Self {
            runs,
            lanes: lanes.len(),
            height: lanes.len().next_multiple_of(LANE_MULTIPLE),
        }
    }

    /// Writes what the taps of each window meet: `[channel, tap]` columns of `height` lanes.
    fn pack(
        &self,
        x: Signal,
        first_item: usize,
        phase: &Phase,
        channels: Range<usize>,
        panel: &mut [f32],
    ) {
        let Steps { start, step } = phase.read;
        for run in &self.runs {
            for tap in 0..phase.taps {
                let origin = start + (step * run.first + tap) as isize;
                // Windows before `inside` read before the first frame, those from `beyond` on after
                // the last.
                let before = (-origin).max(0) as usize;
                let inside = before.div_ceil(step).min(run.length);
                let after = (x.frames as isize - origin).max(0) as usize;
                let beyond = after.div_ceil(step).clamp(inside, run.length);
                let from = (origin + (step * inside) as isize).max(0) as usize;
                let columns = panel
                    .chunks_exact_mut(self.height)
                    .skip(tap)
                    .step_by(phase.taps);
                for (channel, column) in channels.clone().zip(columns) {
                    let column = &mut column[run.lane..][..run.length];
                    if inside < beyond {
                        let row = &x.row(first_item + run.item, channel)[from..];
                        copy_strided(&mut column[inside..beyond], row, step);
                    }
                    if inside > 0 {
                        column[..inside].fill(0.0);
                    }
                    if beyond < run.length {
                        column[beyond..].fill(0.0);
                    }
                }
            }
        }
        if self.lanes < self.height {
            for column in panel.chunks_exact_mut(self.height) {
                column[self.lanes..].fill(0.0);
            }
        }
    }
}
