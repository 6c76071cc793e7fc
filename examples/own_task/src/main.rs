//! A task of one's own in the trainer's loop: a linear layer on the mean spectrum estimates a filter's cutoff and type.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::{log_softmax, sigmoid};
use burn::tensor::{Device, Tensor};
use trainer::{Devices, EstimatedParameters, Experiment, Scores, Session, Task, TensorBatch};

#[derive(Module, Debug)]
struct FilterModel {
    linear: Linear,
}

struct FilterTask {
    bins: usize,
    /// Places of both among the synthesizer's continuous and categorical parameters.
    places: [usize; 2],
}

impl FilterTask {
    fn score(&self, outputs: Tensor<2>, batch: &TensorBatch) -> Scores {
        let truth = batch.truth.clone().expect("labelled sounds");
        let (positions, classes) = (truth.continuous.unwrap(), truth.classes.unwrap());
        let (cutoff, logits) = (
            sigmoid(outputs.clone().narrow(1, 0, 1)),
            outputs.narrow(1, 1, 3),
        );
        let error = cutoff.clone() - positions.narrow(1, self.places[0], 1);
        let right = log_softmax(logits.clone(), 1).gather(1, classes.narrow(1, self.places[1], 1));
        // The loop logs the errors of these parameters by itself.
        let parameters = EstimatedParameters {
            continuous: vec![("cutoff_hz".into(), cutoff.squeeze_dim(1))],
            logits: vec![("filter_type".into(), logits)],
        };
        Scores::new((error.square() - right).squeeze_dim(1)).estimating(parameters)
    }
}

impl Task for FilterTask {
    type Model = FilterModel;

    fn init(&self, device: &Device) -> FilterModel {
        let linear = LinearConfig::new(self.bins, 4).init(device);
        FilterModel { linear }
    }

    fn scores(&self, model: &FilterModel, batch: &TensorBatch) -> Scores {
        let spectrum: Tensor<2> = batch.spectrogram.clone().mean_dim(2).squeeze_dim(2);
        self.score(model.linear.forward(spectrum), batch)
    }

    fn baseline(&self, _mean: Tensor<2>, batch: &TensorBatch) -> Scores {
        let items = batch.valid_frames.len();
        self.score(
            Tensor::zeros([items, 4], &batch.spectrogram.device()),
            batch,
        )
    }

    fn baseline_name(&self) -> &'static str {
        "equal chances"
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let settings = [
        "source.synth_examples=200",
        "training.steps=60",
        "training.lr=1e-2",
    ];
    let experiment = Experiment::load(None, &settings.map(String::from))?;
    let session = Session::open(experiment, None)?;
    let spec = session.parameters().ok_or("labels")?;
    let cutoff = spec
        .continuous()
        .position(|param| param.name == "cutoff_hz");
    let filter_type = spec
        .categorical()
        .position(|param| param.name == "filter_type");
    let task = FilterTask {
        bins: session.dataset().bins(),
        places: [
            cutoff.ok_or("no cutoff")?,
            filter_type.ok_or("no filter type")?,
        ],
    };
    let training = &session
        .experiment()
        .stages
        .pretrain_autoencoder_mae
        .training;
    let fit = session.fit("filter", training, Devices::of(Device::flex(), "cpu"));
    let (baseline, fitted) = (
        fit.evaluation().baseline(&task)?,
        fit.run(&task, None, None, &mut [])?,
    );
    for ((name, trained), (_, before)) in fitted.scores.iter().zip(&baseline) {
        println!("{name:<30} {trained:.3}, without training {before:.3}");
    }
    assert!(fitted.scores[0].1 < baseline[0].1, "the loss has to fall");
    Ok(())
}
