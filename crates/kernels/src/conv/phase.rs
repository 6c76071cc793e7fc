//! The parts of a convolution: phases of frames, their weights, and tiles of them.

use super::signal::{Signal, copy_strided};
use crate::cpu::matrix::Matrix;
use crate::cpu::product::padded;
use std::ops::Range;

/// Equally spaced frames of the output whose windows use the same taps.
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
    /// The number of `j`.
    pub(super) frames: usize,
}

#[derive(Debug)]
pub(super) enum Weights<'a> {
    /// `[c_out, c_in, taps]`
    ByOutput(&'a [f32]),
    /// `[c_in, c_out, taps]`, of which the taps `first`, `first + step`, ... are used, in reverse order.
    ByInput {
        data: &'a [f32],
        taps: usize,
        first: usize,
        step: usize,
    },
}

impl<'a> Weights<'a> {
    /// `[channels * taps, outputs]` for so many taps and `c_in` channels. Weights by input are copied to `memory`.
    pub(super) fn matrix<'m>(
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

    /// Whether every tap is used.
    pub(super) fn uses_all_taps(&self) -> bool {
        match self {
            Self::ByOutput(_) => true,
            Self::ByInput { step, .. } => *step == 1,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<T> {
    pub(super) start: T,
    pub(super) step: usize,
}

/// Frames of a phase that are multiplied together, counted through the examples of a task.
pub(super) struct Tile {
    pub(super) runs: Vec<Run>,
    pub(super) lanes: usize,
    /// The lanes rounded up to whole vectors.
    pub(super) height: usize,
}

/// Neighbouring frames of one example.
pub(super) struct Run {
    /// The first lane in the tile.
    pub(super) lane: usize,
    /// The number of the example in the task.
    pub(super) item: usize,
    /// The first frame.
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
            height: padded(lanes.len()),
        }
    }

    /// Writes the values under the taps of each window: `[channel, tap]` columns of `height` lanes.
    pub(super) fn pack(
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
                // Windows before `inside` read before the first frame, windows from `beyond` on after the last.
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

/// The part of `sums` that belongs to each tile: so many columns.
pub(super) fn of_tiles<'a>(
    mut sums: &'a mut [f32],
    tiles: &'a [Tile],
    columns: usize,
) -> impl Iterator<Item = (&'a mut [f32], &'a Tile)> {
    tiles.iter().map(move |tile| {
        let (part, rest) = std::mem::take(&mut sums).split_at_mut(tile.height * columns);
        sums = rest;
        (part, tile)
    })
}
