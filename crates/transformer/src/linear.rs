//! Linear layers and learned vectors, initialised as in a vision Transformer.

use burn::module::{Initializer, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

/// A linear layer; weights uniform as in Glorot & Bengio 2010, bias 0, as in the code of He et al. 2022.
pub(crate) fn init_linear([d_in, d_out]: [usize; 2], device: &Device) -> Linear {
    Linear {
        bias: Some(Initializer::Zeros.init([d_out], device)),
        ..init_unbiased([d_in, d_out], device)
    }
}

/// A linear layer without a bias.
pub(crate) fn init_unbiased([d_in, d_out]: [usize; 2], device: &Device) -> Linear {
    Linear {
        weight: Initializer::XavierUniform { gain: 1.0 }.init_with(
            [d_in, d_out],
            Some(d_in),
            Some(d_out),
            device,
        ),
        bias: None,
    }
}

/// Learned vectors (mask tokens, positions): normal, deviation 0.02.
pub(crate) fn init_vectors<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Initializer::Normal {
        mean: 0.0,
        std: 0.02,
    }
    .init(shape, device)
}

/// Applies `linear` to every vector of `x`.
///
/// # Shapes
/// - x: `[..., d_in]`
/// - output: `[..., d_out]`
pub(crate) fn apply<const D: usize>(linear: &Linear, x: Tensor<D>) -> Tensor<D> {
    let bias = linear.bias.as_ref().map(Param::val);
    kernels::linear(x, linear.weight.val(), bias)
}
