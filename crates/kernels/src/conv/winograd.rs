//! Windows of three frames, two outputs at a time, with four products in place of six.

use super::phase::{Phase, Steps, Tile, Weights, of_tiles};
use super::signal::Signal;
use crate::cpu::blocks::tiles;
use crate::cpu::matrix::Matrix;
use crate::cpu::product::{Onto, product};
use crate::cpu::scratch::with_scratch;
use crate::cpu::simd::arch;
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Products of a pair of outputs.
const PRODUCTS: usize = 4;

/// Pairs of outputs that are computed at once: the columns of a product.
const TILE: usize = 64;

/// Tiles that are multiplied by the same weights while these are in the L2 cache.
const GROUP: usize = 4;

/// Channels of a product: so many rows of a tile fit into the L1 cache.
const CHANNELS: usize = 128;

/// Output channels whose sums and weights stay in the L2 cache.
const OUTPUTS: usize = 132;

/// With fewer input or output channels, preparing the pairs takes longer than it saves.
const LEAST_CHANNELS: usize = 16;

/// Whether a phase is computed this way: adjacent windows of three frames, and enough channels.
pub(super) fn suits(phase: &Phase, [c_in, c_out]: [usize; 2]) -> bool {
    phase.taps == 3
        && phase.read.step == 1
        && phase.write.step == 1
        && phase.weights.uses_all_taps()
        && c_in.min(c_out) >= LEAST_CHANNELS
}

/// Some channels of the output of some examples, two frames at a time (Winograd 1980; Lavin & Gray 2016, section
/// 4.1, there called F(2, 3)).
///
/// ```text
/// y[2 j]     = b + m_0 + m_1 + m_2        m_i = sum_c u_i[c] v_i[c, j]
/// y[2 j + 1] = b + m_1 - m_2 - m_3
///
/// u = (g_0, (g_0 + g_1 + g_2) / 2, (g_0 - g_1 + g_2) / 2, g_2)       g  the kernel
/// v = (d_0 - d_2, d_1 + d_2, d_2 - d_1, d_1 - d_3)                   d  four frames, from 2 j on
/// ```
///
/// Pairs are counted from the first frame of an example, so that a result doesn't depend on the rest of the
/// batch.
pub(super) struct Pairs<'a> {
    pub(super) x: Signal<'a>,
    pub(super) phase: &'a Phase<'a>,
    /// The bias of the task's channels.
    pub(super) bias: &'a [f32],
    pub(super) first_item: usize,
    pub(super) first_output: usize,
}

impl Pairs<'_> {
    /// Writes `[outputs, frames]` of each example.
    pub(super) fn write(&self, y: &mut [&mut [f32]]) {
        let pairs = self.phase.frames.div_ceil(2);
        let lanes = y.len() * pairs;
        for group in tiles(0..lanes, GROUP * TILE) {
            let group: Vec<Tile> = tiles(group, TILE)
                .map(|lanes| Tile::new(lanes, pairs))
                .collect();
            for outputs in tiles(0..self.bias.len(), OUTPUTS) {
                self.group(y, &group, outputs);
            }
        }
    }

    fn group(&self, y: &mut [&mut [f32]], group: &[Tile], outputs: Range<usize>) {
        let width = outputs.len();
        let channels_at_once = CHANNELS.min(self.x.channels);
        let height: usize = group.iter().map(|tile| tile.height).sum();
        let lengths = [
            PRODUCTS * width * channels_at_once,
            PRODUCTS * TILE * channels_at_once,
            PRODUCTS * width * height,
            4 * (TILE + 1),
        ];
        with_scratch(lengths, |[weights, panel, sums, window]| {
            for channels in tiles(0..self.x.channels, channels_at_once) {
                let depth = channels.len();
                let weights = &mut weights[..PRODUCTS * width * depth];
                arch().dispatch(Kernels {
                    pairs: self,
                    outputs: outputs.clone(),
                    channels: channels.clone(),
                    weights,
                });
                let onto = Onto::nth(channels.start);
                for (sums, tile) in of_tiles(sums, group, PRODUCTS * width) {
                    let panel = &mut panel[..PRODUCTS * tile.height * depth];
                    arch().dispatch(Pack {
                        pairs: self,
                        tile,
                        channels: channels.clone(),
                        window,
                        panel,
                    });
                    let of_product = sums
                        .chunks_exact_mut(tile.height * width)
                        .zip(panel.chunks_exact(tile.height * depth));
                    for ((sums, panel), weights) in
                        of_product.zip(weights.chunks_exact(width * depth))
                    {
                        let right = self.phase.weights.kernels(weights, [width, depth]);
                        product(sums, onto, panel, right, 1.0);
                    }
                }
            }
            for (sums, tile) in of_tiles(sums, group, PRODUCTS * width) {
                arch().dispatch(Unpack {
                    pairs: self,
                    tile,
                    outputs: outputs.clone(),
                    sums,
                    y,
                });
            }
        });
    }
}

impl Weights<'_> {
    /// `[channels, outputs]` of the kernels of one product, in the order in which [`Kernels`] writes them.
    fn kernels<'a>(&self, data: &'a [f32], [width, depth]: [usize; 2]) -> Matrix<'a> {
        match self {
            Self::ByOutput(_) => Matrix::by_columns(data, depth, width),
            Self::ByInput { .. } => Matrix::by_columns(data, width, depth).transposed(),
        }
    }
}

/// Writes the kernels' factors of each product, in the order in which they are read: `[output, channel]`, or
/// `[channel, output]` for weights of a transposed convolution.
struct Kernels<'a> {
    pairs: &'a Pairs<'a>,
    outputs: Range<usize>,
    channels: Range<usize>,
    weights: &'a mut [f32],
}

impl WithSimd for Kernels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            pairs,
            outputs,
            channels,
            weights,
        } = self;
        let outputs = pairs.first_output + outputs.start..pairs.first_output + outputs.end;
        let (data, [rows, columns], row_length, is_reversed) = match pairs.phase.weights {
            Weights::ByOutput(data) => (data, [outputs, channels], pairs.x.channels, false),
            Weights::ByInput { data, taps, .. } => {
                let row_length = data.len() / (taps * pairs.x.channels);
                (data, [channels, outputs], row_length, true)
            }
        };
        let (u0, u1, u2, u3) = quarters(weights);
        let width = columns.len();
        let to = (u0.chunks_exact_mut(width).zip(u1.chunks_exact_mut(width)))
            .zip(u2.chunks_exact_mut(width).zip(u3.chunks_exact_mut(width)));
        for (row, ((u0, u1), (u2, u3))) in rows.zip(to) {
            let from = &data[3 * (row * row_length + columns.start)..][..3 * width];
            let [u0, u3] = if is_reversed { [u3, u0] } else { [u0, u3] };
            let to = (u0.iter_mut().zip(u1)).zip(u2.iter_mut().zip(u3));
            for (((u0, u1), (u2, u3)), g) in to.zip(from.chunks_exact(3)) {
                let ends = g[0] + g[2];
                *u0 = g[0];
                *u1 = 0.5 * (ends + g[1]);
                *u2 = 0.5 * (ends - g[1]);
                *u3 = g[2];
            }
        }
    }
}

/// Writes the frames' factors of each product: `[channel]` columns of `height` lanes.
struct Pack<'a> {
    pairs: &'a Pairs<'a>,
    tile: &'a Tile,
    channels: Range<usize>,
    window: &'a mut [f32],
    panel: &'a mut [f32],
}

impl WithSimd for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            pairs,
            tile,
            channels,
            window,
            panel,
        } = self;
        let Pairs { x, phase, .. } = pairs;
        let (v0, v1, v2, v3) = quarters(panel);
        if tile.lanes < tile.height {
            for v in [&mut *v0, &mut *v1, &mut *v2, &mut *v3] {
                for column in v.chunks_exact_mut(tile.height) {
                    column[tile.lanes..].fill(0.0);
                }
            }
        }
        let Steps { start, .. } = phase.read;
        for run in &tile.runs {
            let n = run.length;
            // One extra pair: its first two frames belong to the window of the last pair.
            let (window, split) = window.split_at_mut(2 * (n + 1));
            let (even, odd) = split[..2 * (n + 1)].split_at_mut(n + 1);
            let read = Around::new(start + 2 * run.first as isize, window.len(), x.frames);
            for (i, channel) in channels.clone().enumerate() {
                read.copy(x.row(pairs.first_item + run.item, channel), window);
                for ((even, odd), pair) in
                    (even.iter_mut().zip(&mut *odd)).zip(window.chunks_exact(2))
                {
                    [*even, *odd] = [pair[0], pair[1]];
                }
                let column = i * tile.height + run.lane..i * tile.height + run.lane + n;
                let [v0, v1, v2, v3] =
                    [&mut *v0, &mut *v1, &mut *v2, &mut *v3].map(|v| &mut v[column.clone()]);
                let to = (v0.iter_mut().zip(v1)).zip(v2.iter_mut().zip(v3));
                let first = even[..n].iter().zip(&odd[..n]);
                let second = even[1..].iter().zip(&odd[1..]);
                for (((v0, v1), (v2, v3)), ((d0, d1), (d2, d3))) in to.zip(first.zip(second)) {
                    *v0 = d0 - d2;
                    *v1 = d1 + d2;
                    *v2 = d2 - d1;
                    *v3 = d1 - d3;
                }
            }
        }
    }
}

/// Some frames of a row. Frames before its first or after its last are zero.
struct Around {
    /// The place of the row's frames in what is written, with zeros before and after.
    inside: Range<usize>,
    /// The first of them in the row.
    from: usize,
}

impl Around {
    /// `length` frames of a row of `frames`, from `start` on.
    fn new(start: isize, length: usize, frames: usize) -> Self {
        let end = frames as isize - start;
        let before = (-start).clamp(0, length as isize) as usize;
        let beyond = end.clamp(before as isize, length as isize) as usize;
        Self {
            inside: before..beyond,
            from: start.max(0) as usize,
        }
    }

    #[inline(always)]
    fn copy(&self, row: &[f32], to: &mut [f32]) {
        let Range { start, end } = self.inside;
        to[..start].fill(0.0);
        to[end..].fill(0.0);
        if start < end {
            to[start..end].copy_from_slice(&row[self.from..][..end - start]);
        }
    }
}

/// Combines the products of a tile, and writes the outputs.
struct Unpack<'a, 'y> {
    pairs: &'a Pairs<'a>,
    tile: &'a Tile,
    outputs: Range<usize>,
    sums: &'a [f32],
    y: &'a mut [&'y mut [f32]],
}

impl WithSimd for Unpack<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self {
            pairs,
            tile,
            outputs,
            sums,
            y,
        } = self;
        let frames = pairs.phase.frames;
        let size = sums.len() / PRODUCTS;
        for (i, output) in outputs.enumerate() {
            let bias = pairs.bias[output];
            for run in &tile.runs {
                let column = i * tile.height + run.lane;
                let [m0, m1, m2, m3]: [&[f32]; PRODUCTS] =
                    std::array::from_fn(|p| &sums[p * size + column..][..run.length]);
                let first = 2 * run.first;
                let end = frames.min(first + 2 * run.length);
                let y = &mut y[run.item][output * frames + first..output * frames + end];
                let m = (m0.iter().zip(m1)).zip(m2.iter().zip(m3));
                for (y, ((m0, m1), (m2, m3))) in y.chunks_exact_mut(2).zip(m) {
                    y[0] = bias + (m0 + (m1 + m2));
                    y[1] = bias + ((m1 - m2) - m3);
                }
                if let [last] = y.chunks_exact_mut(2).into_remainder() {
                    let n = run.length - 1;
                    *last = bias + (m0[n] + (m1[n] + m2[n]));
                }
            }
        }
    }
}

/// Four parts of the same length.
fn quarters(values: &mut [f32]) -> (&mut [f32], &mut [f32], &mut [f32], &mut [f32]) {
    let quarter = values.len() / 4;
    let (first, rest) = values.split_at_mut(quarter);
    let (second, rest) = rest.split_at_mut(quarter);
    let (third, fourth) = rest.split_at_mut(quarter);
    (first, second, third, fourth)
}
