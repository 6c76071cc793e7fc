//! In a process of its own, because Burn has one random generator per process.

use burn::module::Module;
use burn::tensor::Device;
use test_fixtures::parameters;
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
    let weights: Vec<f32> = parameters(&model)
        .into_iter()
        .flat_map(|(_, x)| x)
        .collect();
    assert_eq!(weights.len(), model.num_params());
    weights
}
