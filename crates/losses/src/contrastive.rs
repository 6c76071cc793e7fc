//! Computation of InfoNCE over hidden tokens.

use crate::candidates::{Masks, Negatives};
use crate::info_nce::InfoNce;
use crate::reduction::{at_least_f32, mean_per_item, sum_per_item};
use crate::similarity::{KeyGradients, QueryScores, Similarities, indices, normalised, places};
use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor};

/// Input of [`InfoNce`]: the tokens of a batch.
#[derive(Clone, Debug)]
pub struct ContrastiveTokens {
    /// Context vectors, `[batch, tokens, features]`. Only those of hidden tokens are used.
    pub queries: Tensor<3>,
    /// Content vectors, `[batch, tokens, features]`. Detached keys get no gradient.
    pub keys: Tensor<3>,
    /// The content that the keys were computed from, `[batch, tokens, values]`: it decides which tokens
    /// count as the same.
    pub content: Tensor<3>,
    /// True where a token is hidden from the context, `[batch, tokens]`.
    pub hidden: Tensor<2, Bool>,
    /// True where a token is not padding, `[batch, tokens]`.
    pub valid: Tensor<2, Bool>,
    /// True where a hidden token is a query, `[batch, tokens]`: all true, or false where a patch is
    /// silent. A token that is not scored can still be a negative.
    pub scored: Tensor<2, Bool>,
    /// Random key of each item's negatives. With a function of (seed, epoch, example), negatives
    /// of the clip don't depend on the batch. Only used if negatives are sampled.
    pub draw_keys: Vec<u64>,
}

/// Results for each item: all are `[batch]`.
#[derive(Clone, Debug)]
pub struct ContrastiveScores {
    /// The loss; 0 for an item without queries.
    pub loss: Tensor<1>,
    /// Share of the queries whose own key is strictly nearer than every negative. Chance is about
    /// `1 / candidates`.
    pub accuracy: Tensor<1>,
    /// Mean number of keys that a query chooses from, including its own.
    pub candidates: Tensor<1>,
    /// Number of queries that count.
    pub queries: Tensor<1>,
}

impl InfoNce {
    /// Computes loss and accuracy of each item.
    ///
    /// # Panics
    /// If the shapes don't fit together, or negatives are sampled and there isn't one draw key for each
    /// item.
    pub fn per_item(&self, tokens: ContrastiveTokens) -> ContrastiveScores {
        self.evaluate(tokens, true)
    }

    /// As [`per_item`](Self::per_item), but always in chunks, as on a device without the fused operation.
    /// It serves to compare both on one machine.
    ///
    /// # Panics
    /// As [`per_item`](Self::per_item).
    pub fn per_item_in_chunks(&self, tokens: ContrastiveTokens) -> ContrastiveScores {
        self.evaluate(tokens, false)
    }

    fn evaluate(&self, tokens: ContrastiveTokens, fused: bool) -> ContrastiveScores {
        let [batch, n_tokens, features] = tokens.queries.dims();
        tokens.check(self.negatives);
        let [hidden, valid, scored] = [tokens.hidden, tokens.valid, tokens.scored].map(on_host);
        let groups = self.negatives.groups(&Masks {
            tokens: n_tokens,
            hidden: &hidden,
            valid: &valid,
            scored: &scored,
        });

        let flat = batch * n_tokens;
        let queries = at_least_f32(tokens.queries).reshape([flat, features]);
        let keys = at_least_f32(tokens.keys).reshape([flat, features]);
        let similarities = Similarities {
            loss: self,
            n_tokens,
            with_gradient: queries.is_tracked(),
            with_key_gradient: keys.is_tracked(),
            keys: keys.clone().inner(),
            content: at_least_f32(tokens.content.inner()).flatten(0, 1),
            draw_keys: tokens.draw_keys,
        };
        let mut token_scores = TokenScores::new(queries.clone(), [batch, n_tokens]);
        if groups.is_empty() {
            return token_scores.per_item();
        }
        let device = queries.device().inner();
        let index = places(&groups, |group| &group.queries, &device);
        let queries = normalised(queries.select(0, index.clone()));
        let scores = fused.then(|| similarities.score_fused(&groups, &index, &queries, &keys));
        if let Some(scores) = scores.flatten() {
            token_scores.insert(index, queries, scores);
            return token_scores.per_item();
        }
        let mut first = 0;
        for group in groups {
            let queries = queries.clone().narrow(0, first, group.queries.len());
            first += group.queries.len();
            let (scores, gradients) = similarities.score(&group, queries.clone().inner());
            token_scores.insert(indices(&group.queries, &device), queries, scores);
            if !gradients.is_empty() {
                let index = indices(&group.keys, &device);
                let keys = normalised(keys.clone().select(0, index));
                token_scores.add_key_gradients(&keys, gradients);
            }
        }
        token_scores.per_item()
    }
}

/// The scores of queries at the places of their tokens, `[batch * tokens, 1]` each, so that they can be
/// averaged like those of all losses.
struct TokenScores {
    shape: [usize; 2],
    loss: Tensor<2>,
    correct: Tensor<2>,
    candidates: Tensor<2>,
    counted: Tensor<2>,
    /// For each item, a number with the gradient of its summed losses with respect to the keys, `[1]`.
    key_sums: Vec<(usize, Tensor<1>)>,
}

impl TokenScores {
    /// Zeros. The losses are on the queries' graph, so that a batch without queries has a gradient of 0.
    fn new(queries: Tensor<2>, shape: [usize; 2]) -> Self {
        let first = queries.narrow(1, 0, 1);
        let everything = first.clone().inner().zeros_like().equal_elem(0.0);
        let loss = first.mask_fill(everything, 0.0);
        let zeros = loss.clone().inner().zeros_like();
        Self {
            shape,
            loss,
            correct: zeros.clone(),
            candidates: zeros.clone(),
            counted: zeros,
            key_sums: Vec::new(),
        }
    }

    /// Adds gradients with respect to `keys`, which have length 1 and are on the graph.
    fn add_key_gradients(&mut self, keys: &Tensor<2>, gradients: KeyGradients) {
        for (item, gradient) in gradients {
            self.key_sums.push((item, (keys.clone() * gradient).sum()));
        }
    }

    fn insert(&mut self, index: Tensor<1, Int>, queries: Tensor<2>, scores: QueryScores) {
        let counted = scores.candidates.clone().greater_elem(1.0).float();
        let loss = match scores.gradient {
            Some(gradient) => {
                let slope = (queries * gradient).sum_dim(1);
                slope.clone() - slope.detach() + scores.loss
            }
            None => scores.loss,
        };
        insert(&mut self.loss, &index, loss);
        insert(&mut self.correct, &index, scores.correct);
        insert(&mut self.candidates, &index, scores.candidates);
        let counted = counted.cast(self.counted.dtype());
        insert(&mut self.counted, &index, counted);
    }

    fn per_item(self) -> ContrastiveScores {
        let grid = |column: Tensor<2>| column.reshape(self.shape);
        let counted = grid(self.counted);
        let mean = |column| mean_per_item(grid(column), counted.clone());
        let queries = sum_per_item(counted.clone());
        let mut loss = mean(self.loss);
        for (item, sum) in self.key_sums {
            let slope = sum / queries.clone().narrow(0, item, 1).clamp_min(1.0);
            let place = indices(&[item as i64], &loss.device().inner());
            // Its value is 0; only its gradient matters.
            let slope = slope.clone() - slope.detach();
            loss = loss.select_assign(0, place, slope, IndexingUpdateOp::Add);
        }
        ContrastiveScores {
            loss,
            accuracy: mean(self.correct),
            candidates: mean(self.candidates),
            queries,
        }
    }
}

fn insert(column: &mut Tensor<2>, index: &Tensor<1, Int>, values: Tensor<2>) {
    column.inplace(|column| column.select_assign(0, index.clone(), values, IndexingUpdateOp::Add));
}

fn on_host(mask: Tensor<2, Bool>) -> Vec<bool> {
    mask.into_data().iter::<bool>().collect()
}

impl ContrastiveTokens {
    fn check(&self, negatives: Negatives) {
        let [batch, tokens, features] = self.queries.dims();
        assert_eq!(
            self.keys.dims(),
            [batch, tokens, features],
            "keys need the shape of the queries"
        );
        assert_eq!(
            self.content.dims()[..2],
            [batch, tokens],
            "every token needs its content"
        );
        for mask in [&self.hidden, &self.valid, &self.scored] {
            assert_eq!(
                mask.dims(),
                [batch, tokens],
                "masks need one entry for each token"
            );
        }
        if negatives.sampled.is_some() {
            assert_eq!(
                self.draw_keys.len(),
                batch,
                "sampled negatives need one draw key for each of the {batch} items, got {}",
                self.draw_keys.len()
            );
        }
    }
}
