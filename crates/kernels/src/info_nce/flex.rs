//! InfoNCE on the CPU backend.

use super::backward::keys_backward;
use super::forward::{QueryScore, forward};
use super::tile::Operands;
use super::{Contrast, ContrastGroup, ContrastScores};
use crate::cpu::backend::{primitive, shape, tensor, values};
use crate::cpu::graph::Graph;
use crate::cpu::matrix::Matrix;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Tensor;

pub(super) fn info_nce(contrast: Contrast) -> ContrastScores {
    let Contrast { queries, keys, .. } = contrast;
    let [queries_are_tracked, keys_are_tracked] = [queries.is_tracked(), keys.is_tracked()];
    let (graph, [queries, keys]) = Graph::enter([queries, keys].map(Tensor::into_dispatch));
    let [query_side, key_side] = contrast.exclusion.map(|side| primitive(side.inner()));
    let inputs = Inputs {
        tensors: [queries, keys, query_side, key_side],
        groups: contrast.groups,
        own: contrast.own,
        scale: (1.0 / contrast.temperature) as f32,
    };
    let (scores, slopes) = inputs.with(|operands| forward(operands, queries_are_tracked));
    let column = |of: fn(&QueryScore) -> f32| {
        let values: Vec<f32> = scores.iter().map(of).collect();
        let rows = values.len();
        tensor(values, [rows, 1])
    };
    let right = column(|score| f32::from(u8::from(score.right)));
    let candidates = column(|score| score.candidates);
    let loss = column(|score| score.loss);
    let [rows, features] = shape(&inputs.tensors[0]);
    let slopes = queries_are_tracked.then(|| tensor(slopes, [rows, features]));
    let kept = keys_are_tracked.then_some((inputs, scores));
    let loss = graph.leave(loss, move |gradient, register| {
        if let Some(slopes) = slopes {
            register(0, Flex::float_mul(slopes, gradient.clone()));
        }
        if let Some((inputs, scores)) = kept {
            let shape: [usize; 2] = shape(&inputs.tensors[1]);
            let gradient = gradient.to_contiguous();
            let slopes =
                inputs.with(|operands| keys_backward(operands, &scores, values(&gradient)));
            register(1, tensor(slopes, shape));
        }
    });
    ContrastScores {
        loss,
        right: Tensor::from_primitive::<Flex>(right),
        candidates: Tensor::from_primitive::<Flex>(candidates),
    }
}

struct Inputs {
    /// Queries and keys, and the two sides of the exclusion.
    tensors: [FlexTensor; 4],
    groups: Vec<ContrastGroup>,
    own: Vec<usize>,
    /// The factor of products.
    scale: f32,
}

impl Inputs {
    /// Calls `work` with the values, without gaps.
    fn with<T>(&self, work: impl FnOnce(Operands) -> T) -> T {
        let tensors = self.tensors.each_ref().map(|tensor| tensor.to_contiguous());
        let [queries, keys, query_side, key_side] = tensors.each_ref().map(|tensor| {
            let [rows, columns] = shape(tensor);
            Matrix::by_columns(values(tensor), columns, rows).transposed()
        });
        work(Operands {
            queries,
            keys,
            query_side,
            key_side,
            groups: &self.groups,
            own: &self.own,
            scale: self.scale,
        })
    }
}
