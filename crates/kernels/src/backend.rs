//! Which backend a tensor lies on, and its values there.

use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchTensorKind, TensorMetadata};
use burn::tensor::{DType, Tensor, TensorData};

/// Whether the fused versions take the tensor: f32 on the CPU backend, with gradients or without.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    fn is_flex(kind: &DispatchTensorKind) -> bool {
        match kind {
            DispatchTensorKind::Autodiff(inner) => is_flex(inner),
            DispatchTensorKind::Flex(_) => true,
            #[allow(unreachable_patterns)] // Without a further backend there is nothing else.
            _ => false,
        }
    }
    has_fused() && tensor.dtype() == DType::F32 && is_flex(&tensor.clone().into_dispatch().kind)
}

/// Whether there are fused versions: always, except in [`unfused`].
pub(crate) fn has_fused() -> bool {
    #[cfg(test)]
    return !IS_UNFUSED.get();
    #[cfg(not(test))]
    true
}

#[cfg(test)]
thread_local! {
    static IS_UNFUSED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Calls `work`, whose operations are Burn's, as they are without the feature `flex`.
#[cfg(test)]
pub(crate) fn unfused<T>(work: impl FnOnce() -> T) -> T {
    IS_UNFUSED.set(true);
    let done = work();
    IS_UNFUSED.set(false);
    done
}

/// The values of a tensor without gaps: of what `to_contiguous` returns.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("the tensor was made contiguous before")
}

/// The tensor itself if it lies without gaps and covers all of its memory, else a copy.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let all: &[f32] = tensor.storage();
    match tensor.as_slice::<f32>() {
        Some(values) if values.len() == all.len() => tensor,
        _ => tensor.to_contiguous(),
    }
}

/// The values of what [`contiguous`] returned, to be written over. If somebody else holds them too,
/// the tensor gets its own first.
pub(crate) fn mutable(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut()
}

/// A tensor of the CPU backend that owns `values`, row after row.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The sizes of a tensor's three axes, on whatever backend it is.
pub(crate) fn shape<T: TensorMetadata>(tensor: &T) -> [usize; 3] {
    tensor.shape().dims()
}
