//! Which backend a tensor lies on, and its values there.

use burn::backend::flex::FlexTensor;
use burn::backend::{DispatchTensorKind, Flex};
use burn::tensor::{DType, Tensor, TensorData};

/// Whether the fused versions support the tensor: f32 on the CPU backend, with autodiff or without.
pub(crate) fn is_fused<const D: usize>(tensor: &Tensor<D>) -> bool {
    fn is_flex(kind: &DispatchTensorKind) -> bool {
        match kind {
            DispatchTensorKind::Autodiff(inner) => is_flex(inner),
            DispatchTensorKind::Flex(_) => true,
            #[allow(unreachable_patterns)] // Unless Burn has another backend too.
            _ => false,
        }
    }
    has_fused() && tensor.dtype() == DType::F32 && is_flex(&tensor.clone().into_dispatch().kind)
}

/// Whether the fused versions support the tensor, and it is without autodiff: a parameter of an optimizer.
pub(crate) fn is_fused_without_autodiff<const D: usize>(tensor: &Tensor<D>) -> bool {
    is_fused(tensor) && !tensor.is_autodiff()
}

/// Whether fused versions are in use: always, except in [`unfused`].
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

/// Calls `work` with Burn's operations in place of the fused versions, as without the feature `flex`.
#[cfg(test)]
pub(crate) fn unfused<T>(work: impl FnOnce() -> T) -> T {
    IS_UNFUSED.set(true);
    let done = work();
    IS_UNFUSED.set(false);
    done
}

/// The values of a tensor without gaps, as `to_contiguous` returns it.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor")
}

/// The tensor itself if it has no gaps and covers all of its memory, else a copy.
pub(crate) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    let all: &[f32] = tensor.storage();
    match tensor.as_slice::<f32>() {
        Some(values) if values.len() == all.len() => tensor,
        _ => tensor.to_contiguous(),
    }
}

/// The values of a tensor that [`contiguous`] returned, to be written over. If they are shared, they are
/// copied first.
pub(crate) fn mutable(tensor: &mut FlexTensor) -> &mut [f32] {
    tensor.storage_mut()
}

/// A tensor of the CPU backend that owns `values`, row after row.
pub(crate) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// The sizes of a tensor's axes.
pub(crate) fn shape<const D: usize>(tensor: &FlexTensor) -> [usize; D] {
    tensor.layout().shape().dims()
}

/// The primitive of a tensor without autodiff.
pub(crate) fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let primitive = tensor.try_into_primitive::<Flex>();
    primitive.expect("a tensor without autodiff on the CPU backend")
}
