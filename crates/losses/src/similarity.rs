//! Similarities of queries and keys, a chunk at a time: what InfoNCE is computed from.

use crate::candidates::{Group, draw};
use crate::contrastive::InfoNce;
use burn::tensor::{Bool, Device, IndexingUpdateOp, Int, Tensor, TensorData};
use kernels::{Contrast, has_info_nce, info_nce};
use std::collections::BTreeMap;

/// Everything that the queries of a batch are compared with. Nothing here is on the graph.
pub(crate) struct Table<'a> {
    pub loss: &'a InfoNce,
    /// Tokens of an item.
    pub n_tokens: usize,
    /// Whether anybody asks for the slope of the queries, and of the keys.
    pub with_gradient: bool,
    pub with_key_gradient: bool,
    /// `[batch * tokens, features]`.
    pub keys: Tensor<2>,
    /// What the keys were made of, `[batch * tokens, values]`.
    pub content: Tensor<2>,
    pub draw_keys: Vec<u64>,
}

/// What is known of some queries; each is `[queries, 1]` but for the gradient.
pub(crate) struct Answers {
    pub loss: Tensor<2>,
    /// `[queries, features]`, none if nobody asks for it, or the loss is on the graph.
    pub gradient: Option<Tensor<2>>,
    pub right: Tensor<2>,
    pub candidates: Tensor<2>,
}

/// For each item with queries in a group, the slope of the sum of its losses by the group's keys of
/// length 1, `[keys, features]`; empty if nobody asks for it.
pub(crate) type KeyGradients = BTreeMap<usize, Tensor<2>>;

/// The logit of a key that is no candidate: its exponential is 0 in every precision.
const EXCLUDED: f64 = -1e30;

/// Bytes in flight for each pair of a query and a key: logits, their masked copy and exponentials,
/// products of contents, all at most 4 wide, and three masks.
const BYTES_PER_PAIR: usize = 20;

/// The same for the slopes of a pair, which only keys on the graph need, and their transpose.
const BYTES_PER_SLOPE: usize = 8;

/// Rows shorter than this have no direction.
const SHORTEST: f64 = 1e-6;

impl Table<'_> {
    /// The first factor of the test for equal content, of some tokens: row `i` of it times row `j` of the other is not
    /// negative exactly if the contents are the same.
    ///
    /// ```text
    /// [c_i, -h |c_i|^2, -h] . [c_j, 1, |c_j|^2] = c_i . c_j - h (|c_i|^2 + |c_j|^2)
    /// h = (1 - same^2 / 2) / 2
    /// ```
    fn asking_side(&self, index: Tensor<1, Int>) -> Tensor<2> {
        let same = self.loss.same_content;
        let half = (1.0 - same * same / 2.0) / 2.0;
        let content = self.content.clone().select(0, index);
        let size = content.clone().square().sum_dim(1);
        let halves = size.full_like(-half);
        Tensor::cat(vec![content, size * -half, halves], 1)
    }

    /// The second factor, of [`asking_side`](Self::asking_side).
    fn asked_side(&self, index: Tensor<1, Int>) -> Tensor<2> {
        let content = self.content.clone().select(0, index);
        let size = content.clone().square().sum_dim(1);
        let ones = size.ones_like();
        Tensor::cat(vec![content, ones, size], 1)
    }

    /// Asks the queries of all groups through the fused operation, if there is one for them. The losses are on
    /// the graph then. `asked` and `keys` are, too; the former are all queries, `[queries, features]`, of length 1, which stand
    /// at `index`.
    pub(crate) fn ask_fused(
        &self,
        groups: &[Group],
        index: &Tensor<1, Int>,
        asked: &Tensor<2>,
        keys: &Tensor<2>,
    ) -> Option<Answers> {
        let sampled = groups.iter().any(|group| group.sampled.is_some());
        let tensors = [asked, keys, &self.content];
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
            queries: asked.clone(),
            keys: normalised(keys.clone().select(0, candidates.clone())),
            groups: groups.iter().map(Group::sizes).collect(),
            own: own.collect(),
            exclusion: [self.asking_side(index.clone()), self.asked_side(candidates)],
            temperature: self.loss.temperature,
        });
        Some(Answers {
            loss: scores.loss,
            gradient: None,
            right: scores.right,
            candidates: scores.candidates,
        })
    }

    /// Asks the queries of a group, some at a time. `asked` is `[queries, features]`, of length 1.
    ///
    /// Chunks add to one table of key gradients as they come: a table of each would take as much memory
    /// as the keys, times the number of chunks.
    pub(crate) fn ask(&self, group: &Group, asked: Tensor<2>) -> (Answers, KeyGradients) {
        let index = indices(&group.keys, &asked.device());
        let keys = normalised(self.keys.clone().select(0, index.clone()));
        let content = self.asked_side(index);
        let wide = asked.dtype().size() / 4;
        let slope_bytes = usize::from(self.with_key_gradient) * BYTES_PER_SLOPE;
        let bytes = group.keys.len() * (BYTES_PER_PAIR + slope_bytes) * wide;
        let chunk = (self.loss.chunk_bytes / bytes).max(1);
        let mut key_gradients = KeyGradients::new();
        let chunks = (0..group.queries.len()).step_by(chunk).map(|start| {
            let end = (start + chunk).min(group.queries.len());
            let asked = asked.clone().narrow(0, start, end - start);
            let tables = [&keys, &content];
            self.ask_chunk(group, start..end, asked, tables, &mut key_gradients)
        });
        let answers = Answers::cat(chunks.collect());
        (answers, key_gradients)
    }

    fn ask_chunk(
        &self,
        group: &Group,
        range: std::ops::Range<usize>,
        asked: Tensor<2>,
        [keys, content]: [&Tensor<2>; 2],
        key_gradients: &mut KeyGradients,
    ) -> Answers {
        let device = asked.device();
        let temperature = self.loss.temperature;
        let own = indices(&group.own[range.clone()], &device);
        let own_keys = keys.clone().select(0, own.clone());
        let own = own.reshape([range.len(), 1]);

        let excluded = self.excluded(group, range.clone(), content);
        let own_excluded = excluded.clone().gather(1, own.clone());
        let n_excluded = excluded.clone().float().sum_dim(1).cast(asked.dtype());
        let others = n_excluded.neg() + (group.keys.len() as f64 - 1.0);
        let negatives = others + own_excluded.float().cast(asked.dtype());

        let logits = (asked.clone() / temperature).matmul(keys.clone().transpose());
        let positive = logits.clone().gather(1, own.clone());
        let away = positive.full_like(EXCLUDED);
        let logits = logits.mask_fill(excluded, EXCLUDED).scatter(
            1,
            own.clone(),
            away,
            IndexingUpdateOp::Add,
        );
        let nearest = logits.clone().max_dim(1);
        let right = positive.clone().greater(nearest.clone());

        // Shifted by the largest, so that no exponential overflows and one of them is 1.
        let largest = positive.clone().max_pair(nearest);
        let terms = (logits - largest.clone()).exp();
        let positive_term = (positive.clone() - largest.clone()).exp();
        let sum = terms.clone().sum_dim(1) + positive_term.clone();
        let own_slope = positive_term / sum.clone() - 1.0;
        if self.with_key_gradient {
            let slopes = (terms.clone() / sum.clone()).scatter(
                1,
                own,
                own_slope.clone(),
                IndexingUpdateOp::Add,
            );
            let queries = &group.queries[range];
            self.add_by_item(queries, slopes / temperature, &asked, key_gradients);
        }
        let gradient = self.with_gradient.then(|| {
            let expected = terms.matmul(keys.clone()) / sum.clone();
            (expected + own_keys * own_slope) / temperature
        });
        Answers {
            loss: largest + sum.log() - positive.clone(),
            gradient,
            right: right.float().cast(positive.dtype()),
            candidates: negatives + 1.0,
        }
    }

    /// Adds the products of slopes `[queries, keys]` and queries `[queries, features]`, item by item.
    fn add_by_item(
        &self,
        queries: &[i64],
        slopes: Tensor<2>,
        asked: &Tensor<2>,
        key_gradients: &mut KeyGradients,
    ) {
        let item = |query: &i64| *query as usize / self.n_tokens;
        let mut start = 0;
        for run in queries.chunk_by(|a, b| item(a) == item(b)) {
            let [slopes, asked] =
                [&slopes, asked].map(|rows| rows.clone().narrow(0, start, run.len()));
            start += run.len();
            let slope = slopes.transpose().matmul(asked);
            let sum = match key_gradients.remove(&item(&run[0])) {
                Some(sum) => sum + slope,
                None => slope,
            };
            key_gradients.insert(item(&run[0]), sum);
        }
    }

    /// True where a key has the query's content, or wasn't drawn: `[queries, keys]`.
    fn excluded(
        &self,
        group: &Group,
        range: std::ops::Range<usize>,
        content: &Tensor<2>,
    ) -> Tensor<2, Bool> {
        let device = content.device();
        let queries = indices(&group.queries[range.clone()], &device);
        let same = self
            .asking_side(queries)
            .matmul(content.clone().transpose())
            .greater_equal_elem(0.0);
        let Some(n) = group.sampled else {
            return same;
        };
        let n_keys = group.keys.len();
        let mut left_out = vec![true; range.len() * n_keys];
        for (row, query) in left_out.chunks_exact_mut(n_keys).zip(range.clone()) {
            let token = group.queries[query] as usize;
            let draw_key = self.draw_keys[token / self.n_tokens];
            let key = [draw_key, (token % self.n_tokens) as u64];
            for place in draw(n, n_keys, group.own[query] as usize, key) {
                row[place] = false;
            }
        }
        let left_out = TensorData::new(left_out, [range.len(), n_keys]);
        same.bool_or(Tensor::from_data(left_out, &device))
    }
}

impl Answers {
    fn cat(chunks: Vec<Answers>) -> Answers {
        let column = |of: fn(&Answers) -> &Tensor<2>| {
            Tensor::cat(chunks.iter().map(|chunk| of(chunk).clone()).collect(), 0)
        };
        let gradients: Option<Vec<_>> = chunks.iter().map(|chunk| chunk.gradient.clone()).collect();
        Answers {
            loss: column(|chunk| &chunk.loss),
            right: column(|chunk| &chunk.right),
            candidates: column(|chunk| &chunk.candidates),
            gradient: gradients.map(|gradients| Tensor::cat(gradients, 0)),
        }
    }
}

/// Each row with length 1; one shorter than [`SHORTEST`] becomes 0, with a gradient of 0.
pub(crate) fn normalised(rows: Tensor<2>) -> Tensor<2> {
    kernels::unit_rows(rows, SHORTEST)
}

/// The tokens of all groups, one group after the other.
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
