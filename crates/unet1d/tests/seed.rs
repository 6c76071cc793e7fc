//! Alone in its process, since Burn's random numbers come from one generator per process.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use unet1d::UNet1dConfig;

#[test]
fn equal_seeds_draw_equal_networks() {
    let [first, again, other] = [7, 7, 8].map(weights);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

fn weights(seed: u64) -> Vec<f32> {
    let device = Device::flex();
    let config = UNet1dConfig {
        in_channels: 5,
        base_channels: 8,
        channel_mults: vec![1, 2],
        ..UNet1dConfig::default()
    };
    device.seed(seed);
    let model = config.init(&device);
    // Burn draws a parameter when it is first used, so the seed must still be in force here.
    let mut weights = Weights(Vec::new());
    model.visit(&mut weights);
    assert_eq!(weights.0.len(), model.num_params());
    weights.0
}

struct Weights(Vec<f32>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0
            .extend(param.val().into_data().try_to_vec::<f32>().unwrap());
    }
}
