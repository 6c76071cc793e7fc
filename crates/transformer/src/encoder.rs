//! The encoder: patches to a memory of them.

use crate::block::Block;
use crate::config::EncoderConfig;
use crate::linear::{apply, init_linear, init_vectors};
use crate::norm::{init_norm, normalize};
use crate::patchify::{PatchGrid, Patches};
use crate::position::Positions;
use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, LayerNorm, Linear};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// What the encoder is given of a masked spectrogram; `"all"` or `"visible"` in a configuration file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderTokens {
    /// Every token; a learned mask vector, with its position, stands where one is hidden (Devlin et al.
    /// 2019, without their unmasked exceptions).
    #[default]
    All,
    /// The visible tokens alone (He et al. 2022): the hidden ones cost nothing.
    Visible,
}

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
    /// `[d_model]`, where hidden tokens are given to the encoder.
    mask_token: Option<Param<Tensor<1>>>,
    positions: Positions,
    dropout: Dropout,
    blocks: Vec<Block>,
    norm: LayerNorm,
    bins: usize,
    patch_bins: usize,
    patch_frames: usize,
}

/// What an encoder knows of a batch, for a decoder to read.
#[derive(Clone, Debug)]
pub struct Memory {
    /// `[batch, places, d_model]`; 0 where `hidden`.
    pub values: Tensor<3>,
    /// True at places that must not be read: padding, and what fills up an item with fewer visible tokens
    /// than another. `[batch, places]`; `None` where there are none.
    pub hidden: Option<Tensor<2, Bool>>,
    /// Which token each place is, `[batch, places]`; meaningless where `hidden`. `None`: place i is token i.
    pub tokens: Option<Tensor<2, Int>>,
}

/// What downstream models read of a spectrogram of which nothing is hidden.
#[derive(Clone, Debug)]
pub struct Features {
    /// `[batch, tokens, d_model]`; 0 at padding tokens.
    pub tokens: Tensor<3>,
    /// The mean over tokens that are no padding, `[batch, d_model]`.
    pub pooled: Tensor<2>,
    /// True at padding tokens, `[batch, tokens]`; `None` where there are none.
    pub padding: Option<Tensor<2, Bool>>,
}

impl EncoderConfig {
    pub(crate) fn build(&self, device: &Device) -> Encoder {
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
    /// The grid over spectrograms of so many frames.
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
    /// - valid_frames: one number for each item; frames from there on are padding
    ///
    /// # Panics
    /// If `x` has other bins, or the valid frames are not those of its items.
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

    /// What the encoder makes of the patches that are not hidden.
    ///
    /// With [`EncoderTokens::Visible`] the mask is read back from the device, since it says how long the
    /// longest item is.
    ///
    /// # Shapes
    /// - hidden: `[batch, tokens]`, true = hidden; padding tokens count as padding either way
    /// - output: [`Memory`] of all tokens, or of as many places as the item with the most visible tokens has
    ///
    /// # Panics
    /// If `hidden` is not of the patches' grid, or positions are learned for fewer frames.
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

    /// What the encoder makes of whole spectrograms: the features for models that come after it.
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

    /// The linear embedding of patches, without position: their content.
    ///
    /// # Shapes
    /// - output: `[batch, tokens, d_model]`
    pub(crate) fn content(&self, patches: &Patches) -> Tensor<3> {
        apply(&self.embed, patches.values.clone())
    }

    /// # Shapes
    /// - output: `[1, tokens, d_model]`
    pub(crate) fn positions(&self, grid: PatchGrid, device: &Device) -> Tensor<3> {
        self.positions.forward(grid, device).unsqueeze()
    }

    /// Parameters of each part, in the order in which a spectrogram meets them.
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
        let unseen = match &patches.padding {
            Some(padding) => hidden.bool_or(padding.clone()),
            None => hidden,
        };
        let [batch, tokens] = unseen.dims();
        let kept = Kept::new(unseen);
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

/// Which tokens a visible-only encoder is given: those of each item in their order, filled up to the
/// longest item with token 0, which the filling then hides.
struct Kept {
    places: usize,
    /// `batch * places`
    tokens: Vec<i64>,
    /// `batch * places`; `None` where all items are equally long.
    filling: Option<Vec<bool>>,
}

impl Kept {
    fn new(unseen: Tensor<2, Bool>) -> Self {
        let [_, tokens] = unseen.dims();
        let unseen: Vec<bool> = unseen.into_data().iter::<bool>().collect();
        let seen: Vec<Vec<i64>> = unseen
            .chunks(tokens)
            .map(|item| {
                (0..tokens)
                    .filter(|&i| !item[i])
                    .map(|i| i as i64)
                    .collect()
            })
            .collect();
        // One place at least, since not every operation takes an empty tensor.
        let places = seen.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let filling = seen.iter().any(|item| item.len() < places).then(|| {
            seen.iter()
                .flat_map(|item| (0..places).map(|place| place >= item.len()))
                .collect()
        });
        let tokens = seen
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
