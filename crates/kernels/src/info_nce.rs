//! InfoNCE: the contrastive loss of queries and keys.

#[cfg(feature = "flex")]
mod backward;
#[cfg(feature = "flex")]
mod columns;
#[cfg(feature = "flex")]
mod flex;
#[cfg(feature = "flex")]
mod forward;
#[cfg(feature = "flex")]
mod tile;

#[cfg(feature = "flex")]
use crate::cpu::backend::is_fused;
use burn::tensor::Tensor;
use std::ops::Range;

/// Queries, and the keys among which each query has its own.
#[derive(Clone, Debug)]
pub struct Contrast {
    /// `[queries, features]`.
    pub queries: Tensor<2>,
    /// `[keys, features]`.
    pub keys: Tensor<2>,
    /// The groups of queries and keys. Together they are all queries and all keys, in their order.
    pub groups: Vec<ContrastGroup>,
    /// The own key of each query: a row of `keys`, of the query's group.
    pub own: Vec<usize>,
    /// `[queries, values]` and `[keys, values]`. If row `i` of the first times row `j` of the second isn't below 0,
    /// key `j` is excluded from the negatives of query `i`. The own key always is. No gradient flows through it.
    pub exclusion: [Tensor<2>; 2],
    /// The divisor of the products of queries and keys: above 0.
    pub temperature: f64,
}

/// Queries with the same candidates: those of one clip, or of a whole batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContrastGroup {
    /// Number of queries, the rows after those of the previous groups.
    pub queries: usize,
    /// Number of keys, the rows after those of the previous groups.
    pub keys: usize,
}

/// The results of each query, all `[queries, 1]`.
#[derive(Clone, Debug)]
pub struct ContrastScores {
    /// The cross-entropy, with its gradient; 0 for a query without negatives.
    pub loss: Tensor<2>,
    /// 1 where a query's own key is strictly nearer than every negative, else 0.
    pub right: Tensor<2>,
    /// Number of candidates of a query, including its own key.
    pub candidates: Tensor<2>,
}

/// InfoNCE: the cross-entropy of each query's own key among the keys of its group that are not excluded.
///
/// ```text
/// l_i = ln [ 1 + sum_{j in N_i} exp(s_ij - s_i,own(i)) ]        s_ij = q_i · k_j / tau
///
/// q, k  queries and keys,  tau  temperature
/// N_i   negatives of i: keys j of its group, other than own(i), with a_i · b_j < 0
/// a, b  the two sides of `exclusion`
/// ```
///
/// van den Oord, Li and Vinyals 2018, section 2.3. The products of all queries and keys never exist at once, in
/// forward or backward: as in flash attention (Dao et al. 2022) the softmax is renormalised with each tile of
/// keys. The forward pass computes the gradient of the queries, with the same products. The gradient of the keys,
/// if they are tracked, computes the products again.
///
/// There is only a fused version. A caller needs another implementation where [`has_info_nce`] returns false.
///
/// # Panics
/// If the shapes don't fit together or have no columns, the groups aren't all queries and keys, a query's own key
/// isn't in its group, the temperature is not a finite number above 0, or [`has_info_nce`] returns false.
///
/// # Example
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use kernels::{Contrast, ContrastGroup, has_info_nce, info_nce};
///
/// let device = Device::flex();
/// let queries = Tensor::<2>::from_data([[1.0, 0.0], [0.0, 0.0]], &device);
/// assert!(has_info_nce(&queries));
/// let scores = info_nce(Contrast {
///     queries,
///     keys: Tensor::from_data([[3.0, 0.0], [0.0, 1.0], [0.0, 2.0]], &device),
///     groups: vec![ContrastGroup { queries: 2, keys: 3 }],
///     own: vec![0, 1],
///     // The last key is no negative of the first query.
///     exclusion: [
///         Tensor::from_data([[1.0], [-1.0]], &device),
///         Tensor::from_data([[-1.0], [-1.0], [1.0]], &device),
///     ],
///     temperature: 1.0,
/// });
/// let numbers = |column: Tensor<2>| column.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(numbers(scores.candidates), [2.0, 2.0]);
/// // The second query is equally near to all keys, which is no hit.
/// assert_eq!(numbers(scores.right), [1.0, 0.0]);
/// let expected = [(-3.0_f32).exp().ln_1p(), 2.0_f32.ln()];
/// for (loss, expected) in numbers(scores.loss).into_iter().zip(expected) {
///     assert!((loss - expected).abs() < 1e-6);
/// }
/// # }
/// ```
pub fn info_nce(contrast: Contrast) -> ContrastScores {
    contrast.check();
    #[cfg(feature = "flex")]
    {
        flex::info_nce(contrast)
    }
    #[cfg(not(feature = "flex"))]
    unreachable!("nothing is fused without the feature")
}

/// Whether [`info_nce`] supports these queries: f32 on the CPU backend, with the feature `flex`.
pub fn has_info_nce(queries: &Tensor<2>) -> bool {
    #[cfg(feature = "flex")]
    return is_fused(queries);
    #[cfg(not(feature = "flex"))]
    {
        let _ = queries;
        false
    }
}

impl Contrast {
    fn check(&self) {
        let [queries, features] = self.queries.dims();
        let [keys, _] = self.keys.dims();
        let [query_side, key_side] = &self.exclusion;
        for (name, tensor) in [
            ("queries", &self.queries),
            ("keys", &self.keys),
            ("exclusion[0]", query_side),
            ("exclusion[1]", key_side),
        ] {
            assert!(
                has_info_nce(tensor),
                "there is no fused InfoNCE of {name} in {:?} on this backend: check `has_info_nce` first",
                tensor.dtype()
            );
        }
        assert!(
            self.temperature.is_finite() && self.temperature > 0.0,
            "the temperature must be a finite number above 0, got {}",
            self.temperature
        );
        let values = query_side.dims()[1];
        assert!(
            features > 0 && values > 0,
            "there is nothing to multiply: {features} features, and {values} values of `exclusion`"
        );
        for (name, dims, expected) in [
            ("keys", self.keys.dims(), [keys, features]),
            ("exclusion[0]", query_side.dims(), [queries, values]),
            ("exclusion[1]", key_side.dims(), [keys, values]),
        ] {
            assert_eq!(expected, dims, "the shape of {name} must be as expected");
        }
        assert_eq!(
            self.own.len(),
            queries,
            "each of the {queries} queries needs its own key, got {}",
            self.own.len()
        );
        let sum = |of: fn(&ContrastGroup) -> usize| self.groups.iter().map(of).sum::<usize>();
        let got = [sum(|group| group.queries), sum(|group| group.keys)];
        assert_eq!(
            [queries, keys],
            got,
            "the groups must be all queries and keys together"
        );
        for [queries, keys] in ranges(&self.groups) {
            if let Some(own) = self.own[queries].iter().find(|own| !keys.contains(own)) {
                panic!("own keys must be among their group's keys {keys:?}, got {own}");
            }
        }
    }
}

/// The rows of each group's queries and keys.
fn ranges(groups: &[ContrastGroup]) -> impl Iterator<Item = [Range<usize>; 2]> {
    groups.iter().scan([0; 2], |start, group| {
        let ranges = [
            start[0]..start[0] + group.queries,
            start[1]..start[1] + group.keys,
        ];
        *start = [ranges[0].end, ranges[1].end];
        Some(ranges)
    })
}
