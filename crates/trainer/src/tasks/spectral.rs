//! Distances between whole spectrograms and between sounds, added to a model's own error.

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};
use losses::{
    Composite, CompositeScores, Resolution, Stft, WaveformComposite, WaveformCompositeConfig,
    valid_weights,
};
use stft_data::{Dataset, Normalization};

use crate::data::batch::TensorBatch;
use crate::data::magnitude::magnitude;
use crate::error::TrainerError;
use crate::settings::spectral::SpectralSettings;
use crate::training::task::ScoreName;

/// The baseline of models that reconstruct.
pub(crate) const MEAN_SPECTROGRAM: &str = "mean spectrogram";

/// Distances between whole reconstructions and their targets: of magnitudes, and of sounds.
///
/// The sound of a reconstruction has its magnitudes and the phases of the input ([`Stft::inverse`]).
pub struct SpectralObjective {
    /// Distances of magnitudes with their common weight.
    composite: Option<(Composite, f32)>,
    /// Distances of sounds.
    waveform: Option<WaveformObjective>,
    /// What leads from the model's domain back to magnitudes.
    normalization: Normalization,
}

/// Distances of sounds; their transforms are planned on the device of the first batch.
struct WaveformObjective {
    config: WaveformCompositeConfig,
    resolution: Resolution,
    planned: OnceLock<(WaveformComposite, Stft)>,
}

impl SpectralObjective {
    /// The objective of `settings` for the scale of `dataset`; none where all its weights are 0.
    pub(crate) fn new(
        settings: SpectralSettings,
        dataset: &Dataset,
    ) -> Result<Option<Self>, TrainerError> {
        let data = dataset.config();
        let composite = settings.composite_on(data)?;
        let has_composite = settings.composite_weight > 0.0;
        let has_waveform = settings.compares_sounds();
        settings.waveform.validate()?;
        Ok((has_composite || has_waveform).then(|| Self {
            composite: has_composite.then_some((composite, settings.composite_weight)),
            waveform: has_waveform.then(|| WaveformObjective {
                config: settings.waveform.clone(),
                resolution: Resolution {
                    n_fft: data.stft.n_fft,
                    hop_length: data.stft.hop_length,
                    win_length: data.stft.window_length(),
                },
                planned: OnceLock::new(),
            }),
            normalization: dataset.normalization(),
        }))
    }

    /// The weighted sum of all distances between a normalised prediction and its target, over all valid frames, and each
    /// distance by its name.
    pub(crate) fn scores(&self, prediction: Tensor<3>, batch: &TensorBatch) -> CompositeScores {
        let magnitude = |normalised| magnitude(normalised, self.normalization);
        let predicted = magnitude(prediction);
        let of_magnitudes = self.composite.as_ref().map(|(composite, weight)| {
            let target = batch.spectrogram.clone();
            let weights = valid_weights(target.dims(), &batch.valid_frames, &target.device());
            let scores = composite.scores(predicted.clone(), magnitude(target), weights);
            CompositeScores {
                total: scores.total * *weight,
                ..scores
            }
        });
        let of_sounds = self.waveform.as_ref();
        let of_sounds = of_sounds.map(|waveform| waveform.scores(predicted, batch));
        match (of_magnitudes, of_sounds) {
            (Some(mut scores), Some(of_sounds)) => {
                scores.terms.extend(of_sounds.terms);
                scores.total = scores.total + of_sounds.total;
                scores
            }
            (Some(scores), None) | (None, Some(scores)) => scores,
            (None, None) => unreachable!("an objective without weights is none"),
        }
    }
}

impl WaveformObjective {
    fn scores(&self, magnitude: Tensor<3>, batch: &TensorBatch) -> CompositeScores {
        let sounds = batch.sounds.as_ref();
        let sounds = sounds.expect("the data set of a stage with waveform losses keeps its sounds");
        let [batch_size, samples] = sounds.samples.dims();
        let (composite, stft) = self.planned.get_or_init(|| {
            let device: Device = sounds.samples.device();
            let composite = self.config.init(&device).expect("checked when it was made");
            let stft = self.resolution.init(&device);
            (
                composite.expect("one of its weights isn't 0"),
                stft.expect("the data set has planned the same transform"),
            )
        });
        // Padding is part of what the data set transforms.
        let phases = stft.phases(sounds.samples.clone(), &vec![samples; batch_size]);
        let predicted = stft.inverse(magnitude, &phases, &batch.valid_frames, samples);
        composite.scores(predicted, sounds.samples.clone(), &sounds.valid_samples)
    }
}

/// A loss's terms under their own names.
pub(crate) fn named(
    terms: Vec<(&'static str, Tensor<1>)>,
) -> impl Iterator<Item = (ScoreName, Tensor<1>)> {
    terms
        .into_iter()
        .map(|(name, values)| (name.into(), values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::OpenedSource;
    use crate::settings::experiment::Experiment;
    use stft_data::{EVALUATION_EPOCH, Split};

    /// Every distance has a weight, the multi-resolution STFT loss `of_stft`. Some sounds are shorter than a clip.
    fn batch_and_objective(of_stft: f64) -> (TensorBatch, SpectralObjective) {
        let sounds = tempfile::tempdir().unwrap();
        for (name, samples) in [("a", 1999), ("b", 4000), ("c", 7001), ("d", 3003)] {
            let wave = |i: usize| 0.3 * (i as f32 * 0.07 * samples as f32 / 4000.0).sin() + 0.01;
            let wav = crate::output::wav::wav_file(
                &synth::pcm16(&(0..samples).map(wave).collect::<Vec<_>>()),
                8000,
            );
            std::fs::write(sounds.path().join(format!("{name}.wav")), wav).unwrap();
        }
        let key = "stages.train_autoencoder_nomask_finetune";
        let weights = [
            "composite.spec_l2",
            "composite.itakura_saito",
            "composite.spec_a_weighted",
            "composite.spec_mel",
            "waveform.esr",
            "waveform.dc",
        ];
        let mut settings: Vec<String> = weights.map(|name| format!("{key}.{name}=0.5")).to_vec();
        settings.extend([
            format!("source.path={}", sounds.path().display()),
            "data.clip.seconds=0.6".to_owned(),
            "data.clip.sample_rate_hz=8000".to_owned(),
            "data.stft.n_fft=256".to_owned(),
            "data.stft.hop_length=60".to_owned(),
            "data.stft.win_length=200".to_owned(),
            format!("{key}.composite.mel.bands=20"),
            format!("{key}.waveform.multi_resolution_stft={of_stft}"),
        ]);
        let experiment = Experiment::load(None, &settings).unwrap();
        let source = OpenedSource::open(&experiment).unwrap().source;
        let dataset = Dataset::open(source, &experiment.data, 0)
            .unwrap()
            .with_sounds();
        let items: Vec<(usize, u64)> = [Split::Train, Split::Valid, Split::Test]
            .iter()
            .flat_map(|&split| dataset.indices(split))
            .map(|&index| (index, EVALUATION_EPOCH))
            .collect();
        assert_eq!(items.len(), 4);
        let batch = TensorBatch::new(&dataset.batch(&items).unwrap(), &Device::flex());
        let spectral = experiment.stages.train_autoencoder_nomask_finetune;
        let objective = SpectralObjective::new(spectral.spectral(), &dataset).unwrap();
        (batch, objective.unwrap())
    }

    fn terms(scores: CompositeScores) -> Vec<(&'static str, Vec<f32>)> {
        let values = |items: Tensor<1>| items.into_data().try_to_vec::<f32>().unwrap();
        let terms = scores.terms.into_iter();
        terms.map(|(name, items)| (name, values(items))).collect()
    }

    #[test]
    fn the_target_costs_nothing_and_half_of_it_a_quarter_of_its_energy() {
        let (batch, objective) = batch_and_objective(0.5);
        let exact = terms(objective.scores(batch.spectrogram.clone(), &batch));
        let names: Vec<_> = exact.iter().map(|(name, _)| *name).collect();
        let expected = [
            "spec_l1",
            "spec_l2",
            "spec_sc",
            "spec_log",
            "itakura_saito",
            "spec_a_weighted",
            "spec_mel",
            "lowmag",
            "multi_resolution_stft",
            "esr",
            "dc",
        ];
        assert_eq!(names, expected);
        for (name, items) in exact {
            // Logarithms of bins near silence carry the rounding of the inverse transform.
            let tolerance = if name == "multi_resolution_stft" {
                0.05
            } else {
                1e-5
            };
            assert!(
                items.iter().all(|loss| loss.abs() < tolerance),
                "{name}: {items:?}"
            );
        }

        let Normalization { mean, std } = objective.normalization;
        let halved = magnitude(batch.spectrogram.clone(), objective.normalization) * 0.5;
        let halved = (halved.log1p() - mean) / std;
        for (name, items) in terms(objective.scores(halved, &batch)) {
            if name == "esr" {
                assert!(
                    items.iter().all(|loss| (loss - 0.25).abs() < 1e-3),
                    "{items:?}"
                );
            } else {
                assert!(items.iter().all(|loss| *loss > 0.0), "{name}: {items:?}");
            }
        }
    }

    #[test]
    fn the_gradient_through_the_inverse_transform_is_the_finite_difference() {
        // Logarithms near silence are too steep for a difference in f32.
        let (batch, objective) = batch_and_objective(0.0);
        let device = Device::flex().autodiff();
        let data = (batch.spectrogram.clone() * 0.9).into_data();
        let total = |x: Tensor<3>| {
            let waveform = objective.waveform.as_ref().unwrap();
            waveform
                .scores(magnitude(x, objective.normalization), &batch)
                .total
                .sum()
        };
        let x = Tensor::<3>::from_data(data.clone(), &device).require_grad();
        let gradient = x.grad(&total(x.clone()).backward()).unwrap();
        // Along a direction, so that f32 resolves the difference.
        let direction = gradient.clone() / gradient.clone().square().sum().sqrt().unsqueeze::<3>();
        let slope: f32 = (gradient * direction.clone()).sum().into_scalar();
        let at = |step: f32| -> f32 {
            let moved =
                Tensor::<3>::from_data(data.clone(), &Device::flex()) + direction.clone() * step;
            total(moved).into_scalar()
        };
        let difference = (at(0.02) - at(-0.02)) / 0.04;
        assert!(
            (slope - difference).abs() < 0.02 * slope,
            "{slope} {difference}"
        );
    }
}
