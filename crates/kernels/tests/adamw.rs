//! Steps of AdamW, as PyTorch takes them; reference/adamw.py makes the values.

use burn::tensor::{Device, Tensor, TensorData};
use kernels::{AdamWStep, adamw};

#[test]
fn steps_are_those_of_pytorch() {
    let golden: serde_json::Value =
        serde_json::from_str(include_str!("golden/adamw.json")).unwrap();
    let tensor = |values: &serde_json::Value| {
        let values = values.as_array().unwrap().iter();
        let values: Vec<f32> = values.map(|x| x.as_f64().unwrap() as f32).collect();
        let count = values.len();
        Tensor::<1>::from_data(TensorData::new(values, [count]), &Device::flex())
    };
    let mut compared = 0;
    for case in golden["cases"].as_array().unwrap() {
        let number = |key: &str| case[key].as_f64().unwrap();
        let (mut parameter, mut moments) = (tensor(&case["start"]), None);
        let steps = std::iter::zip(
            case["gradients"].as_array().unwrap(),
            case["after"].as_array().unwrap(),
        );
        for (number_of_step, (gradient, after)) in steps.enumerate() {
            let step = AdamWStep {
                time: number_of_step + 1,
                learning_rate: number("lr"),
                weight_decay: number("weight_decay") as f32,
                beta_1: number("beta_1") as f32,
                beta_2: number("beta_2") as f32,
                epsilon: number("epsilon") as f32,
            };
            let (moved, kept) = adamw(step, parameter, tensor(gradient), moments);
            (parameter, moments) = (moved, Some(kept));
            let got: Vec<f32> = parameter.clone().into_data().try_to_vec().unwrap();
            let expected: Vec<f32> = tensor(after).into_data().try_to_vec().unwrap();
            for (got, expected) in got.iter().zip(&expected) {
                assert!(
                    (got - expected).abs() < 1e-5,
                    "step {}: {got}, expected {expected}",
                    step.time
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 2 * 6 * 77);
}
