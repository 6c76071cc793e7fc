//! Similarities of queries and keys, computed in chunks: the input of InfoNCE.

use crate::candidates::{Group, draw};
use crate::info_nce::InfoNce;
use burn::tensor::{Bool, Device, IndexingUpdateOp, Int, Tensor, TensorData};
use kernels::{Contrast, has_info_nce, info_nce};
use std::collections::BTreeMap;
use std::ops::Range;

/// The batch that similarities are computed from. None of its tensors is on the graph.
pub(crate) struct Similarities<'a> {
    pub loss: &'a InfoNce,
    /// Tokens of an item.
    pub n_tokens: usize,
    /// Whether gradients with respect to the queries are needed.
    pub with_gradient: bool,
    /// Whether gradients with respect to the keys are needed.
    pub with_key_gradient: bool,
    /// `[batch * tokens, features]`.
    pub keys: Tensor<2>,
    /// The content that the keys were computed from, `[batch * tokens, values]`.
    pub content: Tensor<2>,
    pub draw_keys: Vec<u64>,
}

/// Some queries of a group, to be compared with all keys of the group.
struct SimilarityChunk<'a> {
    batch: &'a Similarities<'a>,
    group: &'a Group,
    /// The queries' places in the group.
    range: Range<usize>,
    /// `[queries, features]`, of length 1.
    queries: Tensor<2>,
    /// `[keys, features]`, of length 1.
    keys: &'a Tensor<2>,
    /// [`Similarities::key_factor`] of the keys.
    key_factor: &'a Tensor<2>,
}

/// Scores of some queries; each tensor is `[queries, 1]` except the gradient.
pub(crate) struct QueryScores {
    pub loss: Tensor<2>,
    /// With respect to the queries, `[queries, features]`. `None` if it is not needed, or if `loss` is on
    /// the graph.
    pub gradient: Option<Tensor<2>>,
    /// 1 where the query's own key is the nearest, else 0.
    pub correct: Tensor<2>,
    /// Number of keys to choose from.
    pub candidates: Tensor<2>,
}

/// For each item with queries in a group, the gradient of the sum of its losses with respect to the
/// group's keys of length 1, `[keys, features]`; empty if it is not needed.
pub(crate) type KeyGradients = BTreeMap<usize, Tensor<2>>;

/// The logit of a key that is not a candidate: its exponential is 0 in every precision.
const EXCLUDED: f64 = -1e30;

/// Bytes in use for each pair of a query and a key: logits, their masked copy and exponentials,
/// products of contents, all at most 4 wide, and three masks.
const BYTES_PER_PAIR: usize = 20;

/// Additional bytes per pair for the gradients of keys on the graph, and their transpose.
const BYTES_PER_SLOPE: usize = 8;

/// Rows shorter than this have no direction.
const SHORTEST: f64 = 1e-6;

impl Similarities<'_> {
    /// The queries' factor in the test for equal content: row `i` of it times row `j` of
    /// [`key_factor`](Self::key_factor) is not negative exactly if the contents are the same.
    ///
    /// ```text
    /// [c_i, -h |c_i|^2, -h] . [c_j, 1, |c_j|^2] = c_i . c_j - h (|c_i|^2 + |c_j|^2)
    /// h = (1 - same^2 / 2) / 2
    /// ```
    fn query_factor(&self, index: Tensor<1, Int>) -> Tensor<2> {
        let same = self.loss.same_content;
        let half = (1.0 - same * same / 2.0) / 2.0;
        let content = self.content.clone().select(0, index);
        let size = content.clone().square().sum_dim(1);
        let halves = size.full_like(-half);
        Tensor::cat(vec![content, size * -half, halves], 1)
    }

    /// The keys' factor, see [`query_factor`](Self::query_factor).
    fn key_factor(&self, index: Tensor<1, Int>) -> Tensor<2> {
        let content = self.content.clone().select(0, index);
        let size = content.clone().square().sum_dim(1);
        let ones = size.ones_like();
        Tensor::cat(vec![content, ones, size], 1)
    }

    /// Scores the queries of all groups with the fused operation, or returns `None` if it doesn't support
    /// them. The losses are on the graph, like `queries` and `keys`.
    ///
    /// # Shapes
    /// - index: the tokens of all queries
    /// - queries: `[queries, features]`, of length 1
    /// - keys: `[batch * tokens, features]`
    pub(crate) fn score_fused(
        &self,
        groups: &[Group],
        index: &Tensor<1, Int>,
        queries: &Tensor<2>,
        keys: &Tensor<2>,
    ) -> Option<QueryScores> {
        let sampled = groups.iter().any(|group| group.sampled.is_some());
        let tensors = [queries, keys, &self.content];
        if sampled || !tensors.into_iter().all(has_info_nce) {
            return None;
        }
        let candidates = places(groups, |group| &group.keys, &self.keys.device());
        let firsts = groups.iter().scan(0, |first, group| {
            let start = *first;
            *first += group.keys.len();
            Some((start, group))
        });
        let own = firsts
            .flat_map(|(first, group)| group.own.iter().map(move |&own| first + own as usize));
        let scores = info_nce(Contrast {
            queries: queries.clone(),
            keys: normalised(keys.clone().select(0, candidates.clone())),
            groups: groups.iter().map(Group::sizes).collect(),
            own: own.collect(),
            exclusion: [
                self.query_factor(index.clone()),
                self.key_factor(candidates),
            ],
            temperature: self.loss.temperature,
        });
        Some(QueryScores {
            loss: scores.loss,
            gradient: None,
            correct: scores.right,
            candidates: scores.candidates,
        })
    }

    /// Scores the queries of a group in chunks.
    ///
    /// All chunks add to the same key gradients: gradients of each chunk would take as much memory as the
    /// keys, times the number of chunks.
    ///
    /// # Shapes
    /// - queries: `[queries, features]`, of length 1
    pub(crate) fn score(&self, group: &Group, queries: Tensor<2>) -> (QueryScores, KeyGradients) {
        let index = indices(&group.keys, &queries.device());
        let keys = normalised(self.keys.clone().select(0, index.clone()));
        let key_factor = self.key_factor(index);
        let wide = queries.dtype().size() / 4;
        let slope_bytes = usize::from(self.with_key_gradient) * BYTES_PER_SLOPE;
        let bytes = group.keys.len() * (BYTES_PER_PAIR + slope_bytes) * wide;
        let size = (self.loss.chunk_bytes / bytes).max(1);
        let mut key_gradients = KeyGradients::new();
        let chunks = (0..group.queries.len()).step_by(size).map(|start| {
            let end = (start + size).min(group.queries.len());
            let chunk = SimilarityChunk {
                batch: self,
                group,
                range: start..end,
                queries: queries.clone().narrow(0, start, end - start),
                keys: &keys,
                key_factor: &key_factor,
            };
            chunk.score(&mut key_gradients)
        });
        let scores = QueryScores::cat(chunks.collect());
        (scores, key_gradients)
    }
}

impl SimilarityChunk<'_> {
    fn score(&self, key_gradients: &mut KeyGradients) -> QueryScores {
        let (queries, keys) = (&self.queries, self.keys);
        let temperature = self.batch.loss.temperature;
        let own = indices(&self.group.own[self.range.clone()], &queries.device());
        let own_keys = keys.clone().select(0, own.clone());
        let own = own.reshape([self.range.len(), 1]);

        let excluded = self.excluded();
        let own_excluded = excluded.clone().gather(1, own.clone());
        let n_excluded = excluded.clone().float().sum_dim(1).cast(queries.dtype());
        let others = n_excluded.neg() + (self.group.keys.len() as f64 - 1.0);
        let negatives = others + own_excluded.float().cast(queries.dtype());

        let logits = (queries.clone() / temperature).matmul(keys.clone().transpose());
        let positive = logits.clone().gather(1, own.clone());
        let away = positive.full_like(EXCLUDED);
        let logits = logits.mask_fill(excluded, EXCLUDED).scatter(
            1,
            own.clone(),
            away,
            IndexingUpdateOp::Add,
        );
        let nearest = logits.clone().max_dim(1);
        let correct = positive.clone().greater(nearest.clone());

        // Shifted by the largest logit: no exponential overflows, and one of them is 1.
        let largest = positive.clone().max_pair(nearest);
        let terms = (logits - largest.clone()).exp();
        let positive_term = (positive.clone() - largest.clone()).exp();
        let sum = terms.clone().sum_dim(1) + positive_term.clone();
        let own_slope = positive_term / sum.clone() - 1.0;
        if self.batch.with_key_gradient {
            let slopes = (terms.clone() / sum.clone()).scatter(
                1,
                own,
                own_slope.clone(),
                IndexingUpdateOp::Add,
            );
            self.add_key_gradients(slopes / temperature, key_gradients);
        }
        let gradient = self.batch.with_gradient.then(|| {
            let expected = terms.matmul(keys.clone()) / sum.clone();
            (expected + own_keys * own_slope) / temperature
        });
        QueryScores {
            loss: largest + sum.log() - positive.clone(),
            gradient,
            correct: correct.float().cast(positive.dtype()),
            candidates: negatives + 1.0,
        }
    }

    /// Adds the products of `slopes`, `[queries, keys]`, with the queries, item by item.
    fn add_key_gradients(&self, slopes: Tensor<2>, key_gradients: &mut KeyGradients) {
        let item = |query: &i64| *query as usize / self.batch.n_tokens;
        let mut start = 0;
        let tokens = &self.group.queries[self.range.clone()];
        for run in tokens.chunk_by(|a, b| item(a) == item(b)) {
            let [slopes, queries] =
                [&slopes, &self.queries].map(|rows| rows.clone().narrow(0, start, run.len()));
            start += run.len();
            let slope = slopes.transpose().matmul(queries);
            let sum = match key_gradients.remove(&item(&run[0])) {
                Some(sum) => sum + slope,
                None => slope,
            };
            key_gradients.insert(item(&run[0]), sum);
        }
    }

    /// True where a key has the query's content or was not drawn: `[queries, keys]`.
    fn excluded(&self) -> Tensor<2, Bool> {
        let device = self.key_factor.device();
        let tokens = &self.group.queries[self.range.clone()];
        let same = self
            .batch
            .query_factor(indices(tokens, &device))
            .matmul(self.key_factor.clone().transpose())
            .greater_equal_elem(0.0);
        let Some(n) = self.group.sampled else {
            return same;
        };
        let n_keys = self.group.keys.len();
        let mut left_out = vec![true; self.range.len() * n_keys];
        for (row, query) in left_out.chunks_exact_mut(n_keys).zip(self.range.clone()) {
            let token = self.group.queries[query] as usize;
            let draw_key = self.batch.draw_keys[token / self.batch.n_tokens];
            let key = [draw_key, (token % self.batch.n_tokens) as u64];
            for place in draw(n, n_keys, self.group.own[query] as usize, key) {
                row[place] = false;
            }
        }
        let left_out = TensorData::new(left_out, [self.range.len(), n_keys]);
        same.bool_or(Tensor::from_data(left_out, &device))
    }
}

impl QueryScores {
    fn cat(chunks: Vec<QueryScores>) -> QueryScores {
        let column = |of: fn(&QueryScores) -> &Tensor<2>| {
            Tensor::cat(chunks.iter().map(|chunk| of(chunk).clone()).collect(), 0)
        };
        let gradients: Option<Vec<_>> = chunks.iter().map(|chunk| chunk.gradient.clone()).collect();
        QueryScores {
            loss: column(|chunk| &chunk.loss),
            correct: column(|chunk| &chunk.correct),
            candidates: column(|chunk| &chunk.candidates),
            gradient: gradients.map(|gradients| Tensor::cat(gradients, 0)),
        }
    }
}

/// Scales each row to length 1. A row shorter than [`SHORTEST`] becomes 0, with a gradient of 0.
pub(crate) fn normalised(rows: Tensor<2>) -> Tensor<2> {
    kernels::unit_rows(rows, SHORTEST)
}

/// The tokens of all groups, one group after another.
pub(crate) fn places(
    groups: &[Group],
    of: fn(&Group) -> &Vec<i64>,
    device: &Device,
) -> Tensor<1, Int> {
    let places: Vec<i64> = groups.iter().flat_map(of).copied().collect();
    indices(&places, device)
}

pub(crate) fn indices(places: &[i64], device: &Device) -> Tensor<1, Int> {
    Tensor::from_data(TensorData::new(places.to_vec(), [places.len()]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_direction_is_zero_and_has_no_gradient() {
        let device = Device::flex().autodiff();
        let rows = [
            [3.0, 4.0, 0.0],
            [1e-8, 0.0, -1e-8],
            [0.0; 3],
            [0.0, 1e-5, 0.0],
        ];
        let rows = Tensor::<2>::from_data(rows, &device).require_grad();
        let unit = normalised(rows.clone());
        let gradient = rows.grad(&unit.clone().sum().backward()).unwrap();
        let [unit, gradient] = [unit, gradient].map(|x| x.into_data().try_to_vec::<f32>().unwrap());
        let expected = [0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        for (got, expected) in unit.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-6, "{unit:?}");
        }
        assert_eq!(gradient[3..9], [0.0; 6]);
        assert!(gradient[0] > 0.0 && gradient[9] > 0.0, "{gradient:?}");
    }
}
