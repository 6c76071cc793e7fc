//! Values and gradients against PyTorch; `reference/losses.py` makes the file.

use burn::tensor::{Bool, Device, Tensor, TensorData};
use losses::{MagnitudeLoss, Norm, hidden_weights, valid_weights};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    shape: [usize; 3],
    valid_frames: Vec<usize>,
    prediction: Vec<f32>,
    target: Vec<f32>,
    hidden: Vec<bool>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    selection: String,
    norm: Norm,
    per_item: Vec<f32>,
    batch: f32,
    gradient: Vec<f32>,
}

#[test]
fn magnitude_losses_equal_torch() {
    let golden: Golden = serde_json::from_str(include_str!("golden/magnitude.json")).unwrap();
    let device = Device::flex().autodiff();
    let tensor = |values: &[f32]| {
        Tensor::<3>::from_data(TensorData::new(values.to_vec(), golden.shape), &device)
    };
    let mut compared = 0;
    for case in &golden.cases {
        let weights = match case.selection.as_str() {
            "valid" => valid_weights(golden.shape, &golden.valid_frames, &device),
            "hidden" => {
                let hidden = TensorData::new(golden.hidden.clone(), golden.shape);
                let hidden = Tensor::<3, Bool>::from_data(hidden, &device);
                hidden_weights(hidden, &golden.valid_frames)
            }
            other => panic!("the golden file names an unknown selection: {other}"),
        };
        let prediction = tensor(&golden.prediction).require_grad();
        let target = tensor(&golden.target);
        let loss = MagnitudeLoss { norm: case.norm };
        let per_item = loss.per_item(prediction.clone(), target.clone(), weights.clone());
        let batch = loss.forward(prediction.clone(), target, weights);
        let gradient = prediction.grad(&batch.clone().backward()).unwrap();
        compared += close(per_item.into_data(), &case.per_item);
        compared += close(batch.into_data(), &[case.batch]);
        compared += close(gradient.into_data(), &case.gradient);
    }
    assert_eq!(compared, 4 * (3 + 1 + 60));
}

/// Compares to 1e-6 of the largest value, and says how many values that were.
fn close(got: TensorData, expected: &[f32]) -> usize {
    let got = got.try_to_vec::<f32>().unwrap();
    assert_eq!(got.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= 1e-6 * largest,
            "value {i}: expected {expected}, got {got}"
        );
    }
    got.len()
}
