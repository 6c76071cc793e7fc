//! Attention by Burn's operations, for every backend, a tile of queries at a time.

use crate::autodiff::record;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, ExtensionType, TensorMetadata, backend_extension};
use burn::tensor::{DType, FloatDType, Shape, Slice};
use std::ops::Range;

/// How many scores exist at once, over all heads of a batch: 64 MiB.
const SCORES: usize = 1 << 24;
/// A score below all others, but finite, so that a row of them has no NaN.
const LOWEST: f32 = -1e30;

/// Attention with its own backward pass, so that memory is linear in training too.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
)]
pub(crate) trait AttentionOps: Backend {
    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        #[extension_type] hidden_keys: HiddenKeys<Self>,
    ) -> FloatTensor<Self> {
        let operands = Operands {
            query,
            key,
            value,
            hidden_keys: hidden_keys.into_option(),
        };
        forward::<Self>(&operands).0
    }
}

#[cfg(feature = "flex")]
impl AttentionOps for burn::backend::Flex {}

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl AttentionOps for burn::backend::Cube {}

impl<B: Backend, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        hidden_keys: HiddenKeys<Self>,
    ) -> FloatTensor<Self> {
        let nodes = [query.node(), key.node(), value.node()];
        let operands = Operands::<B> {
            query: query.into_primitive(),
            key: key.into_primitive(),
            value: value.into_primitive(),
            hidden_keys: hidden_keys.into_option(),
        };
        let (output, log_sum) = forward(&operands);
        let kept = output.clone();
        record::<B, _, 3>(nodes, output, move |gradient, register| {
            let gradients = backward(operands, kept, log_sum, gradient);
            for (operand, gradient) in gradients.into_iter().enumerate() {
                register(operand, gradient);
            }
        })
    }
}

/// Keys that no query attends to: a tensor `[batch, keys]`, true = hidden.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum HiddenKeys<B: Backend> {
    None,
    Some(BoolTensor<B>),
}

impl<B: Backend> From<Option<BoolTensor<B>>> for HiddenKeys<B> {
    fn from(keys: Option<BoolTensor<B>>) -> Self {
        keys.map_or(Self::None, Self::Some)
    }
}

impl<B: Backend> HiddenKeys<B> {
    fn into_option(self) -> Option<BoolTensor<B>> {
        match self {
            Self::None => None,
            Self::Some(keys) => Some(keys),
        }
    }
}

/// The operands, in the shapes of [`attention`](crate::attention()).
pub(super) struct Operands<B: Backend> {
    pub(super) query: FloatTensor<B>,
    pub(super) key: FloatTensor<B>,
    pub(super) value: FloatTensor<B>,
    pub(super) hidden_keys: Option<BoolTensor<B>>,
}

/// The output, and the logarithm of each query's sum of exponentials, `[batch, heads, queries, 1]`.
pub(super) fn forward<B: Backend>(operands: &Operands<B>) -> (FloatTensor<B>, FloatTensor<B>) {
    let dtype = float_dtype(operands.query.dtype());
    let (outputs, log_sums) = operands
        .tiles()
        .map(|tile| {
            let scores = operands.scores(rows::<B>(&operands.query, &tile));
            let max = B::float_max_dim(scores.clone(), 3);
            let weights = B::float_exp(B::float_sub(scores, max.clone()));
            let weights = operands.fill_hidden(weights, 0.0);
            let sum = B::float_sum_dim(weights.clone(), 3);
            let log_sum = B::float_add(B::float_log(sum.clone()), max);
            // Without a visible key all weights are 0, and stay 0. Any other sum is at least 1.
            let weights = B::float_div(weights, B::float_clamp_min(sum, 0.5_f32.into()));
            let weights = B::float_cast(weights, dtype);
            (B::float_matmul(weights, operands.value.clone()), log_sum)
        })
        .unzip();
    (join::<B>(outputs), join::<B>(log_sums))
}

/// The gradients of query, key and value, from the results of [`forward`] and the gradient of its output. The
/// weights are computed again.
fn backward<B: Backend>(
    operands: Operands<B>,
    output: FloatTensor<B>,
    log_sum: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> [FloatTensor<B>; 3] {
    let dtype = float_dtype(operands.query.dtype());
    let wide = |tensor| B::float_cast(tensor, FloatDType::F32);
    let narrow = |tensor| B::float_cast(tensor, dtype);
    let scale = operands.scale();
    let add = |sum: Option<FloatTensor<B>>, term| match sum {
        Some(sum) => Some(B::float_add(sum, term)),
        None => Some(term),
    };
    let (mut query_gradients, mut key_gradient, mut value_gradient) = (Vec::new(), None, None);
    for tile in operands.tiles() {
        let query = rows::<B>(&operands.query, &tile);
        let gradient = rows::<B>(&gradient, &tile);
        let scores = operands.scores(query.clone());
        let weights = B::float_exp(B::float_sub(scores, rows::<B>(&log_sum, &tile)));
        let weights = operands.fill_hidden(weights, 0.0);
        let transposed = B::float_transpose(narrow(weights.clone()));
        value_gradient = add(
            value_gradient,
            B::float_matmul(transposed, gradient.clone()),
        );

        let output = wide(rows::<B>(&output, &tile));
        let delta = B::float_sum_dim(B::float_mul(wide(gradient.clone()), output), 3);
        let value = B::float_transpose(operands.value.clone());
        let dots = wide(B::float_matmul(gradient, value));
        let scores = B::float_mul(weights, B::float_sub(dots, delta));
        let scores = narrow(B::float_mul_scalar(scores, scale.into()));
        query_gradients.push(B::float_matmul(scores.clone(), operands.key.clone()));
        let transposed = B::float_transpose(scores);
        key_gradient = add(key_gradient, B::float_matmul(transposed, query));
    }
    [
        join::<B>(query_gradients),
        key_gradient.expect("at least one tile"),
        value_gradient.expect("at least one tile"),
    ]
}

impl<B: Backend> Operands<B> {
    fn scale(&self) -> f32 {
        1.0 / (self.query.shape()[3] as f32).sqrt()
    }

    /// Ranges of queries, at least one.
    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<B> {
        let [query, key] = [self.query.shape(), self.key.shape()];
        let queries = query[2];
        let size = (SCORES / (query[0] * query[1] * key[2]).max(1)).clamp(1, queries.max(1));
        (0..queries.max(1))
            .step_by(size)
            .map(move |start| start..(start + size).min(queries))
    }

    /// In f32.
    fn scores(&self, query: FloatTensor<B>) -> FloatTensor<B> {
        let query = B::float_mul_scalar(query, self.scale().into());
        let scores = B::float_matmul(query, B::float_transpose(self.key.clone()));
        self.fill_hidden(B::float_cast(scores, FloatDType::F32), LOWEST)
    }

    fn fill_hidden(&self, scores: FloatTensor<B>, value: f32) -> FloatTensor<B> {
        let Some(hidden_keys) = self.hidden_keys.clone() else {
            return scores;
        };
        let shape = scores.shape();
        let hidden = B::bool_reshape(hidden_keys, Shape::from([shape[0], 1, 1, shape[3]]));
        B::float_mask_fill(scores, B::bool_expand(hidden, shape), value.into())
    }
}

fn rows<B: Backend>(tensor: &FloatTensor<B>, range: &Range<usize>) -> FloatTensor<B> {
    if *range == (0..tensor.shape()[2]) {
        return tensor.clone();
    }
    let shape = tensor.shape();
    let slices = [0..shape[0], 0..shape[1], range.clone(), 0..shape[3]].map(Slice::from);
    B::float_slice(tensor.clone(), &slices)
}

fn join<B: Backend>(mut tiles: Vec<FloatTensor<B>>) -> FloatTensor<B> {
    match tiles.len() {
        1 => tiles.remove(0),
        _ => B::float_cat(tiles, 2),
    }
}

fn float_dtype(dtype: DType) -> FloatDType {
    dtype.into()
}
