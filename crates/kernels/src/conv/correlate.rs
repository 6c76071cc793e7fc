//! Sums over channels and taps: a convolution, or its transpose at every `stride`-th frame.

use super::phase::{Phase, Steps, Tile, of_tiles};
use super::signal::Signal;
use super::winograd::{self, Pairs};
use crate::cpu::blocks::{tiles, zeros};
use crate::cpu::product::{Onto, product};
use crate::cpu::scratch::with_scratch;
use rayon::prelude::*;

/// Frames that are multiplied by the weights at once: the columns of a product. Frames of several examples lie
/// side by side in a tile, so that short signals leave no lane unused.
const TILE: usize = 64;

/// Tiles that are multiplied by the same weights while these are in the L2 cache.
const GROUP: usize = 6;

/// Channels times taps of a product: so many rows of a tile fit into the L1 cache.
const DEPTH: usize = 128;

/// Fewer multiplications are not worth another thread.
const TASK_PRODUCTS: usize = 1 << 20;

/// Tasks per thread: several, so that the wait for the last one is short.
const TASKS_PER_THREAD: usize = 4;

/// The output of the phases, `[batch, c_out, frames]`, with a bias for each channel.
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

/// The partition of the work. No sum is split, so it may depend on the number of threads.
struct Partition {
    /// Examples of a task.
    items: usize,
    /// Channels of the output of a task.
    outputs: usize,
}

impl Partition {
    fn new(batch: usize, c_out: usize, frames: usize, products: usize) -> Self {
        /// With fewer frames in a task, reading the weights and filling the tiles isn't worth it.
        const MIN_FRAMES: usize = 128;
        /// Columns that a product computes at once.
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

/// Enough tasks to keep all threads busy.
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
            for group in tiles(0..lanes, GROUP * TILE) {
                let group: Vec<Tile> = tiles(group, TILE)
                    .map(|lanes| Tile::new(lanes, phase.frames))
                    .collect();
                self.group(x, phase, bias, &group);
            }
        }
    }

    fn group(&mut self, x: Signal, phase: &Phase, bias: &[f32], group: &[Tile]) {
        let outputs = self.first_output..self.first_output + bias.len();
        let channels_at_once = (DEPTH / phase.taps.max(1)).max(1);
        let height: usize = group.iter().map(|tile| tile.height).sum();
        with_scratch(
            [
                bias.len() * channels_at_once * phase.taps,
                TILE * channels_at_once * phase.taps,
                height * bias.len(),
            ],
            |[weights, panel, sums]| {
                for (sums, _) in of_tiles(sums, group, bias.len()) {
                    let height = sums.len() / bias.len();
                    for (column, &bias) in sums.chunks_exact_mut(height).zip(bias) {
                        column.fill(bias);
                    }
                }
                for channels in tiles(0..x.channels, channels_at_once) {
                    let right = phase.weights.matrix(
                        outputs.clone(),
                        channels.clone(),
                        x.channels,
                        phase.taps,
                        weights,
                    );
                    for (sums, tile) in of_tiles(sums, group, bias.len()) {
                        let panel = &mut panel[..tile.height * right.rows];
                        tile.pack(x, self.first_item, phase, channels.clone(), panel);
                        product(sums, Onto::Sum, panel, right, 1.0);
                    }
                }
                for (sums, tile) in of_tiles(sums, group, bias.len()) {
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
