//! InfoNCE over hidden tokens, in chunks.

use crate::candidates::{Masks, Negatives};
use crate::error::{LossError, in_range};
use crate::reduction::{at_least_f32, mean_per_item, sum_per_item};
use crate::similarity::{Answers, KeyGradients, Table, indices, normalised, places};
use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor};
use serde::{Deserialize, Serialize};

/// InfoNCE of hidden tokens: each context vector has to find its own content among others'.
///
/// ```text
/// l_i = - ln [ exp(s_ii) / (exp(s_ii) + sum_{j in N_i} exp(s_ij)) ]
/// s_ij = cos(q_i, k_j) / tau
///
/// q_i  context vector of hidden token i,  k_j  content vector of token j
/// N_i  negatives of i: its candidates without i itself and without those of the same content
/// tau  temperature
/// ```
///
/// van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018,
/// section 2.3; with cosines and negatives from the same clip as in Baevski et al., "wav2vec 2.0",
/// NeurIPS 2020, section 3.2.
///
/// Domain: token vectors, no sound. An item's loss is the mean over its queries. With
/// [`Negatives::Clip`] it depends on that item alone; with [`Negatives::Batch`] the other items are
/// what it is told from.
///
/// # What counts as the same content
///
/// Two patches of silence can't be told apart, so one must not be a wrong answer for the other. Tokens
/// `i` and `j` are the same if their contents differ by at most `same_content` of their size:
///
/// ```text
/// ||c_i - c_j||^2 <= same_content^2 (||c_i||^2 + ||c_j||^2) / 2
/// ```
///
/// `c` is the raw content that a key is made of, not the key. While a network is young, or has
/// collapsed, all keys are nearly equal; by them, nothing would be left to tell apart, and collapse
/// would be the best answer to the loss. A distance is taken rather than a cosine, since a cosine calls
/// a loud and a soft patch, or two constant ones, the same.
///
/// # Memory and gradient
///
/// Similarities are computed for some queries at a time and never kept. In f32 on the CPU backend with
/// all candidates as negatives that is [`kernels::info_nce`], a tile at a time; keys on the graph cost it two
/// more products, and no memory beyond their own gradient. Everywhere else it is chunks of `chunk_bytes`,
/// as follows. Value and gradient of a chunk come out of the same softmax:
///
/// ```text
/// dl_i / dq_i = (sum_j p_ij k_j - k_i) / tau      (q, k of length 1, p the softmax of s)
/// ```
///
/// They are tied to the graph as `sum(q g) - sum(q g) + l`, where `g` is that gradient and the second
/// sum is off the graph: the value is `l`, the derivative is `g`. A second derivative would be wrong;
/// Burn has none. Queries and their gradients are `[queries, features]`, however many keys there are.
///
/// Keys that are on a graph get their gradient in the same way, item by item, at the price of a third
/// product and of `[keys, features]` values for each item with queries, which stay until the backward
/// pass; not for each chunk. With [`Negatives::Batch`] the keys are those of the whole batch: 8 items with
/// 56,000 keys of 256 features hold 440 MiB. Keys that are handed over detached, as the objective's
/// stop-gradient wants it, cost none of this.
///
/// Differs from the paper: queries are averaged per item first; candidates of the same content are left
/// out; a query without any negative is not counted at all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InfoNce {
    /// What the cosines are divided by.
    pub temperature: f64,
    /// Where negatives come from.
    pub negatives: Negatives,
    /// Relative distance up to which two contents are the same, from 0.005 to below 1.
    ///
    /// Less is lost in the rounding of f32, in which a content would differ from its own copy. How much less
    /// depends on the number of values: of constant patches, whose sums are all rounded to one side, copies
    /// were told apart below 0.0008 with 25 values, 0.0017 with 128, 0.0036 with 512 and 0.0062 with 2048.
    pub same_content: f64,
    /// Memory for a chunk of similarities, where they are not fused; the results don't depend on it.
    pub chunk_bytes: usize,
}

impl Default for InfoNce {
    fn default() -> Self {
        Self {
            temperature: 0.07,
            negatives: Negatives::Batch,
            same_content: 0.01,
            chunk_bytes: 256 << 20,
        }
    }
}

/// A batch of tokens as [`InfoNce`] needs them.
#[derive(Clone, Debug)]
pub struct ContrastiveTokens {
    /// Context vectors, `[batch, tokens, features]`. Only those of hidden tokens are read.
    pub queries: Tensor<3>,
    /// Content vectors, `[batch, tokens, features]`. Detached, they stay as they are.
    pub keys: Tensor<3>,
    /// What the keys were made of, `[batch, tokens, values]`: decides which tokens are the same.
    pub content: Tensor<3>,
    /// True where a token is hidden from the context, `[batch, tokens]`.
    pub hidden: Tensor<2, Bool>,
    /// True where a token is no padding, `[batch, tokens]`.
    pub valid: Tensor<2, Bool>,
    /// True where a hidden token is worth asking for, `[batch, tokens]`: all true, or false where a
    /// patch is silent. What isn't scored can still be a negative.
    pub scored: Tensor<2, Bool>,
    /// One number for each item, by which its negatives are drawn; a function of (seed, epoch, example)
    /// makes them independent of the batch. Only read where negatives are sampled.
    pub draw_keys: Vec<u64>,
}

/// What came of it, for each item: all are `[batch]`.
#[derive(Clone, Debug)]
pub struct ContrastiveScores {
    /// The loss; 0 for an item without queries.
    pub loss: Tensor<1>,
    /// Share of the queries whose own key is strictly nearer than every negative. Chance is about
    /// `1 / candidates`.
    pub accuracy: Tensor<1>,
    /// Mean number of keys that a query had to choose from, its own among them.
    pub candidates: Tensor<1>,
    /// Number of queries that count.
    pub queries: Tensor<1>,
}

impl InfoNce {
    /// Checks its own numbers.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] for the first number that lies outside its range.
    pub fn validate(&self) -> Result<(), LossError> {
        // Logits reach the reciprocal, and their exponentials have to stay apart in f32.
        let holds = self.temperature >= 1e-3 && self.temperature.is_finite();
        in_range(
            "temperature",
            self.temperature,
            holds,
            "finite, and 0.001 at least",
        )?;
        let holds = (0.005..1.0).contains(&self.same_content);
        in_range(
            "same_content",
            self.same_content,
            holds,
            "from 0.005 to below 1",
        )?;
        let holds = self.chunk_bytes > 0;
        in_range("chunk_bytes", self.chunk_bytes as f64, holds, "positive")?;
        if let Negatives::Clip { sampled: Some(n) } = self.negatives {
            in_range("sampled", n as f64, n > 0, "at least 1")?;
        }
        Ok(())
    }

    /// The loss of each item, and how often the right key was found.
    ///
    /// # Panics
    /// If shapes don't fit together, or negatives are sampled and there isn't one draw key for each
    /// item.
    pub fn per_item(&self, tokens: ContrastiveTokens) -> ContrastiveScores {
        self.evaluate(tokens, true)
    }

    /// As [`per_item`](Self::per_item), but always in chunks: what a device without the fused operation
    /// computes. By this, one can be held against the other on one machine.
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
        let table = Table {
            loss: self,
            n_tokens,
            with_gradient: queries.is_tracked(),
            with_key_gradient: keys.is_tracked(),
            keys: keys.clone().inner(),
            content: at_least_f32(tokens.content.inner()).flatten(0, 1),
            draw_keys: tokens.draw_keys,
        };
        let mut board = Board::new(queries.clone(), [batch, n_tokens]);
        if groups.is_empty() {
            return board.scores();
        }
        let device = queries.device().inner();
        let index = places(&groups, |group| &group.queries, &device);
        let asked = normalised(queries.select(0, index.clone()));
        let answers = fused.then(|| table.ask_fused(&groups, &index, &asked, &keys));
        if let Some(answers) = answers.flatten() {
            board.enter(index, asked, answers);
            return board.scores();
        }
        let mut first = 0;
        for group in groups {
            let asked = asked.clone().narrow(0, first, group.queries.len());
            first += group.queries.len();
            let (answers, slopes) = table.ask(&group, asked.clone().inner());
            board.enter(indices(&group.queries, &device), asked, answers);
            if !slopes.is_empty() {
                let index = indices(&group.keys, &device);
                board.tie_keys(&normalised(keys.clone().select(0, index)), slopes);
            }
        }
        board.scores()
    }
}

/// The answers at their tokens' places, `[batch * tokens, 1]` each, so that they can be averaged by the
/// rule that all losses share.
struct Board {
    shape: [usize; 2],
    loss: Tensor<2>,
    right: Tensor<2>,
    candidates: Tensor<2>,
    counted: Tensor<2>,
    /// For each item, what has the slopes of its summed losses by the keys, `[1]`.
    key_sums: Vec<(usize, Tensor<1>)>,
}

impl Board {
    /// An empty board. Its losses hang on the queries' graph, so that a batch without any query has a
    /// gradient too: 0.
    fn new(queries: Tensor<2>, shape: [usize; 2]) -> Self {
        let first = queries.narrow(1, 0, 1);
        let everything = first.clone().inner().zeros_like().equal_elem(0.0);
        let loss = first.mask_fill(everything, 0.0);
        let zeros = loss.clone().inner().zeros_like();
        Self {
            shape,
            loss,
            right: zeros.clone(),
            candidates: zeros.clone(),
            counted: zeros,
            key_sums: Vec::new(),
        }
    }

    /// Takes note of slopes by `keys`, which are of length 1 and on the graph.
    fn tie_keys(&mut self, keys: &Tensor<2>, slopes: KeyGradients) {
        for (item, slope) in slopes {
            self.key_sums.push((item, (keys.clone() * slope).sum()));
        }
    }

    fn enter(&mut self, index: Tensor<1, Int>, asked: Tensor<2>, answers: Answers) {
        let counted = answers.candidates.clone().greater_elem(1.0).float();
        let loss = match answers.gradient {
            Some(gradient) => {
                let slope = (asked * gradient).sum_dim(1);
                slope.clone() - slope.detach() + answers.loss
            }
            None => answers.loss,
        };
        enter(&mut self.loss, &index, loss);
        enter(&mut self.right, &index, answers.right);
        enter(&mut self.candidates, &index, answers.candidates);
        let counted = counted.cast(self.counted.dtype());
        enter(&mut self.counted, &index, counted);
    }

    fn scores(self) -> ContrastiveScores {
        let grid = |column: Tensor<2>| column.reshape(self.shape);
        let counted = grid(self.counted);
        let mean = |column| mean_per_item(grid(column), counted.clone());
        let queries = sum_per_item(counted.clone());
        let mut loss = mean(self.loss);
        for (item, sum) in self.key_sums {
            let slope = sum / queries.clone().narrow(0, item, 1).clamp_min(1.0);
            let place = indices(&[item as i64], &loss.device().inner());
            // Its value is 0; only its slope counts.
            let slope = slope.clone() - slope.detach();
            loss = loss.select_assign(0, place, slope, IndexingUpdateOp::Add);
        }
        ContrastiveScores {
            loss,
            accuracy: mean(self.right),
            candidates: mean(self.candidates),
            queries,
        }
    }
}

fn enter(column: &mut Tensor<2>, index: &Tensor<1, Int>, values: Tensor<2>) {
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
        if matches!(negatives, Negatives::Clip { sampled: Some(_) }) {
            assert_eq!(
                self.draw_keys.len(),
                batch,
                "sampled negatives need one draw key for each of the {batch} items, got {}",
                self.draw_keys.len()
            );
        }
    }
}
