//! Group norm (Wu & He 2018), over the frames and channels of a group.

use burn::nn::GroupNorm;
use burn::tensor::Tensor;

/// Applies `norm` through [`kernels::group_norm`], with the result of `norm.forward(x)`.
///
/// # Shapes
/// - x, output: `[batch, channels, frames]`
pub(crate) fn normalize(norm: &GroupNorm, x: Tensor<3>) -> Tensor<3> {
    let [gamma, beta] = affine(norm);
    kernels::group_norm(x, norm.num_groups, gamma, beta, norm.epsilon)
}

/// [`normalize`], followed by SiLU.
///
/// # Shapes
/// - x, output: `[batch, channels, frames]`
pub(crate) fn normalize_silu(norm: &GroupNorm, x: Tensor<3>) -> Tensor<3> {
    let [gamma, beta] = affine(norm);
    kernels::group_norm_silu(x, norm.num_groups, gamma, beta, norm.epsilon)
}

fn affine(norm: &GroupNorm) -> [Tensor<1>; 2] {
    [&norm.gamma, &norm.beta].map(|parameter| {
        let parameter = parameter.as_ref();
        parameter.expect("every norm of a U-Net is affine").val()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::GroupNormConfig;
    use burn::tensor::activation::silu;
    use burn::tensor::{Device, Distribution, Tolerance};

    #[test]
    fn values_are_those_of_burns_module() {
        let device = Device::flex();
        let norm = GroupNormConfig::new(3, 6).init(&device);
        // Values so small that epsilon matters.
        let x = Tensor::<3>::random([2, 6, 5], Distribution::Normal(0.0, 1e-2), &device);
        let expected = norm.forward(x.clone());
        let tolerance = Tolerance::<f32>::absolute(1e-5);
        normalize(&norm, x.clone())
            .into_data()
            .assert_approx_eq(&expected.clone().into_data(), tolerance);
        normalize_silu(&norm, x)
            .into_data()
            .assert_approx_eq(&silu(expected).into_data(), tolerance);
    }
}
