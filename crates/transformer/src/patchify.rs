//! Spectrograms to patches and back.

use burn::tensor::ops::PadMode;
use burn::tensor::{Bool, Device, Tensor, TensorData};

/// A grid of patches over a spectrogram.
///
/// ```text
/// rows    = ceil(bins / patch_bins)          token = row * columns + column
/// columns = ceil(frames / patch_frames)      value = bin in patch * patch_frames + frame in patch
/// ```
///
/// Tokens are ordered along time first: all columns of the lowest row, then of the next. Values within a
/// patch have the same order. If the size of the spectrogram is not a multiple of the patch size, the last
/// row and column extend beyond its edge and are filled with zeros; nothing is cropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatchGrid {
    /// Bins of the spectrogram.
    pub bins: usize,
    /// Frames of the spectrogram.
    pub frames: usize,
    /// Height of a patch, in bins.
    pub patch_bins: usize,
    /// Width of a patch, in frames.
    pub patch_frames: usize,
}

impl PatchGrid {
    /// Patches along frequency.
    pub fn rows(&self) -> usize {
        self.bins.div_ceil(self.patch_bins)
    }

    /// Patches along time.
    pub fn columns(&self) -> usize {
        self.frames.div_ceil(self.patch_frames)
    }

    /// Number of patches.
    pub fn tokens(&self) -> usize {
        self.rows() * self.columns()
    }

    /// Number of values of a patch.
    pub fn patch_len(&self) -> usize {
        self.patch_bins * self.patch_frames
    }

    /// Cuts spectrograms into patches.
    ///
    /// # Shapes
    /// - x: `[batch, bins, frames]`
    /// - output: `[batch, tokens, patch_len]`
    ///
    /// # Panics
    /// If `x` doesn't have this grid's size.
    pub fn patchify(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, bins, frames] = x.dims();
        assert_eq!(
            [bins, frames],
            [self.bins, self.frames],
            "this grid has {} bins and {} frames, got {bins} and {frames}",
            self.bins,
            self.frames
        );
        let [rows, columns] = [self.rows(), self.columns()];
        let above = rows * self.patch_bins - bins;
        let after = columns * self.patch_frames - frames;
        let x = if above + after == 0 {
            x
        } else {
            x.pad([(0, 0), (0, above), (0, after)], PadMode::Constant(0.0))
        };
        x.reshape([batch, rows, self.patch_bins, columns, self.patch_frames])
            .permute([0, 1, 3, 2, 4])
            .reshape([batch, rows * columns, self.patch_len()])
    }

    /// Joins patches, the inverse of [`patchify`](Self::patchify). Values beyond the edge are dropped.
    ///
    /// # Shapes
    /// - patches: `[batch, tokens, patch_len]`
    /// - output: `[batch, bins, frames]`
    ///
    /// # Panics
    /// If `patches` don't have this grid's size.
    pub fn unpatchify(&self, patches: Tensor<3>) -> Tensor<3> {
        let [batch, tokens, patch_len] = patches.dims();
        assert_eq!(
            [tokens, patch_len],
            [self.tokens(), self.patch_len()],
            "this grid has {} patches of {} values, got {tokens} of {patch_len}",
            self.tokens(),
            self.patch_len()
        );
        let [rows, columns] = [self.rows(), self.columns()];
        patches
            .reshape([batch, rows, columns, self.patch_bins, self.patch_frames])
            .permute([0, 1, 3, 2, 4])
            .reshape([batch, rows * self.patch_bins, columns * self.patch_frames])
            .narrow(1, 0, self.bins)
            .narrow(2, 0, self.frames)
    }

    /// Turns a mask over bins into a mask over tokens: a token is hidden if any of its valid bins is.
    ///
    /// A mask drawn on this grid hides all of a patch or nothing. With a mask of another grid, a partly
    /// hidden token is hidden completely, so that no hidden bin is visible; more is hidden than the mask
    /// says. Padded frames are ignored.
    ///
    /// # Shapes
    /// - hidden: `[batch, bins, frames]`, true = hidden
    /// - valid_frames: one number for each item
    /// - output: `[batch, tokens]`, true = hidden
    ///
    /// # Panics
    /// If `hidden` doesn't have this grid's size, or `valid_frames` doesn't fit its items.
    pub fn hidden_tokens(
        &self,
        hidden: Tensor<3, Bool>,
        valid_frames: &[usize],
    ) -> Tensor<2, Bool> {
        let hidden = match self.padded_frames(valid_frames, &hidden.device()) {
            Some(padded) => hidden.bool_and(padded.bool_not().expand([
                valid_frames.len(),
                self.bins,
                self.frames,
            ])),
            None => hidden,
        };
        let [batch, ..] = hidden.dims();
        self.patchify(hidden.float())
            .sum_dim(2)
            .greater_elem(0.0)
            .reshape([batch, self.tokens()])
    }

    /// True at frames after the end of each item, `[batch, 1, frames]`; `None` if there are none.
    fn padded_frames(&self, valid_frames: &[usize], device: &Device) -> Option<Tensor<3, Bool>> {
        if let Some(valid) = valid_frames.iter().find(|&&n| n == 0 || n > self.frames) {
            panic!("expected 1 to {} valid frames, got {valid}", self.frames);
        }
        if valid_frames.iter().all(|&valid| valid == self.frames) {
            return None;
        }
        let padded: Vec<bool> = valid_frames
            .iter()
            .flat_map(|&valid| (0..self.frames).map(move |frame| frame >= valid))
            .collect();
        let shape = [valid_frames.len(), 1, self.frames];
        Some(Tensor::from_data(TensorData::new(padded, shape), device))
    }

    /// True at tokens without a valid frame, `[batch, tokens]`; `None` if there are none.
    fn padding(&self, valid_frames: &[usize], device: &Device) -> Option<Tensor<2, Bool>> {
        let columns = self.columns();
        let valid_columns = |valid: usize| valid.div_ceil(self.patch_frames);
        if valid_frames.iter().all(|&v| valid_columns(v) == columns) {
            return None;
        }
        let padding: Vec<bool> = valid_frames
            .iter()
            .flat_map(|&valid| {
                (0..self.tokens()).map(move |token| token % columns >= valid_columns(valid))
            })
            .collect();
        let shape = [valid_frames.len(), self.tokens()];
        Some(Tensor::from_data(TensorData::new(padding, shape), device))
    }
}

/// The patches of a batch of spectrograms, with masks of their padding.
#[derive(Clone, Debug)]
pub struct Patches {
    /// `[batch, tokens, patch_len]`; 0 beyond the edge and in padded frames.
    pub values: Tensor<3>,
    /// 1 at valid values, 0 beyond the edge and in padded frames: `[batch, tokens, patch_len]`.
    pub weights: Tensor<3>,
    /// True at padding tokens, which contain no valid frame, `[batch, tokens]`. `None` if there are none,
    /// which saves the attention its mask.
    pub padding: Option<Tensor<2, Bool>>,
    /// The grid of the patches.
    pub grid: PatchGrid,
}

impl Patches {
    /// Cuts spectrograms into patches and sets their padded frames to 0.
    ///
    /// # Shapes
    /// - x: `[batch, bins, frames]`
    /// - valid_frames: one number for each item; the frames after them are padding
    ///
    /// # Panics
    /// If `x` doesn't have the grid's size, or a number of valid frames is missing, 0, or above the frames.
    pub fn new(grid: PatchGrid, x: Tensor<3>, valid_frames: &[usize]) -> Self {
        let [batch, bins, frames] = x.dims();
        assert_eq!(
            valid_frames.len(),
            batch,
            "expected a number of valid frames for each of {batch} items, got {}",
            valid_frames.len()
        );
        let device = x.device();
        let ones = Tensor::ones([batch, bins, frames], &device);
        let (x, real) = match grid.padded_frames(valid_frames, &device) {
            Some(padded) => {
                let padded = padded.expand([batch, bins, frames]);
                let real = ones.mask_fill(padded.clone(), 0.0);
                (x.mask_fill(padded, 0.0), real)
            }
            None => (x, ones),
        };
        Self {
            values: grid.patchify(x),
            weights: grid.patchify(real),
            padding: grid.padding(valid_frames, &device),
            grid,
        }
    }

    /// Weights of a masked autoencoder's loss: 1 at the valid values of hidden tokens, else 0.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens]`, true = hidden
    /// - output: `[batch, tokens, patch_len]`
    pub fn hidden_weights(&self, hidden: Tensor<2, Bool>) -> Tensor<3> {
        self.weights.clone() * hidden.float().unsqueeze_dim::<3>(2)
    }

    /// 1 at tokens with a valid frame, else 0: `[batch, tokens]`.
    pub fn token_weights(&self) -> Tensor<2> {
        let [batch, tokens, _] = self.values.dims();
        let ones = Tensor::ones([batch, tokens], &self.values.device());
        match &self.padding {
            Some(padding) => ones.mask_fill(padding.clone(), 0.0),
            None => ones,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting(shape: [usize; 3]) -> Tensor<3> {
        let values: Vec<f32> = (1..=shape.iter().product()).map(|i| i as f32).collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }

    fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    fn bools<const D: usize>(x: Tensor<D, Bool>) -> Vec<bool> {
        x.into_data().iter::<bool>().collect()
    }

    #[test]
    fn unpatchify_undoes_patchify_on_every_grid() {
        let mut checked = 0;
        for [patch_bins, patch_frames] in [[1, 1], [5, 5], [2, 7], [16, 3]] {
            for bins in 1..=40 {
                for frames in 1..=40 {
                    let grid = PatchGrid {
                        bins,
                        frames,
                        patch_bins,
                        patch_frames,
                    };
                    let x = counting([2, bins, frames]);
                    let patches = grid.patchify(x.clone());
                    assert_eq!(patches.dims(), [2, grid.tokens(), grid.patch_len()]);
                    assert_eq!(grid.unpatchify(patches).into_data(), x.into_data());
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 4 * 40 * 40);
    }

    #[test]
    fn tokens_run_along_time_first_and_so_do_their_values() {
        let grid = PatchGrid {
            bins: 3,
            frames: 5,
            patch_bins: 2,
            patch_frames: 3,
        };
        let patches = grid.patchify(counting([1, 3, 5]));
        #[rustfmt::skip]
        let expected = [
            1.0, 2.0, 3.0, 6.0, 7.0, 8.0,         4.0, 5.0, 0.0, 9.0, 10.0, 0.0,
            11.0, 12.0, 13.0, 0.0, 0.0, 0.0,      14.0, 15.0, 0.0, 0.0, 0.0, 0.0,
        ];
        assert_eq!(values(patches), expected);
    }

    #[test]
    fn weights_count_the_real_values_and_padding_tokens_have_none() {
        let grid = PatchGrid {
            bins: 5,
            frames: 7,
            patch_bins: 2,
            patch_frames: 3,
        };
        // 7, 4, 3 and 1 valid frames: none, one, two and two padded columns of three.
        let valid_frames = [7, 4, 3, 1];
        let patches = Patches::new(grid, counting([4, 5, 7]), &valid_frames);
        let per_item = values(patches.weights.clone().sum_dim(2).sum_dim(1));
        assert_eq!(per_item, valid_frames.map(|valid| (5 * valid) as f32));

        let per_token = values(patches.weights.clone().sum_dim(2));
        let padding = bools(patches.padding.clone().unwrap());
        assert_eq!(padding.len(), per_token.len());
        for (weight, padding) in per_token.iter().zip(&padding) {
            assert_eq!(*weight == 0.0, *padding);
        }
        let column = |item: usize| &padding[item * 9..item * 9 + 3];
        assert_eq!(column(1), [false, false, true]);
        assert_eq!(column(3), [false, true, true]);
        assert_eq!(
            values(patches.token_weights()).iter().sum::<f32>(),
            (9 + 6 + 3 + 3) as f32
        );
        assert!(
            Patches::new(grid, counting([2, 5, 7]), &[7, 7])
                .padding
                .is_none()
        );
    }

    #[test]
    fn padded_frames_are_set_to_zero() {
        let grid = PatchGrid {
            bins: 3,
            frames: 4,
            patch_bins: 2,
            patch_frames: 2,
        };
        let x = counting([1, 3, 4]);
        let loud = x.clone().slice_fill([0..1, 0..3, 3..4], f32::NAN);
        let [plain, loud] = [x, loud].map(|x| Patches::new(grid, x, &[3]));
        assert_eq!(values(plain.values), values(loud.values));
    }

    #[test]
    fn a_token_is_hidden_where_any_valid_bin_is() {
        let grid = PatchGrid {
            bins: 3,
            frames: 5,
            patch_bins: 2,
            patch_frames: 2,
        };
        let mut hidden = vec![false; 2 * 3 * 5];
        hidden[1] = true; // item 0: bin 0, frame 1
        hidden[15 + 2 * 5 + 4] = true; // item 1: bin 2, frame 4
        let hidden: Tensor<3, Bool> =
            Tensor::from_data(TensorData::new(hidden, [2, 3, 5]), &Device::flex());
        let hidden_at = |valid: [usize; 2]| -> Vec<usize> {
            let tokens = bools(grid.hidden_tokens(hidden.clone(), &valid));
            (0..12).filter(|&token| tokens[token]).collect()
        };
        assert_eq!(hidden_at([5, 5]), [0, 11]);
        assert_eq!(hidden_at([5, 4]), [0]);
    }

    #[test]
    #[should_panic(expected = "expected 1 to 7 valid frames, got 8")]
    fn more_valid_frames_than_frames_are_refused() {
        let grid = PatchGrid {
            bins: 5,
            frames: 7,
            patch_bins: 2,
            patch_frames: 3,
        };
        Patches::new(grid, counting([1, 5, 7]), &[8]);
    }
}
