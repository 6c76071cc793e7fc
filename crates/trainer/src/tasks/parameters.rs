//! Estimation of synthesizer parameters from an encoder's features.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use heads::ParameterEstimate;
use losses::{ParameterLoss, ParameterPrediction};
use stft_data::{EVALUATION_EPOCH, Loader, Order};

use crate::data::batch::TensorBatch;
use crate::run::checkpoint::Checkpoint;
use crate::error::TrainerError;
use crate::training::evaluate::Evaluation;
use crate::settings::experiment::EncoderTraining;
use crate::parameters::feature_encoder::FeatureEncoder;
use crate::parameters::probe_data::ProbeData;
use crate::output::test_examples::listen;
use crate::parameters::nearest::nearest_examples;
use crate::parameters::network::{ParameterEstimator, ParameterNetwork, vectors};
use crate::training::optimizer::LrScale;
use crate::parameters::metrics::{Average, ParameterMetrics};
use crate::parameters::rendering::Renderer;
use crate::data::time_shift::shifted;
use crate::parameters::head_transfer::HeadTransfer;
use crate::training::task::{HeldOut, Scores, Task};

/// Heads on an encoder say what settings of a synthesizer made a sound (Barkan et al. 2023, §3.1, with one head for
/// each parameter in place of one long vector).
///
/// Stages `finetune_parameters_autoencoder` and `finetune_parameters_transformer` are this over their encoders.
/// What the data hides is hidden in training alone.
pub struct ParameterEstimation<E> {
    /// The encoder with its heads.
    pub network: ParameterNetwork<E>,
    /// What becomes of the encoder.
    pub training: EncoderTraining,
    /// The rate of what was learned before, as a multiple of that of the heads.
    pub encoder_lr: f64,
    /// The objective.
    pub loss: ParameterLoss,
    /// Frames by which a sound may begin earlier or later in training.
    pub shift_frames: usize,
    /// Decides on them.
    pub seed: u64,
    /// What the labels say without a sound.
    pub average: Average,
    /// Where the encoder's weights come from; none to begin with new ones.
    pub start: Option<Checkpoint>,
    /// The network whose weights those are, where it had heads too.
    pub giver: Option<ParameterNetwork<E>>,
    /// What goes on of those heads, also where training goes on after an interruption.
    pub head_transfer: Option<HeadTransfer>,
    /// What the linear map is solved from, where there is one.
    pub linear: ProbeData,
}

impl<E: FeatureEncoder> Task for ParameterEstimation<E> {
    type Model = ParameterEstimator<E::Encoder>;

    fn init(&self, device: &Device) -> Self::Model {
        self.network.init(device)
    }

    fn inherit(&self, model: Self::Model, device: &Device) -> Result<Self::Model, TrainerError> {
        let model = match (&self.start, &self.giver) {
            (Some(checkpoint), None) => ParameterEstimator {
                encoder: self.network.encoder.load(checkpoint, device)?,
                ..model
            },
            (Some(checkpoint), Some(giver)) => {
                let given = checkpoint.load_model(giver.init(device))?;
                let (taken, sources) = self.network.transfer_from(giver);
                match taken.outputs {
                    0 => tracing::warn!("of the heads there {taken}"),
                    _ => tracing::info!("of the heads there {taken}"),
                }
                ParameterEstimator {
                    heads: model.heads.inherit(&given.heads, &sources),
                    encoder: given.encoder,
                    bands: if taken.bands {
                        given.bands
                    } else {
                        model.bands
                    },
                    linear: model.linear,
                }
            }
            (None, _) => model,
        };
        Ok(ParameterEstimator {
            linear: match model.linear {
                Some(_) => Some(self.linear.solve(&self.network, device)?),
                None => None,
            },
            ..model
        })
    }

    fn freeze(&self, model: Self::Model) -> Self::Model {
        ParameterEstimator {
            encoder: match self.training {
                EncoderTraining::Finetuned => model.encoder,
                EncoderTraining::Frozen => model.encoder.freeze(),
            },
            linear: model.linear.map(Module::freeze),
            ..model
        }
    }

    fn head_transfer(&self) -> Option<&HeadTransfer> {
        self.head_transfer.as_ref()
    }

    fn lr_scale(&self) -> LrScale {
        LrScale {
            // Bands from there know as much as the encoder.
            parts: match &self.head_transfer {
                Some(taken) if taken.bands => &["encoder", "bands"],
                _ => &["encoder"],
            },
            factor: self.encoder_lr,
        }
    }

    fn scores(&self, model: &Self::Model, batch: &TensorBatch) -> Scores {
        self.score(self.estimate(model, batch), batch)
    }

    /// The labels' mean of each continuous parameter, and the logarithm of each class's share.
    fn baseline(&self, _mean: Tensor<2>, batch: &TensorBatch) -> Scores {
        let n_items = batch.valid_frames.len();
        let device = batch.spectrogram.device();
        let row = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [1, values.len()]);
            Tensor::<2>::from_data(data, &device).expand([n_items, values.len()])
        };
        let logits = self.average.log_shares.iter();
        let estimate = ParameterEstimate {
            continuous: row(&self.average.vector.cont),
            logits: logits.map(|shares| row(shares)).collect(),
        };
        self.score(estimate, batch)
    }

    fn baseline_name(&self) -> &'static str {
        "average of labels"
    }

    fn reconstruct(&self, _model: &Self::Model, _batch: &TensorBatch) -> Option<Tensor<3>> {
        None
    }

    fn test(
        &self,
        best: &Self::Model,
        held_out: &Evaluation,
        shown: usize,
    ) -> Result<Option<HeldOut>, TrainerError> {
        let mut estimates = Vec::new();
        let loader = Loader::new(
            held_out.dataset.clone(),
            Order::Evaluation(held_out.split),
            held_out.batch_size,
            held_out.workers,
            0,
        );
        for batch in loader {
            let batch = TensorBatch::new(&batch?, &held_out.device);
            estimates.extend(vectors(self.estimate(best, &batch)));
        }
        let nearest = nearest_examples(held_out)?;
        let spec = &self.network.spec;
        let rate = held_out.dataset.config().clip.sample_rate_hz;
        let (renderer, not_rendered) = match Renderer::of(spec, rate) {
            Ok(renderer) => (renderer, None),
            Err(reason) => {
                tracing::warn!("what is estimated is not rendered: {reason}");
                (None, Some(reason.to_string()))
            }
        };
        let renderer = renderer.as_ref();
        let illustrations = listen(held_out, spec, renderer, &estimates, shown)?;
        let average = &self.average;
        let test = ParameterMetrics::new(spec, held_out, renderer, average, estimates, nearest)?;
        Ok(test.map(|test| HeldOut {
            test: ParameterMetrics {
                not_rendered,
                ..test
            },
            illustrations,
        }))
    }

    fn parts(&self, model: &Self::Model) -> Vec<(String, usize)> {
        let mut parts = self.network.encoder.parts(&model.encoder);
        for (place, bands) in model.bands.iter().enumerate() {
            parts.push((format!("bands.{place}"), bands.num_params()));
        }
        parts.extend(model.heads.parameters_per_part());
        let linear = model.linear.as_ref();
        parts.extend(linear.map(|linear| ("linear".to_owned(), linear.num_params())));
        parts
    }

    fn activation_elements(&self, batch: usize, frames: usize) -> usize {
        match self.training {
            EncoderTraining::Frozen => 0,
            EncoderTraining::Finetuned => {
                let size = [self.network.bins, frames];
                let bands = self.network.bands.iter();
                let of_bands = bands.map(|bands| bands.activation_elements(batch, size));
                self.network.encoder.activation_elements(batch, frames) + of_bands.sum::<usize>()
            }
        }
    }
}

impl<E: FeatureEncoder> ParameterEstimation<E> {
    /// What `model` says of the sounds in `batch`; in training, what its heads say.
    pub fn estimate(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        batch: &TensorBatch,
    ) -> ParameterEstimate {
        let in_training = batch
            .keys
            .iter()
            .any(|&(epoch, _)| epoch != EVALUATION_EPOCH);
        if in_training {
            let heard = shifted(
                batch.visible(),
                &batch.valid_frames,
                &batch.keys,
                self.seed,
                self.shift_frames,
            );
            return self
                .network
                .estimate_of_heads(model, heard, &batch.valid_frames);
        }
        let heard = batch.spectrogram.clone();
        self.network.estimate(model, heard, &batch.valid_frames)
    }

    fn score(&self, estimate: ParameterEstimate, batch: &TensorBatch) -> Scores {
        let truth = batch
            .truth
            .clone()
            .expect("a stage that learns parameters has labelled sounds");
        let ParameterEstimate { continuous, logits } = estimate;
        let prediction = ParameterPrediction {
            continuous: Some(continuous.clone()),
            logits,
        };
        let scores = self.loss.per_item(prediction, truth.clone());
        let mut terms = Vec::new();
        if let (Some(cont_mse), Some(truth)) = (scores.cont_mse, truth.continuous) {
            terms.push(("param/cont_mse".into(), cont_mse.detach()));
            let error = (continuous.detach() - truth).abs();
            for (place, param) in self.network.spec.continuous().enumerate() {
                let name = format!("param/cont_mae/{}", param.name);
                terms.push((
                    name.into(),
                    error.clone().narrow(1, place, 1).squeeze_dim(1),
                ));
            }
        }
        if let (Some(cross_entropy), Some(correct)) = (scores.cross_entropy, scores.correct) {
            terms.push(("param/cross_entropy".into(), cross_entropy.detach()));
            let mean = correct.clone().mean_dim(1).squeeze_dim(1);
            terms.push(("param/cat_acc_mean".into(), mean));
            for (place, param) in self.network.spec.categorical().enumerate() {
                let name = format!("param/cat_acc/{}", param.name);
                terms.push((
                    name.into(),
                    correct.clone().narrow(1, place, 1).squeeze_dim(1),
                ));
            }
        }
        Scores {
            loss: scores.loss,
            terms,
            counted: None,
        }
    }
}
