use std::sync::Arc;

use params::keyed_rng;

use crate::config::DataConfig;
use crate::dataset::batch::{Example, SpectrogramBatch};
use crate::dataset::chain::Chain;
use crate::dataset::epoch::EVALUATION_EPOCH;
use crate::dataset::memory_cache::MemoryCache;
use crate::dataset::split::{Split, SplitConfig};
use crate::error::DataError;
use crate::source::Source;
use crate::transform::clip::Clip;
use crate::transform::mask::MaskConfig;
use crate::transform::normalize::Normalization;
use crate::transform::spectrogram::Spectrogram;
use crate::transform::statistics::{LogSpectrogram, Statistics, TrainStatistics};
use crate::transform::stft::Stft;

/// Label of the [`keyed_rng`] stream of masks.
const MASK_STREAM: u64 = u64::from_le_bytes(*b"datamask");

/// A source of sounds, split, with all settings that turn sounds into examples.
///
/// An example is a function of the configuration, the seed, the epoch and the content of the sound. It
/// doesn't depend on the other sounds (except for normalisation), on the order of calls, or on threads.
///
/// Clones share the source and the cached sounds.
#[derive(Clone)]
pub struct Dataset {
    config: DataConfig,
    seed: u64,
    normalization: Normalization,
    /// Indices that replace the training split, if only a part of it is used.
    train: Option<Arc<[usize]>>,
    evaluates_beginnings: bool,
    keeps_sounds: bool,
    shared: Arc<Shared>,
}

/// The part that is independent of masks and normalisation.
struct Shared {
    source: Arc<dyn Source>,
    stft: Stft,
    splits: [Vec<usize>; 3],
    cache: MemoryCache,
    statistics: TrainStatistics,
}

impl Dataset {
    /// Splits the source's sounds and reads the training split once, for the mean and the standard
    /// deviation of normalisation. Of a sound longer than a clip, the crop of [`EVALUATION_EPOCH`] is
    /// used.
    ///
    /// # Errors
    /// If the configuration is invalid, there are too few different sounds to split, a training sound
    /// can't be loaded, or all of them are silent.
    pub fn open(
        source: Arc<dyn Source>,
        config: &DataConfig,
        seed: u64,
    ) -> Result<Dataset, DataError> {
        Self::assemble(source, config, seed, |splits, chain| {
            let train = &splits[Split::Train as usize];
            let statistics = Statistics::over(train, [config.bins(), config.frames()], |index| {
                chain.log_spectrogram(index, EVALUATION_EPOCH)
            })?;
            statistics.finish().ok_or(DataError::NoVariation {
                examples: train.len(),
            })
        })
    }

    /// Splits the source's sounds and uses given statistics of the training split. Loads no sound.
    ///
    /// # Errors
    /// If the configuration is invalid, there are too few different sounds to split, or the statistics
    /// belong to spectrograms of another size.
    pub fn open_with(
        source: Arc<dyn Source>,
        config: &DataConfig,
        seed: u64,
        statistics: TrainStatistics,
    ) -> Result<Dataset, DataError> {
        let Spectrogram { bins, frames, .. } = statistics.mean_log1p;
        if [bins, frames] != [config.bins(), config.frames()] {
            return Err(DataError::Config {
                field: "stft",
                expected: format!("one of {bins} bins and {frames} frames, as in the statistics"),
                got: format!("{} and {}", config.bins(), config.frames()),
            });
        }
        Self::assemble(source, config, seed, |_, _| Ok(statistics))
    }

    fn assemble(
        source: Arc<dyn Source>,
        config: &DataConfig,
        seed: u64,
        statistics: impl FnOnce(&[Vec<usize>; 3], Chain) -> Result<TrainStatistics, DataError>,
    ) -> Result<Dataset, DataError> {
        config.validate()?;
        let stft = Stft::new(&config.stft)?;
        let splits = split_indices(&*source, &config.split)?;
        let cache = MemoryCache::new(source.len(), config.cache_mib.saturating_mul(1 << 20));
        let chain = Chain {
            source: &*source,
            config,
            seed,
            stft: &stft,
            cache: &cache,
            evaluates_beginnings: false,
        };
        let statistics = statistics(&splits, chain)?;
        Ok(Dataset {
            config: *config,
            seed,
            normalization: statistics.normalization,
            train: None,
            evaluates_beginnings: false,
            keeps_sounds: false,
            shared: Arc::new(Shared {
                source,
                stft,
                splits,
                cache,
                statistics,
            }),
        })
    }

    /// The same data with another normalisation, such as that of a checkpoint.
    pub fn with_normalization(&self, normalization: Normalization) -> Dataset {
        Dataset {
            normalization,
            ..self.clone()
        }
    }

    /// The same data, where evaluation uses the beginning of a long sound, with its attack, instead of
    /// the crop that is drawn for [`EVALUATION_EPOCH`]. Training and statistics still use drawn crops.
    pub fn evaluating_beginnings(&self) -> Dataset {
        Dataset {
            evaluates_beginnings: true,
            ..self.clone()
        }
    }

    /// The same data, where examples and batches hold their clips as well.
    pub fn with_sounds(&self) -> Dataset {
        Dataset {
            keeps_sounds: true,
            ..self.clone()
        }
    }

    /// The same data with another mask.
    ///
    /// # Errors
    /// [`DataError::Config`] if the mask is invalid.
    pub fn with_mask(&self, mask: MaskConfig) -> Result<Dataset, DataError> {
        mask.validate()?;
        let config = DataConfig {
            mask,
            ..self.config
        };
        Ok(Dataset {
            config,
            ..self.clone()
        })
    }

    /// The same data with only `indices` of the training split. Normalisation, mean spectrogram and the
    /// other splits stay the same.
    ///
    /// # Panics
    /// If `indices` is empty or holds an index outside the training split.
    pub fn with_training(&self, indices: &[usize]) -> Dataset {
        let train = &self.shared.splits[Split::Train as usize];
        assert!(
            !indices.is_empty(),
            "expected at least one example to train on"
        );
        if let Some(index) = indices
            .iter()
            .find(|index| train.binary_search(index).is_err())
        {
            panic!("expected examples of the training split, got {index}");
        }
        let mut indices = indices.to_vec();
        indices.sort_unstable();
        Dataset {
            train: Some(indices.into()),
            ..self.clone()
        }
    }

    /// Mean and standard deviation of the training split's log1p magnitudes.
    pub fn normalization(&self) -> Normalization {
        self.normalization
    }

    /// Statistics of the training split.
    pub fn statistics(&self) -> &TrainStatistics {
        &self.shared.statistics
    }

    /// Indices in the source of the examples of a split, ascending. Empty only for a split whose share
    /// is 0, or for the test split of two different sounds.
    pub fn indices(&self, split: Split) -> &[usize] {
        match (split, &self.train) {
            (Split::Train, Some(some)) => some,
            _ => &self.shared.splits[split as usize],
        }
    }

    /// Mean over the training examples at each bin and frame, normalised, `[bins, frames]`: a baseline
    /// prediction. Frames that no training example reaches hold the mean of their bin.
    pub fn mean_spectrogram(&self) -> Spectrogram {
        self.shared.statistics.mean_spectrogram(self.normalization)
    }

    /// Number of frequency bins of every example.
    pub fn bins(&self) -> usize {
        self.config.bins()
    }

    /// Number of frames of every example.
    pub fn frames(&self) -> usize {
        self.config.frames()
    }

    /// The STFT between clips and spectrograms.
    pub fn stft(&self) -> &Stft {
        &self.shared.stft
    }

    /// The configuration, with the mask of [`with_mask`](Dataset::with_mask).
    pub fn config(&self) -> &DataConfig {
        &self.config
    }

    /// Seed of crops, masks and the training order.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The source of the sounds.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.shared.source
    }

    /// The clip of sound `index` in an epoch.
    ///
    /// # Errors
    /// If the sound can't be loaded or resampled.
    pub fn clip(&self, index: usize, epoch: u64) -> Result<Clip, DataError> {
        self.chain().clip(index, epoch)
    }

    /// The example of sound `index` in an epoch.
    ///
    /// # Errors
    /// If the sound can't be loaded or resampled.
    pub fn example(&self, index: usize, epoch: u64) -> Result<Example, DataError> {
        let chain = self.chain();
        let clip = chain.clip(index, epoch)?;
        let LogSpectrogram {
            mut spectrogram,
            valid_frames,
        } = chain.log_spectrogram_of(&clip);
        let Spectrogram { bins, frames, .. } = spectrogram;
        for row in spectrogram.values.chunks_exact_mut(frames) {
            for value in &mut row[..valid_frames] {
                *value = self.normalization.apply(*value);
            }
        }
        let id = self.shared.source.fingerprint(index).id();
        let mut rng = keyed_rng([self.seed, MASK_STREAM, epoch, id]);
        Ok(Example {
            hidden: self.config.mask.draw(bins, frames, valid_frames, &mut rng),
            spectrogram: spectrogram.values,
            valid_frames,
            sound: self.keeps_sounds.then_some(clip),
            truth: self.shared.source.truth(index),
            id,
            epoch,
            index,
        })
    }

    /// The examples of `(index, epoch)` pairs, stacked in their order.
    ///
    /// # Errors
    /// The first error of an example.
    pub fn batch(&self, items: &[(usize, u64)]) -> Result<SpectrogramBatch, DataError> {
        let batch = self.batch_while(items, || true)?;
        Ok(batch.expect("nothing stopped it"))
    }

    /// As [`batch`](Dataset::batch), but none as soon as `wanted` is false before an example.
    pub(crate) fn batch_while(
        &self,
        items: &[(usize, u64)],
        wanted: impl Fn() -> bool,
    ) -> Result<Option<SpectrogramBatch>, DataError> {
        let _batch = tracing::debug_span!("make_batch").entered();
        let mut examples = Vec::with_capacity(items.len());
        for &(index, epoch) in items {
            if !wanted() {
                return Ok(None);
            }
            examples.push(self.example(index, epoch)?);
        }
        let stacked = SpectrogramBatch::stack(examples, self.bins(), self.frames());
        Ok(Some(stacked))
    }

    fn chain(&self) -> Chain<'_> {
        Chain {
            source: &*self.shared.source,
            config: &self.config,
            seed: self.seed,
            stft: &self.shared.stft,
            cache: &self.shared.cache,
            evaluates_beginnings: self.evaluates_beginnings,
        }
    }
}

fn split_indices(source: &dyn Source, config: &SplitConfig) -> Result<[Vec<usize>; 3], DataError> {
    let fingerprints: Vec<_> = (0..source.len())
        .map(|index| source.fingerprint(index))
        .collect();
    let mut splits = [Vec::new(), Vec::new(), Vec::new()];
    for (index, split) in config.assign(&fingerprints)?.into_iter().enumerate() {
        splits[split as usize].push(index);
    }
    Ok(splits)
}
