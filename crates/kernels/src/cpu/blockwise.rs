//! Operations on the values of one tensor, block by block: pointwise ones and normalisations.

use super::backend::{contiguous, mutable, values};
use super::blocks::{block_of_rows, filled, update};
use super::graph::Graph;
use super::simd::arch;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, TensorData};
use pulp::{Simd, WithSimd};
use std::ops::Range;

/// An operation whose output has the shape of its input, and whose gradient is computed in place of the
/// output's.
///
/// Blocks are whole rows. A block stays in the nearest cache between the passes over it.
pub(crate) trait Blockwise: Sync {
    /// What a thread keeps from block to block in the forward pass.
    type Cache: Default;

    /// Writes the output for a range of `x`.
    fn forward<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        range: Range<usize>,
        output: &mut [f32],
        cache: &mut Self::Cache,
    );

    /// Turns the gradient of the output into the gradient of `x`, for a range of both. `sums` receives the
    /// block's part of the gradients of parameters.
    fn backward<S: Simd>(
        &self,
        simd: S,
        x: &[f32],
        range: Range<usize>,
        gradient: &mut [f32],
        sums: &mut [f32],
    );
}

/// The operation on a tensor, for one without parameters. A row has `row` values.
pub(crate) fn apply<const D: usize>(
    x: Tensor<D>,
    row: usize,
    operation: impl Blockwise + Send + 'static,
) -> Tensor<D> {
    let (graph, [x]) = Graph::enter([x.into_dispatch()]);
    let output = {
        let x = contiguous(x.clone());
        let output = forward(&operation, values(&x), row);
        FlexTensor::from_data(TensorData::new(output, x.layout().shape().clone()))
    };
    graph.leave(output, move |gradient, register| {
        let x = contiguous(x);
        let mut gradient = contiguous(gradient);
        let block = block_of_rows(row);
        backward(
            &operation,
            values(&x),
            mutable(&mut gradient),
            block,
            &mut [],
            0,
        );
        register(0, gradient);
    })
}

/// The output for rows of `row` values.
pub(crate) fn forward<O: Blockwise>(operation: &O, x: &[f32], row: usize) -> Vec<f32> {
    let arch = arch();
    filled(
        x.len(),
        block_of_rows(row),
        O::Cache::default,
        |cache, range, output| {
            arch.dispatch(Forward {
                operation,
                x,
                range,
                output,
                cache,
            });
        },
    )
}

/// Turns `gradient` into the gradient of `x`. Each block of `block` values has `sums_each` places in `sums`.
pub(crate) fn backward(
    operation: &impl Blockwise,
    x: &[f32],
    gradient: &mut [f32],
    block: usize,
    sums: &mut [f32],
    sums_each: usize,
) {
    let arch = arch();
    update(
        gradient,
        block,
        sums,
        sums_each,
        &|range, gradient, sums| {
            arch.dispatch(Backward {
                operation,
                x,
                range,
                gradient,
                sums,
            });
        },
    );
}

struct Forward<'a, O: Blockwise> {
    operation: &'a O,
    x: &'a [f32],
    range: Range<usize>,
    output: &'a mut [f32],
    cache: &'a mut O::Cache,
}

impl<O: Blockwise> WithSimd for Forward<'_, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, range, .. } = self;
        self.operation
            .forward(simd, x, range, self.output, self.cache);
    }
}

struct Backward<'a, O> {
    operation: &'a O,
    x: &'a [f32],
    range: Range<usize>,
    gradient: &'a mut [f32],
    sums: &'a mut [f32],
}

impl<O: Blockwise> WithSimd for Backward<'_, O> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, range, .. } = self;
        self.operation
            .backward(simd, x, range, self.gradient, self.sums);
    }
}
