use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::transform::random::below;

/// Which part of a spectrogram is hidden from the model.
///
/// The valid part of the spectrogram is divided into cells of `patch_bins` x `patch_frames`. The last
/// row and column of cells may be smaller, so that every bin and frame can be hidden. A cell is hidden
/// as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaskConfig {
    /// Height of a cell, in frequency bins.
    pub patch_bins: usize,
    /// Width of a cell, in frames.
    pub patch_frames: usize,
    /// Share of the cells that is hidden, in 0..1. Of `n` cells, `round(ratio · n)` are hidden, but at
    /// least one; of two or more cells, at least one stays visible. Exactly 0 hides nothing.
    pub ratio: f32,
    /// How the hidden cells are chosen.
    pub strategy: MaskStrategy,
}

/// How hidden cells are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MaskStrategy {
    /// Every set of the right number of cells is equally likely.
    Random,
    /// Squares of cells around random centres until the number is reached (Gong et al. 2022, "SSAST",
    /// section 2.3, where the side is 3 to 5). The last square loses its outer cells first; in a grid of
    /// a few cells the same ones may then always be hidden.
    Clustered {
        /// Smallest side, in cells.
        min_side: usize,
        /// Largest side, in cells.
        max_side: usize,
    },
    /// Whole columns of cells: periods of time are hidden. The ratio is of the columns. If there is a
    /// single column, its cells are hidden at random, or nothing would stay visible.
    Time,
    /// Whole rows of cells: frequency bands are hidden. The ratio is of the rows. The cells of a single
    /// row are hidden at random.
    Frequency,
}

impl Default for MaskConfig {
    fn default() -> Self {
        MaskConfig {
            patch_bins: 5,
            patch_frames: 5,
            ratio: 0.45,
            strategy: MaskStrategy::Random,
        }
    }
}

impl MaskConfig {
    /// The same cells, none of them hidden.
    pub fn nothing_hidden(self) -> MaskConfig {
        MaskConfig { ratio: 0.0, ..self }
    }

    /// Draws a mask; true means hidden. Frames from `valid_frames` on are padding and never hidden.
    /// Expects settings that pass [`validate`](MaskConfig::validate).
    ///
    /// # Shapes
    /// - result `[bins, frames]`, row-major
    pub(crate) fn draw(
        &self,
        bins: usize,
        frames: usize,
        valid_frames: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<bool> {
        assert!(
            (1..=frames).contains(&valid_frames) && bins > 0,
            "mask of {bins} bins: expected 1 to {frames} valid frames, got {valid_frames}"
        );
        let grid = Grid {
            rows: bins.div_ceil(self.patch_bins),
            columns: valid_frames.div_ceil(self.patch_frames),
        };
        let cells = self.draw_cells(grid, rng);
        let mut hidden = vec![false; bins * frames];
        for (bin, row) in hidden.chunks_exact_mut(frames).enumerate() {
            let cells = &cells[bin / self.patch_bins * grid.columns..][..grid.columns];
            for (frame, value) in row[..valid_frames].iter_mut().enumerate() {
                *value = cells[frame / self.patch_frames];
            }
        }
        hidden
    }

    fn draw_cells(&self, grid: Grid, rng: &mut ChaCha8Rng) -> Vec<bool> {
        let random = |rng: &mut ChaCha8Rng| chosen(grid.cells(), self.count(grid.cells()), rng);
        match self.strategy {
            MaskStrategy::Random => random(rng),
            MaskStrategy::Clustered { min_side, max_side } => {
                clustered(grid, self.count(grid.cells()), (min_side, max_side), rng)
            }
            MaskStrategy::Time if grid.columns > 1 => {
                let columns = chosen(grid.columns, self.count(grid.columns), rng);
                (0..grid.cells())
                    .map(|cell| columns[cell % grid.columns])
                    .collect()
            }
            MaskStrategy::Frequency if grid.rows > 1 => {
                let rows = chosen(grid.rows, self.count(grid.rows), rng);
                (0..grid.cells())
                    .map(|cell| rows[cell / grid.columns])
                    .collect()
            }
            MaskStrategy::Time | MaskStrategy::Frequency => random(rng),
        }
    }

    /// Number of hidden cells, rows or columns of `n`.
    fn count(&self, n: usize) -> usize {
        if self.ratio == 0.0 {
            return 0;
        }
        let wanted = (self.ratio * n as f32).round() as usize;
        wanted.clamp(1, (n - 1).max(1))
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`DataError::Config`] with the first wrong field.
    pub fn validate(&self) -> Result<(), DataError> {
        if self.patch_bins == 0 {
            return Err(DataError::config(
                "mask.patch_bins",
                "at least 1",
                self.patch_bins,
            ));
        }
        if self.patch_frames == 0 {
            return Err(DataError::config(
                "mask.patch_frames",
                "at least 1",
                self.patch_frames,
            ));
        }
        if !(0.0..1.0).contains(&self.ratio) {
            return Err(DataError::config(
                "mask.ratio",
                "from 0 to below 1",
                self.ratio,
            ));
        }
        if let MaskStrategy::Clustered { min_side, max_side } = self.strategy
            && (min_side == 0 || min_side > max_side || max_side > MAX_SIDE)
        {
            let got = format!("{min_side} to {max_side}");
            return Err(DataError::config(
                "mask.strategy.clustered",
                format!("1 <= min_side <= max_side <= {MAX_SIDE}"),
                got,
            ));
        }
        Ok(())
    }
}

/// More cells than any spectrogram has on a side.
const MAX_SIDE: usize = 1_000_000;

#[derive(Clone, Copy)]
struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    fn cells(self) -> usize {
        self.rows * self.columns
    }
}

/// Chooses `count` of `n` at random, by the first steps of a Fisher-Yates shuffle.
fn chosen(n: usize, count: usize, rng: &mut ChaCha8Rng) -> Vec<bool> {
    let mut order: Vec<usize> = (0..n).collect();
    let mut hidden = vec![false; n];
    for step in 0..count {
        order.swap(step, step + below(rng, n - step));
        hidden[order[step]] = true;
    }
    hidden
}

fn clustered(
    grid: Grid,
    count: usize,
    (min_side, max_side): (usize, usize),
    rng: &mut ChaCha8Rng,
) -> Vec<bool> {
    let mut hidden = vec![false; grid.cells()];
    let mut left = count;
    while left > 0 {
        // A centre that is already hidden is drawn again, so every square hides something.
        let centre = below(rng, grid.cells());
        if hidden[centre] {
            continue;
        }
        let side = min_side + below(rng, max_side - min_side + 1);
        for cell in square(grid, centre, side) {
            if left > 0 && !hidden[cell] {
                hidden[cell] = true;
                left -= 1;
            }
        }
    }
    hidden
}

/// Cells of a square that lie in the grid, those nearest to the centre first.
fn square(grid: Grid, centre: usize, side: usize) -> Vec<usize> {
    let around = |centre: usize, end: usize| {
        let first = centre as isize - (side / 2) as isize;
        let last = first + side as isize;
        first.max(0) as usize..last.min(end as isize) as usize
    };
    let (row, column) = (centre / grid.columns, centre % grid.columns);
    let mut cells: Vec<(usize, usize)> = around(row, grid.rows)
        .flat_map(|r| around(column, grid.columns).map(move |c| (r, c)))
        .collect();
    cells.sort_by_key(|&(r, c)| r.abs_diff(row).max(c.abs_diff(column)));
    cells
        .into_iter()
        .map(|(r, c)| r * grid.columns + c)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use params::keyed_rng;
    use proptest::prelude::*;

    const STRATEGIES: [MaskStrategy; 4] = [
        MaskStrategy::Random,
        MaskStrategy::Clustered {
            min_side: 3,
            max_side: 5,
        },
        MaskStrategy::Time,
        MaskStrategy::Frequency,
    ];

    fn config(patch: [usize; 2], ratio: f32, strategy: MaskStrategy) -> MaskConfig {
        MaskConfig {
            patch_bins: patch[0],
            patch_frames: patch[1],
            ratio,
            strategy,
        }
    }

    /// The hidden cells, after checking that no cell is hidden in part.
    fn cells(
        hidden: &[bool],
        config: &MaskConfig,
        frames: usize,
        valid_frames: usize,
    ) -> Vec<bool> {
        let bins = hidden.len() / frames;
        let columns = valid_frames.div_ceil(config.patch_frames);
        let mut cells = vec![None; bins.div_ceil(config.patch_bins) * columns];
        for bin in 0..bins {
            for frame in 0..frames {
                let value = hidden[bin * frames + frame];
                if frame >= valid_frames {
                    assert!(!value, "padded frame {frame} is hidden");
                    continue;
                }
                let cell = bin / config.patch_bins * columns + frame / config.patch_frames;
                assert_eq!(
                    *cells[cell].get_or_insert(value),
                    value,
                    "cell {cell} is hidden in part"
                );
            }
        }
        cells.into_iter().map(Option::unwrap).collect()
    }

    proptest! {
        #[test]
        fn the_count_of_hidden_cells_is_exact_and_padding_is_never_hidden(
            bins in 1_usize..40, frames in 1_usize..50, valid_share in 0.0_f64..1.0,
            patch_bins in 1_usize..8, patch_frames in 1_usize..8, ratio in 0.0_f32..1.0,
            strategy in 0_usize..4, seed: u64,
        ) {
            let valid_frames = 1 + ((frames - 1) as f64 * valid_share) as usize;
            let config = config([patch_bins, patch_frames], ratio, STRATEGIES[strategy]);
            let hidden = config.draw(bins, frames, valid_frames, &mut keyed_rng([seed, 0, 0, 0]));
            prop_assert_eq!(hidden.len(), bins * frames);
            let cells = cells(&hidden, &config, frames, valid_frames);
            let (rows, columns) = (bins.div_ceil(patch_bins), valid_frames.div_ceil(patch_frames));
            let wanted = |n: usize| match n {
                1 => usize::from(ratio > 0.0),
                n if ratio > 0.0 => ((ratio * n as f32).round() as usize).clamp(1, n - 1),
                _ => 0,
            };
            let expected = match STRATEGIES[strategy] {
                MaskStrategy::Time if columns > 1 => wanted(columns) * rows,
                MaskStrategy::Frequency if rows > 1 => wanted(rows) * columns,
                _ => wanted(rows * columns),
            };
            prop_assert_eq!(cells.iter().filter(|&&hidden| hidden).count(), expected);
        }

        #[test]
        fn every_valid_value_can_be_hidden_and_be_visible_wherever_the_sound_ends(
            bins in 1_usize..24, frames in 2_usize..24, valid_share in 0.0_f64..1.0,
            patch_bins in 1_usize..7, patch_frames in 1_usize..7, strategy in 0_usize..4, seed: u64,
        ) {
            let valid_frames = 1 + ((frames - 1) as f64 * valid_share) as usize;
            let config = config([patch_bins, patch_frames], 0.45, STRATEGIES[strategy]);
            let (mut was_hidden, mut was_visible) =
                (vec![false; bins * frames], vec![false; bins * frames]);
            for key in 0..400 {
                let mut rng = keyed_rng([seed, key, 0, 0]);
                let hidden = config.draw(bins, frames, valid_frames, &mut rng);
                for (at, &value) in hidden.iter().enumerate() {
                    was_hidden[at] |= value;
                    was_visible[at] |= !value;
                }
            }
            let cells = bins.div_ceil(patch_bins) * valid_frames.div_ceil(patch_frames);
            for at in 0..bins * frames {
                let valid = at % frames < valid_frames;
                prop_assert_eq!(was_hidden[at], valid, "bin {}, frame {}", at / frames, at % frames);
                // A single cell is always hidden, and a cluster is as large as a small grid.
                let clusters = matches!(config.strategy, MaskStrategy::Clustered { .. });
                if cells > if clusters { 50 } else { 1 } {
                    prop_assert!(was_visible[at], "bin {}, frame {}", at / frames, at % frames);
                }
            }
        }
    }

    #[test]
    fn every_bin_and_frame_can_be_hidden_and_can_be_visible() {
        let mut checked = 0;
        for strategy in STRATEGIES {
            for (bins, frames) in [(257, 129), (13, 11), (5, 7), (3, 17), (23, 2)] {
                let config = config([5, 5], 0.45, strategy);
                let (mut was_hidden, mut was_visible) =
                    (vec![false; bins * frames], vec![false; bins * frames]);
                for key in 0..60 {
                    let hidden = config.draw(bins, frames, frames, &mut keyed_rng([key, 0, 0, 0]));
                    for (at, &value) in hidden.iter().enumerate() {
                        was_hidden[at] |= value;
                        was_visible[at] |= !value;
                    }
                }
                assert!(
                    was_hidden.iter().all(|&yes| yes),
                    "{strategy:?} of {bins} x {frames} never hides a value"
                );
                assert!(
                    was_visible.iter().all(|&yes| yes),
                    "{strategy:?} of {bins} x {frames} always hides a value"
                );
                checked += 1;
            }
        }
        assert_eq!(checked, 20);
    }

    #[test]
    fn time_hides_whole_frames_and_frequency_whole_bins() {
        let (bins, frames, valid) = (23, 31, 27);
        let hidden = config([5, 4], 0.4, MaskStrategy::Time).draw(
            bins,
            frames,
            valid,
            &mut keyed_rng([1; 4]),
        );
        assert!((0..frames).all(|t| (1..bins).all(|k| hidden[k * frames + t] == hidden[t])));
        let hidden = config([5, 4], 0.4, MaskStrategy::Frequency).draw(
            bins,
            frames,
            valid,
            &mut keyed_rng([1; 4]),
        );
        assert!(
            (0..bins).all(|k| (1..valid).all(|t| hidden[k * frames + t] == hidden[k * frames]))
        );
    }

    #[test]
    fn clusters_hold_together_better_than_chance() {
        let neighbours = |strategy| {
            let hidden = config([1, 1], 0.3, strategy).draw(40, 50, 50, &mut keyed_rng([9; 4]));
            (0..40 * 49)
                .filter(|&at| hidden[at / 49 * 50 + at % 49] && hidden[at / 49 * 50 + at % 49 + 1])
                .count()
        };
        let clustered = neighbours(MaskStrategy::Clustered {
            min_side: 3,
            max_side: 5,
        });
        assert!(
            clustered > 2 * neighbours(MaskStrategy::Random),
            "{clustered}"
        );
    }

    #[test]
    fn a_ratio_of_zero_hides_nothing() {
        for strategy in STRATEGIES {
            let visible = config([2, 3], 0.4, strategy).nothing_hidden();
            assert_eq!(visible, config([2, 3], 0.0, strategy));
            let hidden = visible.draw(7, 11, 9, &mut keyed_rng([0; 4]));
            assert!(hidden.iter().all(|&hidden| !hidden));
        }
    }

    #[test]
    fn masks_are_pinned() {
        let drawn: Vec<String> = STRATEGIES
            .iter()
            .map(|&strategy| {
                let hidden =
                    config([2, 3], 0.45, strategy).draw(10, 20, 18, &mut keyed_rng([1, 2, 3, 4]));
                let cells = cells(&hidden, &config([2, 3], 0.45, strategy), 20, 18);
                let rows = cells.chunks(6).map(|row| {
                    row.iter()
                        .map(|&h| if h { '#' } else { '.' })
                        .collect::<String>()
                });
                rows.collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(
            drawn,
            [
                ".###.# #..### #...## .....# .#.#..",
                "###### ###### ..#... ...#.. ......",
                "#.##.. #.##.. #.##.. #.##.. #.##..",
                "###### ...... ###### ...... ......",
            ]
        );
    }

    #[test]
    fn impossible_masks_are_refused() {
        for bad in [
            config([0, 5], 0.4, MaskStrategy::Random),
            config([5, 0], 0.4, MaskStrategy::Random),
            config([5, 5], 1.0, MaskStrategy::Random),
            config([5, 5], -0.1, MaskStrategy::Random),
            config([5, 5], f32::NAN, MaskStrategy::Random),
            config(
                [5, 5],
                0.4,
                MaskStrategy::Clustered {
                    min_side: 0,
                    max_side: 3,
                },
            ),
            config(
                [5, 5],
                0.4,
                MaskStrategy::Clustered {
                    min_side: 4,
                    max_side: 3,
                },
            ),
            config(
                [5, 5],
                0.4,
                MaskStrategy::Clustered {
                    min_side: 4,
                    max_side: usize::MAX,
                },
            ),
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
