//! Estimation of synthesizer parameters from an encoder's features.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use heads::ParameterEstimate;
use losses::{ParameterLoss, ParameterPrediction};
use stft_data::{EVALUATION_EPOCH, Loader, Order};

use crate::data::batch::TensorBatch;
use crate::data::time_shift::time_shifted;
use crate::error::TrainerError;
use crate::parameters::average::Average;
use crate::parameters::feature_encoder::FeatureEncoder;
use crate::parameters::head_transfer::HeadTransfer;
use crate::parameters::measure::{Estimates, measure};
use crate::parameters::metrics::ParameterMetrics;
use crate::parameters::nearest::nearest_examples;
use crate::parameters::network::{ParameterEstimator, ParameterNetwork, vectors};
use crate::parameters::probe_data::ProbeData;
use crate::parameters::rendering::Renderer;
use crate::parameters::test_examples::test_examples;
use crate::run::checkpoint::Checkpoint;
use crate::settings::stages::EncoderTraining;
use crate::training::evaluation::Evaluation;
use crate::training::optimizer::LrScale;
use crate::training::parameter_terms::EstimatedParameters;
use crate::training::task::{HeldOut, Scores, Task};

/// Heads on an encoder estimate the settings of the synthesizer that made a sound (Barkan et al. 2023, §3.1, with one head
/// for each parameter in place of one long vector).
///
/// Stages `finetune_parameters_autoencoder` and `finetune_parameters_transformer` are this over their encoders.
/// The mask of the data applies in training alone.
pub struct ParameterEstimation<E> {
    /// The encoder with its heads.
    pub network: ParameterNetwork<E>,
    /// Whether the encoder is trained.
    pub training: EncoderTraining,
    /// Learning rate of pretrained parts, as a multiple of the heads'.
    pub encoder_lr: f64,
    /// The objective.
    pub loss: ParameterLoss,
    /// Frames by which a sound may start earlier or later in training.
    pub shift_frames: usize,
    /// Seed of these time shifts.
    pub seed: u64,
    /// The average of the labels.
    pub average: Average,
    /// Checkpoint with the encoder's weights; none for new ones.
    pub start: Option<Checkpoint>,
    /// The network of that checkpoint, where it has heads too.
    pub source: Option<ParameterNetwork<E>>,
    /// What the heads inherit from there, also where training resumes.
    pub head_transfer: Option<HeadTransfer>,
    /// What the linear probe is fitted to, where there is one.
    pub probe: ProbeData,
}

impl<E: FeatureEncoder> Task for ParameterEstimation<E> {
    type Model = ParameterEstimator<E::Encoder>;

    fn init(&self, device: &Device) -> Self::Model {
        self.network.init(device)
    }

    fn inherit(&self, model: Self::Model, device: &Device) -> Result<Self::Model, TrainerError> {
        let model = match (&self.start, &self.source) {
            (Some(checkpoint), None) => ParameterEstimator {
                encoder: self.network.encoder.load(checkpoint, device)?,
                ..model
            },
            (Some(checkpoint), Some(source)) => {
                let pretrained = checkpoint.load_model(source.init(device))?;
                self.transfer(model, pretrained, source)
            }
            (None, _) => model,
        };
        Ok(ParameterEstimator {
            linear: match model.linear {
                Some(_) => Some(self.probe.fit(&self.network, device)?),
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
            // Transferred band networks are as well trained as the encoder.
            parts: match &self.head_transfer {
                Some(transfer) if transfer.bands => &["encoder", "bands"],
                _ => &["encoder"],
            },
            factor: self.encoder_lr,
        }
    }

    fn scores(&self, model: &Self::Model, batch: &TensorBatch) -> Scores {
        self.score(self.estimate(model, batch), batch)
    }

    /// The labels' mean of each continuous parameter, and the log frequency of each class.
    fn baseline(&self, _mean: Tensor<2>, batch: &TensorBatch) -> Scores {
        let n_items = batch.valid_frames.len();
        let device = batch.spectrogram.device();
        let row = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [1, values.len()]);
            Tensor::<2>::from_data(data, &device).expand([n_items, values.len()])
        };
        let logits = self.average.log_shares.iter();
        let estimate = ParameterEstimate {
            continuous: Some(&self.average.vector.cont)
                .filter(|positions| !positions.is_empty())
                .map(|positions| row(positions)),
            logits: logits.map(|shares| row(shares)).collect(),
        };
        self.score(estimate, batch)
    }

    fn baseline_name(&self) -> &'static str {
        "average of labels"
    }

    fn test(
        &self,
        best: &Self::Model,
        held_out: &Evaluation,
        shown: usize,
    ) -> Result<Option<HeldOut>, TrainerError> {
        let mut heads = Vec::new();
        let loader = Loader::new(
            held_out.dataset.clone(),
            Order::Evaluation(held_out.split),
            held_out.batch_size,
            held_out.workers,
            0,
        );
        for batch in loader {
            let batch = TensorBatch::new(&batch?, &held_out.device);
            let n_items = batch.valid_frames.len();
            heads.extend(vectors(self.estimate(best, &batch), n_items));
        }
        let spec = &self.network.spec;
        let rate = held_out.dataset.config().clip.sample_rate_hz;
        let (renderer, not_rendered) = match Renderer::of(spec, rate) {
            Ok(renderer) => (renderer, None),
            Err(reason) => {
                tracing::warn!("estimates are not rendered: {reason}");
                (None, Some(reason.to_string()))
            }
        };
        let renderer = renderer.as_ref();
        let illustrations = test_examples(held_out, spec, renderer, &heads, shown)?;
        let estimates = Estimates {
            heads,
            nearest: nearest_examples(held_out)?,
        };
        let metrics = measure(spec, held_out, renderer, &self.average, estimates)?;
        Ok(metrics.map(|metrics| HeldOut {
            metrics: ParameterMetrics {
                not_rendered,
                ..metrics
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
        let probe = model.linear.as_ref();
        parts.extend(probe.map(|probe| ("linear".to_owned(), probe.num_params())));
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
    /// `model` with the encoder, and with those band networks and head outputs of `pretrained` that match.
    fn transfer(
        &self,
        model: ParameterEstimator<E::Encoder>,
        pretrained: ParameterEstimator<E::Encoder>,
        source: &ParameterNetwork<E>,
    ) -> ParameterEstimator<E::Encoder> {
        let (transfer, sources) = self.network.transfer_from(source);
        match transfer.outputs {
            0 => tracing::warn!("heads: {transfer}"),
            _ => tracing::info!("heads: {transfer}"),
        }
        ParameterEstimator {
            heads: model.heads.inherit(&pretrained.heads, &sources),
            encoder: pretrained.encoder,
            bands: match transfer.bands {
                true => pretrained.bands,
                false => model.bands,
            },
            linear: model.linear,
        }
    }

    /// `model`'s estimates for the sounds in `batch`; in training those of its heads alone.
    pub fn estimate(
        &self,
        model: &ParameterEstimator<E::Encoder>,
        batch: &TensorBatch,
    ) -> ParameterEstimate {
        let valid_frames = &batch.valid_frames;
        let mut epochs = batch.keys.iter().map(|&(epoch, _)| epoch);
        if epochs.any(|epoch| epoch != EVALUATION_EPOCH) {
            let augmented = time_shifted(
                batch.visible(),
                valid_frames,
                &batch.keys,
                self.seed,
                self.shift_frames,
            );
            return self
                .network
                .estimate_of_heads(model, augmented, valid_frames);
        }
        let spectrogram = batch.spectrogram.clone();
        self.network.estimate(model, spectrogram, valid_frames)
    }

    fn score(&self, estimate: ParameterEstimate, batch: &TensorBatch) -> Scores {
        let truth = batch
            .truth
            .clone()
            .expect("a stage that learns parameters has labelled sounds");
        let ParameterEstimate { continuous, logits } = estimate;
        let prediction = ParameterPrediction { continuous, logits };
        let scores = self.loss.per_item(prediction.clone(), truth);
        let cross_entropy = scores.cross_entropy.into_iter();
        let terms = cross_entropy.map(|items| ("param/cross_entropy".into(), items.detach()));
        Scores {
            loss: scores.loss,
            terms: terms.collect(),
            counted: None,
            parameters: Some(EstimatedParameters::of(&self.network.spec, prediction)),
        }
    }
}
