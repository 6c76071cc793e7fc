//! Group norm (Wu & He 2018) over the frames of the channels of a group.

use burn::nn::GroupNorm;
use burn::tensor::Tensor;

/// What the module's own `forward` gives.
///
/// # Shapes
/// - x, output: `[batch, channels, frames]`
pub(crate) fn normalize(norm: &GroupNorm, x: Tensor<3>) -> Tensor<3> {
    let [gamma, beta] = affine(norm);
    kernels::group_norm(x, norm.num_groups, gamma, beta, norm.epsilon)
}

/// [`normalize`], and SiLU of what it gives.
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
    fn they_are_what_the_module_gives() {
        let device = Device::flex();
        let norm = GroupNormConfig::new(3, 6).init(&device);
        // So small that epsilon counts.
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
