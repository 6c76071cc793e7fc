//! Properties of every U-Net.

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::tensor::{Device, Tensor, s};
use proptest::prelude::*;
use test_fixtures::{filled, for_each_gradient, spectrogram};
use unet1d::{BlockKind, UNet1d, UNet1dConfig};

/// Three levels, attention on the two lower ones; every axis has a size of its own.
fn config(block: BlockKind) -> UNet1dConfig {
    UNet1dConfig {
        in_channels: 5,
        base_channels: 4,
        channel_mults: vec![1, 2, 3],
        blocks_per_level: 1,
        block,
        norm_groups: 2,
        attention_levels: vec![1, 2],
        attention_heads: 2,
    }
}

fn network(config: &UNet1dConfig, device: &Device) -> UNet1d {
    filled(config.init(device))
}

const KINDS: [BlockKind; 2] = [BlockKind::Plain, BlockKind::Residual];

fn values(x: Tensor<3>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

#[test]
fn frames_are_kept_for_every_number_of_frames_and_levels() {
    let device = Device::flex();
    let mut checked = 0;
    for levels in 1..=4 {
        let config = UNet1dConfig {
            channel_mults: (1..=levels).collect(),
            attention_levels: vec![levels - 1],
            ..config(BlockKind::Plain)
        };
        let model = network(&config, &device);
        for frames in 1..=40 {
            let x = spectrogram("input", [2, 5, frames], &device);
            let y = model.forward(x.clone());
            assert_eq!(y.dims(), [2, 5, frames], "{levels} levels");
            assert!(values(y).iter().all(|v| v.is_finite()));
            let bottom = config.level_frames(frames)[levels - 1];
            assert_eq!(
                model.encode(x).dims(),
                [2, config.bottleneck_channels(), bottom]
            );
            checked += 1;
        }
    }
    assert_eq!(checked, 160);
}

#[test]
fn the_encoder_alone_computes_the_same_as_in_the_network() {
    let device = Device::flex();
    for block in KINDS {
        let config = config(block);
        let model = network(&config, &device);
        let x = spectrogram("input", [2, 5, 13], &device);
        let bottleneck = model.encode(x.clone());
        let levels = model.into_encoder().levels(x);
        let shapes: Vec<_> = levels.iter().map(|level| level.dims()).collect();
        assert_eq!(shapes, [[2, 4, 13], [2, 8, 6], [2, 12, 3], [2, 12, 3]]);
        assert_eq!(values(levels[3].clone()), values(bottleneck));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn permuting_the_batch_permutes_the_output(frames in 1_usize..30, residual: bool) {
        let device = Device::flex();
        let model = network(&config(KINDS[usize::from(residual)]), &device);
        let x = spectrogram("input", [3, 5, frames], &device);
        let turned = model.forward(Tensor::cat(
            [2, 0, 1].map(|item| x.clone().narrow(0, item, 1)).to_vec(),
            0,
        ));
        let y = model.forward(x);
        for (place, item) in [2, 0, 1].into_iter().enumerate() {
            let got = values(turned.clone().narrow(0, place, 1));
            let expected = values(y.clone().narrow(0, item, 1));
            for (got, expected) in got.iter().zip(expected) {
                prop_assert!((got - expected).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn an_item_never_sees_another(frames in 1_usize..30, residual: bool, item in 0_usize..3) {
        let device = Device::flex();
        let model = network(&config(KINDS[usize::from(residual)]), &device);
        let x = spectrogram("input", [3, 5, frames], &device);
        let other = spectrogram("other", [1, 5, frames], &device) * 100.0;
        let changed = x.clone().slice_assign(s![item..item + 1, .., ..], other);
        let (before, after) = (model.forward(x), model.forward(changed));
        for i in 0..3 {
            let [before, after] = [&before, &after].map(|y| values(y.clone().narrow(0, i, 1)));
            if i != item {
                prop_assert_eq!(before, after);
            } else if frames > 1 {
                // With a single frame, group norm can leave only signs.
                prop_assert_ne!(before, after);
            }
        }
    }
}

#[test]
fn the_gradient_reaches_every_parameter() {
    let device = Device::flex().autodiff();
    for block in KINDS {
        let model = network(&config(block), &device);
        let y = model.forward(spectrogram("input", [2, 5, 13], &device));
        let gradients = y.square().mean().backward();
        let mut reached = 0;
        for_each_gradient(&model, &gradients, |name, shape, gradient| {
            assert_eq!(gradient.len(), shape.iter().product::<usize>(), "{name}");
            let largest = gradient.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            assert!(
                largest > 1e-8,
                "{block:?}: the gradient of {name} is at most {largest}"
            );
            reached += shape.iter().product::<usize>();
        });
        assert_eq!(reached, model.num_params());
    }
}

#[test]
fn every_input_reaches_the_bottleneck() {
    let device = Device::flex().autodiff();
    let model = network(&config(BlockKind::Plain), &device);
    let x = spectrogram("input", [2, 5, 13], &device).require_grad();
    let bottleneck = model.encode(x.clone());
    assert_eq!(bottleneck.dims(), [2, 12, 3]);
    let slope = x.grad(&bottleneck.square().sum().backward()).unwrap();
    assert!(slope.abs().min().into_scalar::<f32>() > 0.0);
}

#[test]
fn the_paper_preset_has_56_million_parameters() {
    let config = UNet1dConfig {
        in_channels: 513,
        ..UNet1dConfig::default()
    };
    let model = config.init(&Device::flex());
    assert_eq!(model.num_params(), 56_489_217);

    let rows = model.parameters_per_block();
    assert_eq!(
        rows.iter().map(|(_, n)| n).sum::<usize>(),
        model.num_params()
    );
    let names: Vec<&str> = rows.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names.join(" "),
        "stem encoder.0 halve.0 encoder.1 halve.1 encoder.2 halve.2 encoder.3 middle \
         decoder.3 double.2 decoder.2 double.1 decoder.1 double.0 decoder.0 head"
    );
    assert_eq!(rows[0].1, 513 * 128 * 3 + 128);
}

#[test]
fn a_network_survives_its_record() {
    let device = Device::flex();
    for block in KINDS {
        let model = network(&config(block), &device);
        let x = spectrogram("input", [2, 5, 13], &device);
        let expected = values(model.forward(x.clone()));
        let bytes = model.into_record().into_bytes().unwrap();
        let loaded = config(block)
            .init(&device)
            .load_record(ModuleRecord::from_bytes(bytes).unwrap());
        assert_eq!(values(loaded.forward(x)), expected);
    }
}

#[test]
#[should_panic(expected = "takes spectrograms of 5 bins, got 6")]
fn a_spectrogram_with_other_bins_is_refused() {
    let device = Device::flex();
    let model = config(BlockKind::Plain).init(&device);
    model.forward(Tensor::zeros([2, 6, 13], &device));
}

#[test]
#[should_panic(expected = "at least one frame")]
fn a_spectrogram_without_frames_is_refused() {
    let device = Device::flex();
    let model = config(BlockKind::Plain).init(&device);
    model.encode(Tensor::zeros([2, 5, 0], &device));
}
