//! The encoder: patches to memory or features.

use crate::block::Block;
use crate::config::{EncoderConfig, EncoderTokens};
use crate::linear::{apply, init_linear, init_vectors};
use crate::norm::{init_norm, normalize};
use crate::patchify::{PatchGrid, Patches};
use crate::position::Positions;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, Linear};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// The encoder of a patch Transformer (Dosovitskiy et al. 2021, without a class token).
///
/// ```text
/// x_i = drop(content_i + position_i)          content_i = embed(patch_i), or the mask vector
/// memory = norm(blocks(x))
/// ```
///
/// Padding tokens are never attended to.
#[derive(Module, Debug)]
pub struct Encoder {
    embed: Linear,
    /// `[d_model]`; `None` if the encoder's input has no hidden tokens.
    mask_token: Option<Param<Tensor<1>>>,
    positions: Positions,
    dropout: Dropout,
    blocks: Vec<Block>,
    norm: LayerNorm,
    bins: usize,
    patch_bins: usize,
    patch_frames: usize,
}

/// Output of an encoder for a decoder.
#[derive(Clone, Debug)]
pub struct Memory {
    /// `[batch, places, d_model]`; 0 where `hidden`.
    pub values: Tensor<3>,
    /// True at places that must not be attended to: padding tokens, and fillers of items with fewer
    /// visible tokens than others. `[batch, places]`; `None` if there are none.
    pub hidden: Option<Tensor<2, Bool>>,
    /// The token at each place, `[batch, places]`; unspecified where `hidden`. `None`: place i is token i.
    pub tokens: Option<Tensor<2, Int>>,
}

/// Features of whole spectrograms for downstream models.
#[derive(Clone, Debug)]
pub struct Features {
    /// `[batch, tokens, d_model]`; 0 at padding tokens.
    pub tokens: Tensor<3>,
    /// Mean over the tokens that are not padding, `[batch, d_model]`.
    pub pooled: Tensor<2>,
    /// True at padding tokens, `[batch, tokens]`; `None` if there are none.
    pub padding: Option<Tensor<2, Bool>>,
}

impl EncoderConfig {
    /// Initialises an encoder on `device`. Burn draws each parameter when it is first used.
    ///
    /// # Panics
    /// If [`validate`](EncoderConfig::validate) returns an error.
    pub fn init(&self, device: &Device) -> Encoder {
        if let Err(error) = self.validate() {
            panic!("{error}");
        }
        let block = |_| Block::init(self.block_size(), device);
        Encoder {
            embed: init_linear([self.patch_len(), self.d_model], device),
            mask_token: (self.tokens == EncoderTokens::All)
                .then(|| init_vectors([self.d_model], device)),
            positions: Positions::init(
                self.position,
                self.grid(self.max_frames),
                self.d_model,
                device,
            ),
            dropout: DropoutConfig::new(self.dropout).init(),
            blocks: (0..self.n_layers).map(block).collect(),
            norm: init_norm(self.d_model, device),
            bins: self.bins,
            patch_bins: self.patch_bins,
            patch_frames: self.patch_frames,
        }
    }
}

impl Encoder {
    /// The patch grid of spectrograms of `frames` frames.
    pub fn grid(&self, frames: usize) -> PatchGrid {
        PatchGrid {
            bins: self.bins,
            frames,
            patch_bins: self.patch_bins,
            patch_frames: self.patch_frames,
        }
    }

    /// Cuts spectrograms into patches, see [`Patches::new`].
    ///
    /// # Shapes
    /// - x: `[batch, bins, frames]`
    /// - valid_frames: one number for each item; the frames after them are padding
    ///
    /// # Panics
    /// If `x` has another number of bins or no frames, or `valid_frames` doesn't fit its items.
    pub fn patchify(&self, x: Tensor<3>, valid_frames: &[usize]) -> Patches {
        let [_, bins, frames] = x.dims();
        assert_eq!(
            bins, self.bins,
            "this Transformer takes spectrograms of {} bins, got {bins}",
            self.bins
        );
        assert!(
            frames > 0,
            "a Transformer needs at least one frame, got none"
        );
        Patches::new(self.grid(frames), x, valid_frames)
    }

    /// Encodes the patches that are not hidden.
    ///
    /// With [`EncoderTokens::Visible`] the mask is read back from the device, because it determines the
    /// number of places.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens]`, true = hidden; padding tokens count as padding either way
    /// - output: [`Memory`] of all tokens, or of as many places as the item with the most visible tokens has
    ///
    /// # Panics
    /// If `hidden` doesn't have the patches' grid, or positions are learned for fewer frames.
    pub fn forward(&self, patches: &Patches, hidden: Tensor<2, Bool>) -> Memory {
        let [batch, tokens, _] = patches.values.dims();
        assert_eq!(
            hidden.dims(),
            [batch, tokens],
            "expected a mask over [batch, tokens] = [{batch}, {tokens}], got {:?}",
            hidden.dims()
        );
        match &self.mask_token {
            Some(mask_token) => self.forward_all(patches, Some((hidden, mask_token.val()))),
            None => self.forward_visible(patches, hidden),
        }
    }

    /// Encodes whole spectrograms: features for downstream models.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn encode(&self, patches: &Patches) -> Features {
        let memory = self.forward_all(patches, None);
        let sum = memory.values.clone().sum_dim(1).squeeze_dim::<2>(1);
        Features {
            tokens: memory.values,
            pooled: sum / patches.token_weights().sum_dim(1),
            padding: memory.hidden,
        }
    }

    /// The content of patches: their linear embedding, without positions.
    ///
    /// # Shapes
    /// - output: `[batch, tokens, d_model]`
    pub(crate) fn content(&self, patches: &Patches) -> Tensor<3> {
        apply(&self.embed, patches.values.clone())
    }

    /// Positional encodings of a grid.
    ///
    /// # Shapes
    /// - output: `[1, tokens, d_model]`
    pub(crate) fn positions(&self, grid: PatchGrid, device: &Device) -> Tensor<3> {
        self.positions.forward(grid, device).unsqueeze()
    }

    /// Name and number of parameters of each part, in the order of the forward pass.
    pub(crate) fn parameters_per_part(&self, name: &str) -> Vec<(String, usize)> {
        let mask_token = self.mask_token.as_ref().map_or(0, Module::num_params);
        let input = self.embed.num_params() + mask_token + self.positions.num_params();
        let mut rows = vec![(format!("{name}.embed"), input)];
        for (i, block) in self.blocks.iter().enumerate() {
            rows.push((format!("{name}.blocks.{i}"), block.num_params()));
        }
        rows.push((format!("{name}.norm"), self.norm.num_params()));
        rows
    }

    fn forward_all(
        &self,
        patches: &Patches,
        masked: Option<(Tensor<2, Bool>, Tensor<1>)>,
    ) -> Memory {
        let content = self.content(patches);
        let content = match masked {
            Some((hidden, mask_token)) => {
                let shape = content.dims();
                let hidden = hidden.unsqueeze_dim::<3>(2).expand(shape);
                content.mask_where(hidden, mask_token.unsqueeze::<3>().expand(shape))
            }
            None => content,
        };
        let positions = self.positions(patches.grid, &content.device());
        let hidden = patches.padding.clone();
        Memory {
            values: self.blocks(content + positions, hidden.clone()),
            hidden,
            tokens: None,
        }
    }

    fn forward_visible(&self, patches: &Patches, hidden: Tensor<2, Bool>) -> Memory {
        let device = patches.values.device();
        let excluded = match &patches.padding {
            Some(padding) => hidden.bool_or(padding.clone()),
            None => hidden,
        };
        let [batch, tokens] = excluded.dims();
        let kept = VisibleTokens::new(excluded);
        let rows = |values: Vec<i64>| -> Tensor<1, Int> {
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        };
        let of_batch = kept.tokens.iter().enumerate();
        let in_batch = of_batch.map(|(at, &token)| (at / kept.places * tokens) as i64 + token);
        let values = patches
            .values
            .clone()
            .reshape([batch * tokens, patches.grid.patch_len()])
            .select(0, rows(in_batch.collect()));
        let positions = self
            .positions
            .forward(patches.grid, &device)
            .select(0, rows(kept.tokens.clone()));
        let x = apply(&self.embed, values) + positions;
        let [_, d_model] = x.dims();
        let hidden = kept.filling.map(|filling| {
            Tensor::from_data(TensorData::new(filling, [batch, kept.places]), &device)
        });
        Memory {
            values: self.blocks(x.reshape([batch, kept.places, d_model]), hidden.clone()),
            hidden,
            tokens: Some(rows(kept.tokens).reshape([batch, kept.places])),
        }
    }

    fn blocks(&self, x: Tensor<3>, hidden_keys: Option<Tensor<2, Bool>>) -> Tensor<3> {
        let mut x = self.dropout.forward(x);
        for block in &self.blocks {
            x = block.forward(x, hidden_keys.clone(), None);
        }
        let x = normalize(&self.norm, x);
        match hidden_keys {
            Some(hidden) => {
                let shape = x.dims();
                x.mask_fill(hidden.unsqueeze_dim::<3>(2).expand(shape), 0.0)
            }
            None => x,
        }
    }
}

/// Input tokens of a visible-only encoder: the visible tokens of each item in their order, filled up to
/// the longest item with token 0, which the mask `filling` hides.
struct VisibleTokens {
    places: usize,
    /// `batch * places`
    tokens: Vec<i64>,
    /// True at fillers, `batch * places`; `None` if all items are equally long.
    filling: Option<Vec<bool>>,
}

impl VisibleTokens {
    fn new(excluded: Tensor<2, Bool>) -> Self {
        let [_, tokens] = excluded.dims();
        let excluded: Vec<bool> = excluded.into_data().iter::<bool>().collect();
        let visible: Vec<Vec<i64>> = excluded
            .chunks(tokens)
            .map(|item| {
                (0..tokens)
                    .filter(|&i| !item[i])
                    .map(|i| i as i64)
                    .collect()
            })
            .collect();
        // At least one place, because not every operation accepts an empty tensor.
        let places = visible.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let filling = visible.iter().any(|item| item.len() < places).then(|| {
            visible
                .iter()
                .flat_map(|item| (0..places).map(|place| place >= item.len()))
                .collect()
        });
        let tokens = visible
            .into_iter()
            .flat_map(|item| item.into_iter().chain(std::iter::repeat(0)).take(places))
            .collect();
        Self {
            places,
            tokens,
            filling,
        }
    }
}
