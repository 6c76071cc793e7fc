//! Contrastive pretraining of the Transformer.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use losses::{ContrastiveScores, ContrastiveTokens, InfoNce, Negatives, mean_per_item};
use params::keyed_rng;
use rand::Rng;
use stft_data::Normalization;
use transformer::{ContrastiveTransformer, Patches, QueriesAndKeys, StepSize, TransformerConfig};

use crate::data::batch::TensorBatch;
use crate::training::task::{Scores, Task};

/// Labels the stream of [`keyed_rng`] that sampled negatives are drawn from.
const NEGATIVES_STREAM: u64 = u64::from_le_bytes(*b"trnegatv");

/// How often the right patch was found.
const ACCURACY: &str = "contrastive_accuracy";

/// How often a random choice is right.
const CHANCE: &str = "contrastive_chance";

/// A patch below this share of a full-scale sine's magnitude, on average, is silent: -80 dB.
const SILENCE: f32 = 1e-4;

/// Each hidden token's context vector has to find its own content among others'
/// (van den Oord et al. 2018, §2.3; Baevski et al. 2020, §3.2).
///
/// Whatever the objective's negatives are, `contrastive_accuracy` is measured against the hidden tokens of the
/// token's own clip, so that figures can be compared. Silent patches are no queries.
#[derive(Clone, Debug)]
pub struct ContrastivePretraining {
    /// The network.
    pub model: TransformerConfig,
    /// The objective.
    pub loss: InfoNce,
    /// Share of the tokens that is hidden; for the estimate of memory.
    pub hidden_ratio: f32,
    /// Scale of the spectrograms, from which the level of silence follows.
    pub normalization: Normalization,
    /// Samples in a frame, from which the magnitude of a full-scale sine follows.
    pub n_fft: usize,
    /// What sampled negatives are drawn from.
    pub seed: u64,
}

impl Task for ContrastivePretraining {
    type Model = ContrastiveTransformer;

    fn init(&self, device: &Device) -> ContrastiveTransformer {
        self.model.init_contrastive(device)
    }

    fn scores(&self, model: &ContrastiveTransformer, batch: &TensorBatch) -> Scores {
        let tokens = Tokens::of(&self.model, batch);
        let vectors = model.forward(&tokens.patches, tokens.hidden.clone());
        self.score(&tokens, vectors, batch)
    }

    /// Context vectors that are all the same: the loss is then ln(candidates), and no key is found, since one that
    /// is no nearer than others doesn't count.
    fn baseline(&self, _mean: Tensor<2>, batch: &TensorBatch) -> Scores {
        let tokens = Tokens::of(&self.model, batch);
        let [n_items, n_tokens, _] = tokens.patches.values.dims();
        let ones = Tensor::ones([n_items, n_tokens, 2], &batch.spectrogram.device());
        let vectors = QueriesAndKeys {
            queries: ones.clone(),
            keys: ones,
        };
        let mut scores = self.score(&tokens, vectors, batch);
        // Among equal vectors none is nearest; who guesses is right by chance.
        let chance = scores.named().find(|(name, _)| name == CHANCE);
        let chance = chance.map(|(_, values)| values.clone());
        let right = scores.terms.iter_mut().find(|(name, _)| name == ACCURACY);
        if let (Some((_, right)), Some(chance)) = (right, chance) {
            *right = chance;
        }
        scores
    }

    fn baseline_name(&self) -> &'static str {
        "chance"
    }

    /// The spectrogram with each hidden patch replaced by the hidden patch of the same clip that its context
    /// vector finds nearest: where it is the right one, nothing changes. Silent patches, which are no queries in training,
    /// stay as they are.
    fn reconstruct(
        &self,
        model: &ContrastiveTransformer,
        batch: &TensorBatch,
    ) -> Option<Tensor<3>> {
        let tokens = Tokens::of(&self.model, batch);
        let QueriesAndKeys { queries, keys } =
            model.forward(&tokens.patches, tokens.hidden.clone());
        let [n_items, n_tokens, _] = tokens.patches.values.dims();
        let asked = tokens.sounding(self.silence());
        let hidden: Vec<bool> = tokens
            .hidden
            .bool_and(asked)
            .into_data()
            .try_to_vec()
            .expect("a mask is of booleans");
        let items = (0..n_items).map(|item| {
            let values = tokens.patches.values.clone().narrow(0, item, 1);
            let own = &hidden[item * n_tokens..(item + 1) * n_tokens];
            let places: Vec<i64> = (0..n_tokens as i64)
                .filter(|&at| own[at as usize])
                .collect();
            if places.is_empty() {
                return values;
            }
            let places = Tensor::<1, Int>::from_data(
                TensorData::new(places.clone(), [places.len()]),
                &values.device(),
            );
            let at_hidden = |all: &Tensor<3>| {
                let rows = all
                    .clone()
                    .narrow(0, item, 1)
                    .select(1, places.clone())
                    .squeeze_dim::<2>(0);
                unit(rows)
            };
            let similarity = at_hidden(&queries).matmul(at_hidden(&keys).transpose());
            let nearest = places
                .clone()
                .select(0, similarity.argmax(1).squeeze_dim::<1>(1));
            let found = values.clone().select(1, nearest);
            values.clone().select_assign(
                1,
                places.clone(),
                found - values.select(1, places),
                burn::tensor::IndexingUpdateOp::Add,
            )
        });
        let patches = Tensor::cat(items.collect(), 0);
        Some(tokens.patches.grid.unpatchify(patches))
    }

    fn parts(&self, model: &ContrastiveTransformer) -> Vec<(String, usize)> {
        model.parameters_per_part()
    }

    fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        self.model.contrastive_activation_elements(StepSize {
            batch,
            frames,
            hidden_ratio: f64::from(self.hidden_ratio),
        })
    }
}

impl ContrastivePretraining {
    fn score(&self, tokens: &Tokens, vectors: QueriesAndKeys, batch: &TensorBatch) -> Scores {
        let draw_keys = batch
            .keys
            .iter()
            .map(|&(epoch, id)| keyed_rng([self.seed, NEGATIVES_STREAM, epoch, id]).next_u64())
            .collect();
        let QueriesAndKeys { queries, keys } = vectors;
        let input = ContrastiveTokens {
            queries: queries.clone(),
            keys: keys.clone(),
            content: tokens.patches.values.clone(),
            hidden: tokens.hidden.clone(),
            valid: tokens.valid.clone(),
            scored: tokens.sounding(self.silence()),
            draw_keys,
        };
        let own_clip = InfoNce {
            negatives: Negatives::CLIP,
            ..self.loss
        };
        let objective = self.loss.per_item(input.clone());
        let in_clip = match self.loss == own_clip {
            true => objective.clone(),
            // Read only, so off the graph.
            false => own_clip.per_item(ContrastiveTokens {
                queries: input.queries.detach(),
                keys: input.keys.detach(),
                ..input
            }),
        };
        let ContrastiveScores {
            loss,
            queries: asked,
            ..
        } = objective;
        let hidden = tokens.hidden.clone().float();
        Scores {
            terms: vec![
                ("contrastive_loss".into(), loss.clone().detach()),
                (ACCURACY.into(), in_clip.accuracy),
                (CHANCE.into(), in_clip.candidates.clamp_min(1.0).recip()),
                (
                    "query_spread".into(),
                    spread(queries.detach(), hidden.clone()),
                ),
                ("key_spread".into(), spread(keys.detach(), hidden)),
            ],
            loss,
            counted: Some(asked.greater_elem(0.0).float()),
            parameters: None,
        }
    }

    /// The normalised log1p magnitude below which a patch is silent.
    fn silence(&self) -> f32 {
        // A sine at full scale under a Hann window has a quarter of the frame's samples.
        let full_scale = self.n_fft as f32 / 4.0;
        self.normalization.apply((SILENCE * full_scale).ln_1p())
    }
}

/// A batch as the Transformer sees it.
struct Tokens {
    patches: Patches,
    hidden: Tensor<2, Bool>,
    valid: Tensor<2, Bool>,
}

impl Tokens {
    fn of(model: &TransformerConfig, batch: &TensorBatch) -> Tokens {
        let [_, _, frames] = batch.spectrogram.dims();
        let grid = model.encoder.grid(frames);
        let patches = Patches::new(grid, batch.spectrogram.clone(), &batch.valid_frames);
        Tokens {
            hidden: grid.hidden_tokens(batch.hidden.clone(), &batch.valid_frames),
            valid: patches.token_weights().greater_elem(0.0),
            patches,
        }
    }

    /// Tokens whose real values have a mean above `silence`, `[batch, tokens]`.
    fn sounding(&self, silence: f32) -> Tensor<2, Bool> {
        let weights = self.patches.weights.clone();
        let count = weights.clone().sum_dim(2).clamp_min(1.0);
        let mean = (self.patches.values.clone() * weights).sum_dim(2) / count;
        mean.squeeze_dim::<2>(2).greater_elem(silence)
    }
}

/// How far the directions of an item's hidden tokens lie apart, `[batch]`: 0 where all vectors point the same way,
/// as after a collapse, and 1 where they cancel each other.
///
/// ```text
/// s_b = 1 - || mean_i v_bi / ||v_bi|| ||^2      i over the hidden tokens
/// ```
fn spread(vectors: Tensor<3>, hidden: Tensor<2>) -> Tensor<1> {
    let [n_items, n_tokens, features] = vectors.dims();
    let flat = unit(vectors.reshape([n_items * n_tokens, features]));
    let vectors = flat.reshape([n_items, n_tokens, features]).swap_dims(1, 2);
    let weights = hidden
        .unsqueeze_dim::<3>(1)
        .expand([n_items, features, n_tokens]);
    // The mean of each feature over the hidden tokens, by the losses' own reduction.
    let means = mean_per_item(
        vectors.reshape([n_items * features, 1, n_tokens]),
        weights.reshape([n_items * features, 1, n_tokens]),
    );
    let length = means.reshape([n_items, features]).square().sum_dim(1);
    (length.neg() + 1.0).squeeze_dim::<1>(1)
}

/// Rows of length 1.
fn unit(rows: Tensor<2>) -> Tensor<2> {
    let length = rows.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    rows / length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_that_agree_have_no_spread_and_those_that_cancel_have_all() {
        let device = Device::flex();
        let vectors = Tensor::<3>::from_data(
            [
                [[1.0, 0.0], [2.0, 0.0], [-9.0, 0.0]],
                [[1.0, 0.0], [-2.0, 0.0], [3.0, 5.0]],
            ],
            &device,
        );
        let hidden = Tensor::<2>::from_data([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]], &device);
        let spreads: Vec<f32> = spread(vectors, hidden).into_data().try_to_vec().unwrap();
        assert_eq!(spreads, [0.0, 1.0]);
    }
}
