//! Renders of estimated parameters by an embedded voice, and their distances from the sounds.

use std::collections::BTreeMap;
use std::num::NonZero;

use distances::{DistanceError, Panel};
use params::{ParamSpec, ParamVector, Patch};
use stft_data::{Audio, Dataset, EVALUATION_EPOCH, resample};
use synth::Voice;

use crate::error::TrainerError;

/// Distances by name, as `compare` has them.
pub type Distances = BTreeMap<&'static str, f64>;

/// Renders patches of an embedded voice at one rate, and compares them with sounds.
#[derive(Debug)]
pub struct Renderer {
    voice: Voice,
    panel: Panel,
}

impl Renderer {
    /// Of `voice`, for sounds at `sample_rate_hz`.
    ///
    /// # Errors
    /// The distances aren't defined for this rate.
    pub fn new(voice: Voice, sample_rate_hz: u32) -> Result<Self, DistanceError> {
        Ok(Self {
            voice,
            panel: Panel::new(sample_rate_hz)?,
        })
    }

    /// One for the estimates of `spec` at `sample_rate_hz`; none for those of another synthesizer.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn of(spec: &ParamSpec, sample_rate_hz: u32) -> Result<Option<Self>, DistanceError> {
        let voice = Voice::of(spec);
        voice
            .map(|voice| Self::new(voice, sample_rate_hz))
            .transpose()
    }

    /// Renders `patch` as long as `sound`, which may have another rate.
    ///
    /// # Errors
    /// The patch isn't one of the voice's, or `sound` can't be resampled or compared.
    pub fn render_as_long_as(
        &self,
        sound: &Audio,
        patch: &Patch,
    ) -> Result<(Audio, Distances), TrainerError> {
        let sample_rate_hz = self.panel.sample_rate_hz();
        let target = resample(sound, sample_rate_hz)?;
        let mut samples = vec![0.0; target.samples.len()];
        self.voice.render(patch, sample_rate_hz, &mut samples)?;
        let rendered = Audio {
            samples,
            sample_rate_hz,
        };
        let score = self.panel.score(&target, &rendered)?;
        let distances = BTreeMap::from([
            ("mss", score.mss),
            ("wmfcc", score.wmfcc),
            ("sot", score.sot),
            ("rms_cosine", score.rms_cosine),
            ("logmel_l1", score.logmel_l1),
        ]);
        Ok((rendered, distances))
    }

    /// Mean distances between the examples `indices` and renders of their estimates, for each of `N` estimators, whose
    /// `estimates` are in the order of `indices`. A sound is read once for all of them.
    ///
    /// # Errors
    /// As [`render_as_long_as`](Self::render_as_long_as), or an example can't be read.
    pub(crate) fn mean_distances<const N: usize>(
        &self,
        dataset: &Dataset,
        indices: &[usize],
        estimates: [&[ParamVector]; N],
    ) -> Result<[BTreeMap<String, f64>; N], TrainerError> {
        let distances_of = |place: usize| {
            let sound = evaluated_sound(dataset, indices[place])?;
            let mut of_each = [const { Distances::new() }; N];
            for (distances, estimates) in of_each.iter_mut().zip(estimates) {
                let patch = self.voice.spec().decode(&estimates[place])?;
                (_, *distances) = self.render_as_long_as(&sound, &patch)?;
            }
            Ok(of_each)
        };
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let share = indices.len().div_ceil(threads).max(1);
        let places: Vec<usize> = (0..indices.len()).collect();
        let of_each: Result<Vec<Vec<_>>, TrainerError> = std::thread::scope(|scope| {
            let working: Vec<_> = places
                .chunks(share)
                .map(|places| {
                    scope.spawn(move || places.iter().copied().map(distances_of).collect())
                })
                .collect();
            let done = working.into_iter().map(|thread| thread.join());
            done.map(|done| done.expect("comparing sounds doesn't panic"))
                .collect()
        });
        // In their order, so that the number of threads changes no digit.
        let mut means = [const { BTreeMap::<String, f64>::new() }; N];
        for of_one in of_each?.into_iter().flatten() {
            for (means, distances) in means.iter_mut().zip(of_one) {
                for (name, distance) in distances {
                    *means.entry(name.to_owned()).or_default() += distance / indices.len() as f64;
                }
            }
        }
        Ok(means)
    }
}

/// The sound of an example as it is evaluated, without padding.
pub(crate) fn evaluated_sound(dataset: &Dataset, index: usize) -> Result<Audio, TrainerError> {
    let mut clip = dataset.clip(index, EVALUATION_EPOCH)?;
    clip.samples.truncate(clip.valid_samples);
    Ok(Audio {
        samples: clip.samples,
        sample_rate_hz: dataset.config().clip.sample_rate_hz,
    })
}
