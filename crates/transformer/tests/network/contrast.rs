//! Properties of queries and keys.

use crate::laws::{BINS, KINDS, changed, config};
use crate::masks::hidden;
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, Tensor};
use test_fixtures::{filled, for_each_gradient, spectrogram};
use transformer::{
    ContrastiveTransformer, EncoderTokens, KeyGradient, Keys, PositionKind, QueriesAndKeys,
    TransformerConfig,
};

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

fn contrast(model: &ContrastiveTransformer, x: Tensor<3>, valid: &[usize]) -> QueriesAndKeys {
    let patches = model.encoder.patchify(x, valid);
    let [batch, tokens, _] = patches.values.dims();
    let hidden = hidden([batch, tokens], &patches.values.device());
    model.forward(&patches, hidden)
}

/// Encoders of both kinds, with and without a predictor where both are possible.
fn configs() -> Vec<TransformerConfig> {
    let mut configs: Vec<_> = KINDS
        .iter()
        .map(|&(tokens, position)| config(tokens, position))
        .collect();
    let mut predicting = configs[0].clone();
    predicting.contrastive.predictor_layers = 2;
    configs.push(predicting);
    configs
}

#[test]
fn what_is_hidden_changes_keys_and_never_queries() {
    let device = Device::flex();
    for config in configs() {
        let model = filled(config.init_contrastive(&device));
        let x = spectrogram("input", [3, BINS, 13], &device);
        let valid = [13, 8, 4];
        let mask = hidden([3, 20], &device);
        let before = contrast(&model, x.clone(), &valid);
        assert_eq!(before.queries.dims(), [3, 20, 9]);
        assert_eq!(before.keys.dims(), [3, 20, 9]);
        let changed = changed(&x, model.encoder.grid(13), &mask);
        let after = contrast(&model, changed, &valid);
        assert_eq!(values(before.queries), values(after.queries));
        assert_ne!(values(before.keys), values(after.keys));
    }
}

#[test]
fn queries_differ_by_place_and_keys_of_content_do_not() {
    let device = Device::flex();
    for config in configs() {
        for keys in [Keys::Content, Keys::ContentAndPosition] {
            let mut config = config.clone();
            config.contrastive.keys = keys;
            let model = filled(config.init_contrastive(&device));
            // 6 of 7 bins: no ragged edge, so every patch is the same.
            let x = Tensor::<3>::ones([1, BINS, 12], &device);
            let both = contrast(&model, x, &[12]);
            let unlike = |x: Tensor<3>| {
                let first = x.clone().narrow(1, 0, 1);
                let apart = (x - first).abs().max_dim(2);
                // The three full rows of four columns.
                let apart = values(apart.narrow(1, 0, 12));
                apart.iter().filter(|&&apart| apart > 1e-4).count()
            };
            assert!(unlike(both.queries) >= 10);
            let expected = if keys == Keys::Content { 0 } else { 11 };
            assert_eq!(unlike(both.keys), expected, "{keys:?}");
        }
    }
}

#[test]
fn the_gradient_of_keys_stops_where_it_should() {
    let device = Device::flex().autodiff();
    let mut checked = 0;
    for config in configs() {
        for keys in [Keys::Content, Keys::ContentAndPosition] {
            let mut config = config.clone();
            config.contrastive.keys = keys;
            let model = filled(config.init_contrastive(&device));
            let x = spectrogram("input", [2, BINS, 13], &device);
            let keys = contrast(&model, x, &[13, 9]).keys;
            let gradients = keys.square().sum().backward();
            for_each_gradient(&model, &gradients, |name, _, gradient| {
                let learns = name.starts_with("key_head");
                assert_eq!(gradient.iter().any(|g| *g != 0.0), learns, "{name}");
                checked += 1;
            });
        }
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn a_loss_of_queries_and_keys_trains_everything_but_a_key_head_without_gradient() {
    let device = Device::flex().autodiff();
    for config in configs() {
        for key_gradient in [KeyGradient::Head, KeyGradient::None] {
            let mut config = config.clone();
            config.contrastive.key_gradient = key_gradient;
            let model = filled(config.init_contrastive(&device));
            let x = spectrogram("input", [2, BINS, 40], &device);
            let both = contrast(&model, x, &[40, 23]);
            let loss = (both.queries * both.keys).sum();
            let gradients = loss.backward();
            for_each_gradient(&model, &gradients, |name, _, gradient| {
                let fixed = key_gradient == KeyGradient::None && name.starts_with("key_head");
                assert_eq!(gradient.iter().any(|g| *g != 0.0), !fixed, "{name}");
            });
        }
    }
}

#[test]
fn the_encoder_can_be_transferred_to_the_masked_transformer() {
    let device = Device::flex();
    for (tokens, position) in KINDS {
        let config = config(tokens, position);
        let pretrained = filled(config.init_contrastive(&device));
        let record = pretrained.encoder.clone().into_record();
        let bytes = record.into_bytes().unwrap();
        let mut model = config.init(&device);
        model.encoder = model
            .encoder
            .load_record(ModuleRecord::from_bytes(bytes).unwrap());
        let x = spectrogram("input", [2, BINS, 13], &device);
        let patches = model.patchify(x, &[13, 9]);
        let [got, expected] = [&model.encoder, &pretrained.encoder]
            .map(|encoder| values(encoder.encode(&patches).tokens));
        assert_eq!(got, expected);
    }
}

/// A toy task: each item is one pattern, louder or softer, so hidden patches follow from visible ones.
#[test]
fn queries_learn_to_find_the_content_of_their_place() {
    use burn::optim::{AdamWConfig, GradientsParams};
    let device = Device::flex().autodiff();
    let mut config = config(EncoderTokens::All, PositionKind::SinCos);
    config.encoder.dropout = 0.0;
    let mut model = filled(config.init_contrastive(&device));
    let mut optimizer = AdamWConfig::new().init();
    let pattern = spectrogram("pattern", [1, BINS, 13], &device);
    let mask = hidden([8, 20], &device);
    let mut losses = Vec::new();
    for step in 0..STEPS {
        let levels = spectrogram(&format!("levels {step}"), [8, 1, 1], &device) + 1.5;
        let patches = model.encoder.patchify(levels * pattern.clone(), &[13; 8]);
        let both = model.forward(&patches, mask.clone());
        let loss = info_nce(both, mask.clone());
        losses.push(loss.clone().into_scalar::<f32>());
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
    let chance = (8.0_f32 * 20.0).ln();
    let last = losses[STEPS - 5..].iter().sum::<f32>() / 5.0;
    assert!(losses[0] > chance - 0.2, "starts at {}", losses[0]);
    assert!(last < chance - 2.0, "ends at {last}, chance is {chance}");
}

const STEPS: usize = 200;

/// Mean over hidden tokens of `-ln softmax(cos(q_i, k_j) / 0.1)_i`, j over all tokens of the batch.
fn info_nce(both: QueriesAndKeys, hidden: Tensor<2, Bool>) -> Tensor<1> {
    let [batch, tokens, proj_dim] = both.keys.dims();
    let n = batch * tokens;
    let unit = |x: Tensor<3>| {
        let x = x.reshape([n, proj_dim]);
        x.clone() / (x.square().sum_dim(1) + 1e-12).sqrt()
    };
    let scores = unit(both.queries).matmul(unit(both.keys).transpose()) / 0.1;
    let own = log_softmax(scores, 1) * Tensor::<2>::eye(n, &hidden.device());
    let hidden = hidden.float().reshape([n, 1]);
    (own * hidden.clone()).sum().neg() / hidden.sum()
}
