//! The features that parameter heads receive. Alone in its process, since it draws weights without a key.

use burn::tensor::{Device, Distribution, Tensor};
use heads::Pooling;
use trainer::{Experiment, FeatureEncoder, TransformerFeatures};

const SETTINGS: [&str; 6] = [
    "data.clip.seconds=0.2",
    "data.stft.n_fft=64",
    "data.stft.hop_length=48",
    "transformer.encoder.d_model=8",
    "transformer.encoder.d_ff=8",
    "transformer.encoder.n_layers=1",
];

#[test]
fn what_the_transformer_hands_over_hears_nothing_of_padding() {
    let settings = SETTINGS.map(str::to_owned);
    let experiment = Experiment::load(None, &settings).unwrap();
    let device = Device::flex();
    let encoder = TransformerFeatures(experiment.transformer.clone());
    let model = encoder.init(&device);
    let shape = [2, experiment.data.bins(), experiment.data.frames()];
    let x = Tensor::<3>::random(shape, Distribution::Default, &device);
    let frames = shape[2];
    let valid = [frames, frames - 40];
    let pool = |x: Tensor<3>| {
        let maps = encoder.maps(&model, x, &valid);
        let pooled = Pooling { segments: 3 }.forward(&maps);
        pooled.into_data().try_to_vec::<f32>().unwrap()
    };
    let padding = [1..2, 0..shape[1], frames - 40..frames];
    let rubbish = Tensor::<3>::ones([1, shape[1], 40], &device) * 9.0;
    let expected = pool(x.clone());
    assert_eq!(
        pool(x.clone().slice_assign(padding, rubbish.clone())),
        expected
    );
    // A valid frame does count.
    let sound = [1..2, 0..shape[1], 0..40];
    assert_ne!(pool(x.slice_assign(sound, rubbish)), expected);
}
