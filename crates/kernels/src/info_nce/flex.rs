//! InfoNCE of the CPU backend.

use super::autodiff::{InfoNceGradient, InfoNceOps, Pairing};
use super::backward::{Known, keys_backward};
use super::forward::forward;
use super::tile::Operands;
use crate::backend::{tensor, values};
use crate::matrix::Matrix;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;

impl InfoNceOps for Flex {
    fn info_nce_forward(
        queries: FlexTensor,
        keys: FlexTensor,
        asked: FlexTensor,
        others: FlexTensor,
        pairing: Pairing,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let tensors = [queries, keys, asked, others].map(|tensor| tensor.to_contiguous());
        let operands = operands(&tensors, &pairing);
        let (rows, features) = (operands.queries.rows, operands.queries.columns);
        let (answers, slopes) = forward(operands, pairing.with_gradient);
        let column = |of: fn(&super::forward::Answer) -> f32| {
            tensor(answers.iter().map(of).collect(), [rows, 1])
        };
        let slope_rows = if pairing.with_gradient { rows } else { 0 };
        (
            column(|answer| answer.loss),
            column(|answer| f32::from(u8::from(answer.right))),
            column(|answer| answer.candidates),
            column(|answer| answer.log_sum),
            tensor(slopes, [slope_rows, features]),
        )
    }
}

impl InfoNceGradient for Flex {
    fn info_nce_keys_backward(
        queries: FlexTensor,
        keys: FlexTensor,
        asked: FlexTensor,
        others: FlexTensor,
        pairing: Pairing,
        loss: FlexTensor,
        log_sum: FlexTensor,
        gradient: FlexTensor,
    ) -> FlexTensor {
        let tensors = [queries, keys, asked, others].map(|tensor| tensor.to_contiguous());
        let [loss, log_sum, gradient] =
            [loss, log_sum, gradient].map(|tensor| tensor.to_contiguous());
        let operands = operands(&tensors, &pairing);
        let shape = [operands.keys.rows, operands.keys.columns];
        let known = Known {
            loss: values(&loss),
            log_sum: values(&log_sum),
            gradient: values(&gradient),
        };
        tensor(keys_backward(operands, known), shape)
    }
}

/// The tensors are without gaps.
fn operands<'a>(tensors: &'a [FlexTensor; 4], pairing: &'a Pairing) -> Operands<'a> {
    let [queries, keys, asked, others] = tensors.each_ref().map(|tensor| {
        let shape = tensor.layout().shape();
        Matrix::by_columns(values(tensor), shape[1], shape[0]).transposed()
    });
    Operands {
        queries,
        keys,
        asked,
        others,
        groups: &pairing.groups,
        own: &pairing.own,
        scale: pairing.scale,
    }
}
