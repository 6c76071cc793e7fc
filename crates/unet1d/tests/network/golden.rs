//! Outputs and gradients against PyTorch; `reference/unet1d.py` makes the files and explains the tolerances.

use burn::tensor::Device;
use serde::Deserialize;
use std::collections::HashMap;
use test_fixtures::{assert_close, filled, for_each_gradient, spectrogram};
use unet1d::UNet1dConfig;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    shape: [usize; 3],
    config: UNet1dConfig,
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    shape: Vec<usize>,
}

#[test]
fn plain_network_equals_torch_on_ragged_frames() {
    compare(
        "plain_ragged",
        include_bytes!("../golden/plain_ragged.f32"),
        58,
    );
}

#[test]
fn plain_network_equals_torch_on_frames_that_halve_evenly() {
    compare("plain_even", include_bytes!("../golden/plain_even.f32"), 78);
}

#[test]
fn plain_network_equals_torch_with_more_levels_and_blocks() {
    compare(
        "plain_deep",
        include_bytes!("../golden/plain_deep.f32"),
        126,
    );
}

#[test]
fn residual_network_with_attention_equals_torch() {
    compare(
        "residual_attention",
        include_bytes!("../golden/residual_attention.f32"),
        132,
    );
}

fn compare(name: &str, file: &[u8], n_parameters: usize) {
    let golden: Golden = serde_json::from_str(include_str!("../golden/cases.json")).unwrap();
    let case = golden
        .cases
        .into_iter()
        .find(|case| case.name == name)
        .unwrap();
    let mut values = file
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes));
    let mut take =
        |shape: &[usize]| -> Vec<f32> { values.by_ref().take(shape.iter().product()).collect() };
    let expected_output = take(&case.shape);
    let mut expected: HashMap<String, (Vec<usize>, Vec<f32>)> = HashMap::new();
    for parameter in case.parameters {
        let gradient = take(&parameter.shape);
        expected.insert(parameter.name, (parameter.shape, gradient));
    }
    assert_eq!(
        values.next(),
        None,
        "the golden file is longer than its parts"
    );

    let device = Device::flex().autodiff();
    let model = filled(case.config.init(&device));
    let output = model.forward(spectrogram("input", case.shape, &device));
    let target = spectrogram("target", case.shape, &device);
    let gradients = (output.clone() - target).square().mean().backward();

    let output = output.into_data().try_to_vec::<f32>().unwrap();
    assert_close("the output", &output, &expected_output, 1e-4);
    let mut compared = 0;
    for_each_gradient(&model, &gradients, |name, shape, got| {
        let (expected_shape, expected) = expected
            .remove(name)
            .unwrap_or_else(|| panic!("PyTorch has no parameter {name}"));
        assert_eq!(shape, expected_shape, "{name}");
        let largest = expected.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        assert_close(name, &got, &expected, 1e-3 * largest);
        compared += 1;
    });
    assert_eq!(compared, n_parameters);
    assert!(
        expected.is_empty(),
        "parameters that only PyTorch has: {expected:?}"
    );
}
