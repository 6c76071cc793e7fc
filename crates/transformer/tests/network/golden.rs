//! Outputs and gradients against PyTorch; `reference/transformer.py` makes the files and explains the
//! tolerances.

use crate::masks::{hidden, visible_rows};
use burn::module::Module;
use burn::tensor::{Bool, Device, Gradients, Tensor};
use serde::Deserialize;
use std::collections::HashMap;
use test_fixtures::{assert_close, filled, for_each_gradient, spectrogram};
use transformer::{Encoder, Patches, TransformerConfig};

#[derive(Deserialize)]
struct Golden {
    shape: [usize; 3],
    valid_frames: Vec<usize>,
    cases: Vec<CaseEntry>,
}

#[derive(Deserialize)]
struct CaseEntry {
    name: String,
    config: TransformerConfig,
    outputs: HashMap<String, usize>,
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
struct Parameter {
    name: String,
    shape: Vec<usize>,
}

/// One case: its inputs and the expected values that are not compared yet.
struct Case {
    config: TransformerConfig,
    device: Device,
    x: Tensor<3>,
    valid_frames: Vec<usize>,
    outputs: HashMap<&'static str, Vec<f32>>,
    gradients: HashMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Case {
    fn read(name: &str, file: &[u8], order: &[&'static str]) -> Self {
        let golden: Golden = serde_json::from_str(include_str!("../golden/cases.json")).unwrap();
        let case = golden.cases.into_iter().find(|case| case.name == name);
        let case = case.unwrap();
        let mut values = file
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes));
        let mut take = |n: usize| -> Vec<f32> { values.by_ref().take(n).collect() };
        assert_eq!(case.outputs.len(), order.len());
        let outputs = order.iter().map(|&key| (key, take(case.outputs[key])));
        let outputs = outputs.collect();
        let gradients = case
            .parameters
            .into_iter()
            .map(|p| (p.name, (p.shape.clone(), take(p.shape.iter().product()))))
            .collect();
        assert_eq!(values.next(), None, "the file is longer than its parts");
        let device = Device::flex().autodiff();
        Self {
            config: case.config,
            x: spectrogram("input", golden.shape, &device),
            device,
            valid_frames: golden.valid_frames,
            outputs,
            gradients,
        }
    }

    fn compare(&mut self, what: &'static str, got: &[f32]) {
        let expected = self.outputs.remove(what).unwrap();
        assert!(!expected.is_empty());
        assert_close(what, got, &expected, 1e-4);
    }

    /// Compares the encoder's outputs, which every case has.
    fn compare_encoder(&mut self, encoder: &Encoder) -> (Patches, Tensor<2, Bool>) {
        let patches = encoder.patchify(self.x.clone(), &self.valid_frames);
        let [batch, tokens, _] = patches.values.dims();
        let hidden = hidden([batch, tokens], &self.device);
        let memory = encoder.forward(&patches, hidden.clone());
        self.compare(
            "memory",
            &visible_rows(memory.values, memory.hidden.as_ref()),
        );
        let features = encoder.encode(&patches);
        self.compare(
            "features",
            &visible_rows(features.tokens, features.padding.as_ref()),
        );
        let pooled: Vec<f32> = features.pooled.into_data().try_to_vec().unwrap();
        self.compare("pooled", &pooled);
        (patches, hidden)
    }

    fn compare_gradients(mut self, module: &impl Module, gradients: &Gradients, count: usize) {
        let mut compared = 0;
        for_each_gradient(module, gradients, |name, shape, got| {
            let (expected_shape, expected) = self
                .gradients
                .remove(name)
                .unwrap_or_else(|| panic!("PyTorch has no parameter {name}"));
            assert_eq!(shape, expected_shape, "{name}");
            let largest = expected.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
            if got.is_empty() {
                assert_eq!(largest, 0.0, "{name} has no gradient");
            } else {
                assert_close(name, &got, &expected, 1e-3 * largest);
            }
            compared += 1;
        });
        assert_eq!(compared, count);
        assert!(
            self.gradients.is_empty(),
            "parameters that only PyTorch has: {:?}",
            self.gradients.keys()
        );
        assert!(self.outputs.is_empty());
    }
}

fn compare_masked(name: &str, file: &[u8], count: usize) {
    let mut case = Case::read(name, file, &["memory", "features", "pooled", "predicted"]);
    let model = filled(case.config.init(&case.device));
    let (patches, hidden) = case.compare_encoder(&model.encoder);
    let predicted = model.forward(&patches, hidden.clone());
    case.compare(
        "predicted",
        &visible_rows(predicted.clone(), patches.padding.as_ref()),
    );
    let weights = patches.hidden_weights(hidden);
    let distance = (predicted - model.targets(&patches)).square() * weights.clone();
    let gradients = (distance.sum() / weights.sum()).backward();
    case.compare_gradients(&model, &gradients, count);
}

fn compare_contrastive(name: &str, file: &[u8], count: usize) {
    let order = ["memory", "features", "pooled", "queries", "keys"];
    let mut case = Case::read(name, file, &order);
    let model = filled(case.config.init_contrastive(&case.device));
    let (patches, hidden) = case.compare_encoder(&model.encoder);
    let contrast = model.forward(&patches, hidden.clone());
    let padding = patches.padding.as_ref();
    case.compare("queries", &visible_rows(contrast.queries.clone(), padding));
    case.compare("keys", &visible_rows(contrast.keys.clone(), padding));
    let [_, _, proj_dim] = contrast.keys.dims();
    let weights = (hidden.float() * patches.token_weights()).unsqueeze_dim::<3>(2);
    let distance = (contrast.queries - contrast.keys).square() * weights.clone();
    let gradients = (distance.sum() / (weights.sum() * proj_dim as f64)).backward();
    case.compare_gradients(&model, &gradients, count);
}

#[test]
fn masked_transformer_of_all_tokens_equals_torch() {
    let file = include_bytes!("../golden/masked_all.f32");
    compare_masked("masked_all", file, 60);
}

#[test]
fn masked_transformer_of_visible_tokens_equals_torch() {
    let file = include_bytes!("../golden/masked_visible.f32");
    compare_masked("masked_visible", file, 61);
}

#[test]
fn contrastive_transformer_of_all_tokens_equals_torch() {
    let file = include_bytes!("../golden/contrastive_all.f32");
    compare_contrastive("contrastive_all", file, 36);
}

#[test]
fn contrastive_transformer_of_visible_tokens_equals_torch() {
    let file = include_bytes!("../golden/contrastive_visible.f32");
    compare_contrastive("contrastive_visible", file, 63);
}
