//! Layer norm (Ba et al. 2016) over the features of each token.

use burn::nn::{LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Tensor};

/// Keeps a token of equal features finite. Burn's module doesn't expose its own.
const EPSILON: f64 = 1e-5;

pub(crate) fn init_norm(d_model: usize, device: &Device) -> LayerNorm {
    LayerNormConfig::new(d_model)
        .with_epsilon(EPSILON)
        .init(device)
}

/// Applies a norm of [`init_norm`] through [`kernels::layer_norm`], with the result of `norm.forward(x)`.
///
/// # Shapes
/// - x, output: `[batch, tokens, d_model]`
pub(crate) fn normalize(norm: &LayerNorm, x: Tensor<3>) -> Tensor<3> {
    let beta = norm.beta.as_ref().expect("`init_norm` makes a beta");
    kernels::layer_norm(x, norm.gamma.val(), beta.val(), EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    #[test]
    fn values_are_those_of_burns_module() {
        let device = Device::flex();
        let norm = init_norm(7, &device);
        // Values so small that epsilon matters.
        let x = Tensor::random([2, 3, 7], Distribution::Normal(0.0, 1e-2), &device);
        let expected = norm.forward(x.clone()).into_data();
        normalize(&norm, x)
            .into_data()
            .assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
    }
}
