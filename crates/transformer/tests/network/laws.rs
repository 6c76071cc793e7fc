//! Properties of every encoder and decoder.

use crate::masks::{hidden, visible_rows};
use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Bool, Device, Tensor, s};
use proptest::prelude::*;
use test_fixtures::{assert_close, filled, for_each_gradient, spectrogram};
use transformer::{
    ContrastiveConfig, DecoderConfig, EncoderConfig, EncoderTokens, MaskedTransformer, PatchGrid,
    PositionKind, Targets, TransformerConfig,
};

pub const BINS: usize = 7;

/// Every axis has a size of its own; for 3 items of 13 frames, 4 rows and 5 columns.
pub fn config(tokens: EncoderTokens, position: PositionKind) -> TransformerConfig {
    TransformerConfig {
        encoder: EncoderConfig {
            bins: BINS,
            max_frames: 40,
            patch_bins: 2,
            patch_frames: 3,
            d_model: 16,
            n_heads: 2,
            d_ff: 20,
            n_layers: 2,
            dropout: 0.1,
            position,
            tokens,
        },
        contrastive: ContrastiveConfig {
            proj_dim: 9,
            predictor_layers: usize::from(tokens == EncoderTokens::Visible),
            ..ContrastiveConfig::default()
        },
        decoder: DecoderConfig {
            d_model: 12,
            n_heads: 3,
            d_ff: 14,
            n_layers: 1,
            dropout: 0.1,
        },
        targets: Targets::Raw,
    }
}

pub const KINDS: [(EncoderTokens, PositionKind); 4] = [
    (EncoderTokens::All, PositionKind::SinCos),
    (EncoderTokens::All, PositionKind::Learned),
    (EncoderTokens::Visible, PositionKind::SinCos),
    (EncoderTokens::Visible, PositionKind::Learned),
];

fn model((tokens, position): (EncoderTokens, PositionKind), device: &Device) -> MaskedTransformer {
    filled(config(tokens, position).init(device))
}

/// The spectrogram with other values wherever `hidden` hides a token.
pub fn changed(x: &Tensor<3>, grid: PatchGrid, hidden: &Tensor<2, Bool>) -> Tensor<3> {
    let device = x.device();
    let [_, _, patch_len] = grid.patchify(x.clone()).dims();
    let [batch, tokens] = hidden.dims();
    let hidden = hidden
        .clone()
        .unsqueeze_dim::<3>(2)
        .expand([batch, tokens, patch_len]);
    let other = spectrogram("other", x.dims(), &device) * 100.0;
    let patches = grid
        .patchify(x.clone())
        .mask_where(hidden, grid.patchify(other));
    grid.unpatchify(patches)
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

#[test]
fn frames_are_kept_for_every_number_of_frames() {
    let device = Device::flex();
    let mut checked = 0;
    for kind in KINDS {
        let model = model(kind, &device);
        for frames in 1..=40 {
            let x = spectrogram("input", [2, BINS, frames], &device);
            let patches = model.patchify(x, &[frames, frames.div_ceil(2)]);
            let hidden = hidden([2, patches.grid.tokens()], &device);
            let predicted = model.forward(&patches, hidden);
            let y = model.unpatchify(predicted, &patches);
            assert_eq!(y.dims(), [2, BINS, frames]);
            assert!(values(y).iter().all(|v| v.is_finite()));
            checked += 1;
        }
    }
    assert_eq!(checked, 160);
}

#[test]
fn a_spectrogram_that_is_hidden_completely_still_gets_a_prediction() {
    let device = Device::flex();
    for kind in KINDS {
        let model = model(kind, &device);
        let patches = model.patchify(spectrogram("input", [2, BINS, 3], &device), &[3, 2]);
        let hidden = Tensor::<2, Bool>::full([2, 4], true, &device);
        let y = values(model.forward(&patches, hidden));
        assert!(y.iter().all(|v| v.is_finite()));
        // Neither item has a visible patch, so both predictions are equal.
        assert_close(
            "the second item",
            &y[y.len() / 2..],
            &y[..y.len() / 2],
            1e-5,
        );
    }
}

#[test]
fn hidden_tokens_at_different_places_get_different_outputs() {
    let device = Device::flex();
    let mut compared = 0;
    for kind in KINDS {
        let model = model(kind, &device);
        // The same content everywhere, and the same mask vector.
        let x = Tensor::<3>::ones([1, BINS, 13], &device);
        let patches = model.patchify(x, &[13]);
        let hidden = hidden([1, 20], &device);
        let rows = |x: Tensor<3>| -> Vec<Vec<f32>> {
            let [_, _, width] = x.dims();
            let visible = hidden.clone().bool_not();
            let rows = visible_rows(x, Some(&visible));
            rows.chunks(width).map(<[f32]>::to_vec).collect()
        };
        let mut outputs = vec![rows(model.forward(&patches, hidden.clone()))];
        if kind.0 == EncoderTokens::All {
            let memory = model.encoder.forward(&patches, hidden.clone());
            outputs.push(rows(memory.values));
        }
        for rows in outputs {
            assert!(rows.len() > 5);
            for (i, a) in rows.iter().enumerate() {
                for b in &rows[..i] {
                    let apart = a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-3);
                    assert!(apart, "{kind:?}: two hidden tokens are alike");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn what_is_hidden_never_reaches_memory_or_prediction() {
    let device = Device::flex();
    for kind in KINDS {
        let model = model(kind, &device);
        let x = spectrogram("input", [3, BINS, 13], &device);
        let valid = [13, 8, 4];
        let patches = model.patchify(x.clone(), &valid);
        let hidden = hidden([3, 20], &device);
        let other = model.patchify(changed(&x, patches.grid, &hidden), &valid);
        assert_ne!(values(other.values.clone()), values(patches.values.clone()));

        let [before, after] =
            [&patches, &other].map(|p| model.encoder.forward(p, hidden.clone()).values);
        assert_eq!(values(before), values(after), "{kind:?}");
        let [before, after] = [&patches, &other].map(|p| model.forward(p, hidden.clone()));
        assert_eq!(values(before), values(after), "{kind:?}");
    }
}

#[test]
fn what_is_visible_reaches_every_prediction() {
    let device = Device::flex().autodiff();
    for kind in KINDS {
        let model = filled(config(kind.0, kind.1).init(&device)).freeze_encoder();
        let x = spectrogram("input", [1, BINS, 13], &device).require_grad();
        let patches = model.patchify(x.clone(), &[13]);
        let hidden = hidden([1, 20], &device);
        let predicted = model.forward(&patches, hidden.clone());
        let slope = x.grad(&predicted.square().sum().backward()).unwrap();
        let slope = patches.grid.patchify(slope).abs();
        let weights = patches.hidden_weights(hidden);
        let mut checked = 0;
        for ((slope, hidden), real) in values(slope)
            .iter()
            .zip(values(weights))
            .zip(values(patches.weights))
        {
            assert_eq!(*slope == 0.0, hidden == 1.0 || real == 0.0, "{kind:?}");
            checked += 1;
        }
        assert_eq!(checked, 20 * 6);
    }
}

#[test]
fn a_short_clip_alone_is_the_same_clip_padded_in_a_batch() {
    let device = Device::flex();
    let mut checked = 0;
    for kind in KINDS {
        let model = model(kind, &device);
        let valid_frames = [13, 8, 3];
        let mut x = spectrogram("input", [3, BINS, 13], &device);
        for (i, &valid) in valid_frames.iter().enumerate().skip(1) {
            // Large values in the padding must not matter.
            x = x.slice_fill(s![i..i + 1, .., valid..], 1e3);
        }
        let patches = model.patchify(x.clone(), &valid_frames);
        let mask = hidden([3, 20], &device);
        let together = model.forward(&patches, mask.clone());
        let features = model.encoder.encode(&patches);
        for (i, &valid) in valid_frames.iter().enumerate() {
            let alone = x.clone().narrow(0, i, 1).narrow(2, 0, valid);
            let alone = model.patchify(alone, &[valid]);
            let columns = alone.grid.columns();
            // The item's tokens in the wider grid of the batch.
            let own = |x: Tensor<3>| {
                let [_, _, width] = x.dims();
                x.narrow(0, i, 1)
                    .reshape([4, 5, width])
                    .narrow(1, 0, columns)
                    .reshape([1, 4 * columns, width])
            };
            let mask = own(mask.clone().float().unsqueeze_dim::<3>(2));
            let mask = mask.greater_elem(0.5).reshape([1, 4 * columns]);
            let expected = values(model.forward(&alone, mask));
            let got = values(own(together.clone()));
            assert_close("the prediction", &got, &expected, 2e-5);

            let expected = model.encoder.encode(&alone);
            let got = values(own(features.tokens.clone()));
            assert_close("the features", &got, &values(expected.tokens), 2e-5);
            let got = values(features.pooled.clone().narrow(0, i, 1));
            assert_close("the pooled features", &got, &values(expected.pooled), 2e-5);
            checked += 1;
        }
    }
    assert_eq!(checked, 12);
}

#[test]
fn a_visible_memory_lists_its_tokens() {
    let device = Device::flex();
    let kind = (EncoderTokens::Visible, PositionKind::SinCos);
    let model = model(kind, &device);
    let patches = model.patchify(spectrogram("input", [3, BINS, 13], &device), &[13, 8, 3]);
    let hidden = hidden([3, 20], &device);
    let memory = model.encoder.forward(&patches, hidden.clone());
    let [_, places, _] = memory.values.dims();
    let tokens: Vec<i64> = memory.tokens.unwrap().into_data().iter::<i64>().collect();
    let filling: Vec<bool> = memory.hidden.unwrap().into_data().iter::<bool>().collect();
    let excluded = hidden.bool_or(patches.padding.unwrap());
    let excluded: Vec<bool> = excluded.into_data().iter::<bool>().collect();
    let mut longest = 0;
    for item in 0..3 {
        let seen: Vec<i64> = (0..20)
            .filter(|&t| !excluded[item * 20 + t])
            .map(|t| t as i64)
            .collect();
        let row = item * places..(item + 1) * places;
        assert_eq!(tokens[row.clone()][..seen.len()], seen);
        let shown = filling[row].iter().filter(|&&filling| !filling).count();
        assert_eq!(shown, seen.len());
        longest = longest.max(shown);
    }
    assert_eq!(places, longest);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn permuting_the_batch_permutes_the_output(frames in 1_usize..20, kind in 0_usize..4) {
        let device = Device::flex();
        let model = model(KINDS[kind], &device);
        let x = spectrogram("input", [3, BINS, frames], &device);
        let valid = [frames, frames.div_ceil(2), frames.div_ceil(3)];
        let turn = [2, 0, 1];
        let patches = model.patchify(x.clone(), &valid);
        let mask = hidden([3, patches.grid.tokens()], &device);
        let pick = |x: Tensor<3>| {
            Tensor::cat(turn.map(|item| x.clone().narrow(0, item, 1)).to_vec(), 0)
        };
        let turned = model.patchify(pick(x), &turn.map(|item| valid[item]));
        let turned_mask = pick(mask.clone().float().unsqueeze_dim::<3>(2));
        let turned_mask = turned_mask.greater_elem(0.5).squeeze_dim::<2>(2);
        let expected = values(pick(model.forward(&patches, mask)));
        let got = values(model.forward(&turned, turned_mask));
        assert_close("the turned batch", &got, &expected, 2e-5);
    }

    #[test]
    fn an_item_never_sees_another(frames in 1_usize..20, kind in 0_usize..4, item in 0_usize..3) {
        let device = Device::flex();
        let model = model(KINDS[kind], &device);
        let x = spectrogram("input", [3, BINS, frames], &device);
        let other = spectrogram("other", [1, BINS, frames], &device) * 100.0;
        let changed = x.clone().slice_assign(s![item..item + 1, .., ..], other);
        let [before, after] = [x, changed].map(|x| {
            let patches = model.patchify(x, &[frames; 3]);
            let hidden = hidden([3, patches.grid.tokens()], &device);
            model.forward(&patches, hidden)
        });
        for i in 0..3 {
            let [before, after] = [&before, &after].map(|y| values(y.clone().narrow(0, i, 1)));
            prop_assert_eq!(before == after, i != item);
        }
    }
}

#[test]
fn the_gradient_reaches_every_parameter() {
    let device = Device::flex().autodiff();
    for kind in KINDS {
        let model = model(kind, &device);
        // As many frames as positions are learned for.
        let patches = model.patchify(spectrogram("input", [2, BINS, 40], &device), &[40, 23]);
        let hidden = hidden([2, patches.grid.tokens()], &device);
        let gradients = model.forward(&patches, hidden).square().mean().backward();
        let mut reached = 0;
        for_each_gradient(&model, &gradients, |name, shape, gradient| {
            assert_eq!(gradient.len(), shape.iter().product::<usize>(), "{name}");
            let largest = gradient.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            assert!(largest > 1e-8, "{kind:?}: {name} at most {largest}");
            reached += shape.iter().product::<usize>();
        });
        assert_eq!(reached, model.num_params());
    }
}

#[test]
fn the_paper_preset_has_42_million_parameters() {
    let mut config = TransformerConfig::default();
    config.encoder.bins = 513;
    let model = config.init(&Device::flex());
    let (d, ff, patch) = (512, 2048, 25);
    let linear = |i: usize, o: usize| i * o + o;
    let attention = 4 * linear(d, d) - d;
    let block = attention + 2 * 2 * d + linear(d, ff) + linear(ff, d);
    let encoder = linear(patch, d) + d + 8 * block + 2 * d;
    let reading = block + attention + 2 * d;
    let decoder = linear(d, d) + d + 4 * reading + 2 * d + linear(d, patch);
    assert_eq!(model.encoder.num_params(), encoder);
    assert_eq!(model.decoder.num_params(), decoder);
    assert_eq!([encoder, decoder], [25_229_824, 17_089_049]);

    let rows = model.parameters_per_part();
    let sum: usize = rows.iter().map(|(_, n)| n).sum();
    assert_eq!(sum, model.num_params());
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "encoder.embed encoder.blocks.0 encoder.blocks.1 encoder.blocks.2 encoder.blocks.3 \
         encoder.blocks.4 encoder.blocks.5 encoder.blocks.6 encoder.blocks.7 encoder.norm \
         decoder.embed decoder.blocks.0 decoder.blocks.1 decoder.blocks.2 decoder.blocks.3 \
         decoder.head"
    );
    let model = config.init_contrastive(&Device::flex());
    let rows = model.parameters_per_part();
    let sum: usize = rows.iter().map(|(_, n)| n).sum();
    assert_eq!(sum, model.num_params());
}

#[test]
fn what_should_not_decay_has_one_axis_or_positions_in_its_path() {
    let device = Device::flex().autodiff();
    for kind in KINDS {
        let config = config(kind.0, kind.1);
        let mut counts = [0; 3];
        let mut count = |name: &str, shape: &[usize], _: Vec<f32>| {
            let weight = name.ends_with(".weight") || name.ends_with(".query_key_value");
            let positions = name.split('.').any(|part| part == "positions");
            let ends = [".bias", "_bias", ".gamma", ".beta", ".mask_token"];
            let vector = ends.iter().any(|end| name.ends_with(end));
            let which = [weight, positions, vector];
            assert_eq!(which.iter().filter(|&&is| is).count(), 1, "{name}");
            assert_eq!(
                [shape.len() == 2, shape.len() == 3, shape.len() == 1],
                which
            );
            let which = which.iter().position(|&is| is).unwrap();
            counts[which] += 1;
        };
        let none = Tensor::<1>::zeros([1], &device).require_grad().backward();
        for_each_gradient(&config.init(&device), &none, &mut count);
        for_each_gradient(&config.init_contrastive(&device), &none, &mut count);
        assert!(counts[0] >= 30 && counts[2] >= 40, "{counts:?}");
        assert_eq!(counts[1] > 0, kind.1 == PositionKind::Learned);
    }
}

#[test]
fn a_network_survives_its_record() {
    let device = Device::flex();
    for kind in KINDS {
        let first = model(kind, &device);
        let patches = first.patchify(spectrogram("input", [2, BINS, 13], &device), &[13, 9]);
        let hidden = hidden([2, 20], &device);
        let expected = values(first.forward(&patches, hidden.clone()));
        let bytes = first.into_record().into_bytes().unwrap();
        let loaded = config(kind.0, kind.1)
            .init(&device)
            .load_record(ModuleRecord::from_bytes(bytes).unwrap());
        assert_eq!(values(loaded.forward(&patches, hidden)), expected);
    }
}

#[test]
#[should_panic(expected = "takes spectrograms of 7 bins, got 6")]
fn a_spectrogram_with_other_bins_is_refused() {
    let device = Device::flex();
    let model = config(EncoderTokens::All, PositionKind::SinCos).init(&device);
    model.patchify(Tensor::zeros([2, 6, 13], &device), &[13, 13]);
}

#[test]
#[should_panic(expected = "expected a mask over [batch, tokens] = [2, 20], got [2, 19]")]
fn a_mask_of_another_grid_is_refused() {
    let device = Device::flex();
    let model = config(EncoderTokens::All, PositionKind::SinCos).init(&device);
    let patches = model.patchify(Tensor::zeros([2, BINS, 13], &device), &[13, 13]);
    model.forward(&patches, Tensor::full([2, 19], false, &device));
}
