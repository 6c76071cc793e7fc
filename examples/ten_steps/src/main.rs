//! Trains a small U-Net for ten steps to reconstruct hidden bins of random spectrograms, on the CPU.

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use losses::{MagnitudeLoss, Norm, SpectrogramLoss, hidden_weights};
use unet1d::UNet1dConfig;

const STEPS: usize = 10;

fn main() {
    let device = Device::flex().autodiff();
    device.seed(1);
    let config = UNet1dConfig {
        in_channels: 33,
        base_channels: 16,
        channel_mults: vec![1, 2],
        ..UNet1dConfig::default()
    };
    let mut model = config.init(&device);
    let mut optimizer = AdamWConfig::new().init();
    let loss = MagnitudeLoss { norm: Norm::L2 };
    println!("{} parameters", model.num_params());

    // Four spectrograms of 33 bins and 40 frames. The last one has 25 frames and padding.
    let shape = [4, 33, 40];
    let valid_frames = [40, 40, 40, 25];
    let target = Tensor::<3>::random(shape, Distribution::Uniform(0.0, 1.0), &device);
    let mut values = Vec::new();
    for step in 1..=STEPS {
        let hidden = Tensor::<3>::random(shape, Distribution::Default, &device).lower_elem(0.25);
        let input = target.clone().mask_fill(hidden.clone(), 0.0);
        let prediction = model.forward(input);
        let weights = hidden_weights(hidden, &valid_frames);
        let batch_loss = loss.forward(prediction, target.clone(), weights);

        let value = batch_loss.clone().into_scalar::<f32>();
        println!("step {step:2}: loss {value:.4}");
        values.push(value);
        let gradients = GradientsParams::from_grads(batch_loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
    assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
    assert!(
        values[STEPS - 1] < values[0],
        "the loss has to fall: {values:?}"
    );
}
