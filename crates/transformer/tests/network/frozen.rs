//! A frozen encoder doesn't change.

use crate::laws::{BINS, KINDS, config};
use crate::masks::hidden;
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};
use test_fixtures::{filled, parameters, spectrogram};
use transformer::{MaskedTransformer, TransformerConfig};

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

/// Dropout strong enough to show.
fn dropping(mut config: TransformerConfig) -> TransformerConfig {
    config.encoder.dropout = 0.5;
    config.decoder.dropout = 0.5;
    config
}

/// One step of AdamW with weight decay on everything.
fn trained(model: MaskedTransformer, device: &Device) -> MaskedTransformer {
    let patches = model.patchify(spectrogram("input", [2, BINS, 13], device), &[13, 8]);
    let hidden = hidden([2, 20], device);
    let loss = model.forward(&patches, hidden).square().mean();
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    let config = AdamWConfig::new().with_weight_decay(0.5);
    config.init().step(0.1, model, gradients)
}

#[test]
fn a_step_with_weight_decay_leaves_a_frozen_encoder_bit_equal_and_moves_the_decoder() {
    let device = Device::flex().autodiff();
    for (tokens, position) in KINDS {
        let model = filled(dropping(config(tokens, position)).init(&device)).freeze_encoder();
        let before = parameters(&model);
        // With a validation in between, as in a training loop.
        let model = trained(model, &device).valid().train();
        let after = parameters(&trained(model, &device));
        let mut counts = [0, 0];
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            let frozen = name.starts_with("encoder.");
            assert_eq!(before == after, frozen, "{name}");
            counts[usize::from(frozen)] += 1;
        }
        assert!(counts[0] > 20 && counts[1] > 20, "{counts:?}");
    }
}

#[test]
fn a_frozen_encoder_has_no_dropout_and_a_training_one_has() {
    let device = Device::flex().autodiff();
    for (tokens, position) in KINDS {
        let model = filled(dropping(config(tokens, position)).init(&device));
        let patches = model.patchify(spectrogram("input", [2, BINS, 13], &device), &[13, 8]);
        let mask = hidden([2, 20], &device);
        let memory = |model: &MaskedTransformer| {
            values(model.encoder.forward(&patches, mask.clone()).values)
        };
        assert_ne!(memory(&model), memory(&model));
        let expected = memory(&model.valid());
        let frozen = model.freeze_encoder();
        assert_eq!(memory(&frozen), expected);
        assert_eq!(memory(&frozen.clone().valid().train()), expected);
        // The decoder still has dropout.
        let [first, second] = [0, 1].map(|_| values(frozen.forward(&patches, mask.clone())));
        assert_ne!(first, second);
    }
}

#[test]
fn a_model_that_is_not_frozen_moves_everywhere() {
    let device = Device::flex().autodiff();
    for (tokens, position) in KINDS {
        let model = filled(config(tokens, position).init(&device));
        let before = parameters(&model);
        let after = parameters(&trained(model, &device));
        for ((name, before), (_, after)) in before.iter().zip(&after) {
            assert_ne!(before, after, "{name}");
        }
    }
}
