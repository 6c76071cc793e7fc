//! Examples, statistics and loaders, through the public API.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use params::ParamVector;
use sha2::{Digest, Sha256};
use stft_data::{
    Audio, ClipConfig, DataConfig, DataError, Dataset, EVALUATION_EPOCH, Example, Fingerprint,
    Loader, MAX_SAMPLE, MaskConfig, MaskStrategy, Normalization, Order, Source, SpectrogramBatch,
    Split, SplitConfig, Stft, StftConfig, log1p,
};

const RATE_HZ: u32 = 4_000;

/// Decaying tones of different lengths. Sound `number` is the same in every source.
struct Tones {
    numbers: Vec<u64>,
    labelled: bool,
    loads: AtomicUsize,
    fails_at: Option<u64>,
    panics_at: Option<u64>,
}

impl Tones {
    fn new(numbers: impl IntoIterator<Item = u64>) -> Tones {
        Tones {
            numbers: numbers.into_iter().collect(),
            labelled: true,
            loads: AtomicUsize::new(0),
            fails_at: None,
            panics_at: None,
        }
    }
}

/// A tone of 0.05 s or more; some are longer than a clip.
fn tone(number: u64) -> Vec<f32> {
    let samples = 200 + (number as usize * 367) % 2300;
    let hz = 100.0 + 37.0 * (number % 40) as f64;
    (0..samples)
        .map(|n| {
            let seconds = n as f64 / f64::from(RATE_HZ);
            (0.8 * (-3.0 * seconds).exp() * (std::f64::consts::TAU * hz * seconds).sin()) as f32
        })
        .collect()
}

impl Source for Tones {
    fn len(&self) -> usize {
        self.numbers.len()
    }
    fn name(&self, index: usize) -> String {
        format!("tone {}", self.numbers[index])
    }
    fn fingerprint(&self, index: usize) -> Fingerprint {
        Fingerprint(Sha256::digest(self.numbers[index].to_le_bytes()).into())
    }
    fn load(&self, index: usize) -> Result<Audio, DataError> {
        let number = self.numbers[index];
        // The statistics load each training sound once; faults occur after that.
        let later = self.loads.fetch_add(1, Ordering::Relaxed) >= self.numbers.len();
        if later && self.fails_at == Some(number) {
            return Ok(Audio {
                samples: Vec::new(),
                sample_rate_hz: RATE_HZ,
            });
        }
        assert!(
            !later || self.panics_at != Some(number),
            "tone {number} failed"
        );
        Ok(Audio {
            samples: tone(number),
            sample_rate_hz: RATE_HZ,
        })
    }
    fn truth(&self, index: usize) -> Option<ParamVector> {
        let cont = vec![self.numbers[index] as f32];
        self.labelled.then_some(ParamVector {
            cont,
            cat: vec![index],
        })
    }
}

fn config() -> DataConfig {
    DataConfig {
        clip: ClipConfig {
            seconds: 0.375,
            sample_rate_hz: RATE_HZ,
        },
        stft: StftConfig {
            n_fft: 64,
            hop_length: 20,
            win_length: None,
        },
        mask: MaskConfig {
            patch_bins: 4,
            patch_frames: 7,
            ratio: 0.4,
            strategy: MaskStrategy::Random,
        },
        split: SplitConfig {
            valid: 0.2,
            test: 0.2,
        },
        ..DataConfig::default()
    }
}

fn open(numbers: impl IntoIterator<Item = u64>) -> Dataset {
    Dataset::open(Arc::new(Tones::new(numbers)), &config(), 11).unwrap()
}

fn items_of(batch: &SpectrogramBatch) -> Vec<Example> {
    let size = batch.bins * batch.frames;
    (0..batch.batch)
        .map(|item| Example {
            spectrogram: batch.values[item * size..][..size].to_vec(),
            hidden: batch.hidden[item * size..][..size].to_vec(),
            valid_frames: batch.valid_frames[item],
            sound: batch.sounds.as_ref().map(|sounds| sounds[item].clone()),
            truth: batch.truth.as_ref().map(|truth| truth[item].clone()),
            id: batch.ids[item],
            epoch: batch.epochs[item],
            index: batch.indices[item],
        })
        .collect()
}

fn training_items(
    dataset: &Arc<Dataset>,
    batch_size: usize,
    workers: usize,
    start: u64,
    count: usize,
) -> Vec<Example> {
    let loader = Loader::new(dataset.clone(), Order::Training, batch_size, workers, start);
    let batches = loader
        .take(count.div_ceil(batch_size))
        .map(|batch| batch.unwrap());
    batches
        .flat_map(|batch| items_of(&batch))
        .take(count)
        .collect()
}

#[test]
fn examples_and_batches_hold_their_clips_if_they_are_asked_for() {
    let dataset = open(0..40);
    assert_eq!(dataset.example(3, 5).unwrap().sound, None);
    assert_eq!(dataset.batch(&[(3, 5)]).unwrap().sounds, None);
    let with_sounds = dataset.with_sounds();
    let clips = [(3, 5), (7, 2)].map(|(index, epoch)| dataset.clip(index, epoch).unwrap());
    let example = with_sounds.example(3, 5).unwrap();
    assert_eq!(example.sound.as_ref(), Some(&clips[0]));
    let batch = with_sounds.batch(&[(3, 5), (7, 2)]).unwrap();
    assert_eq!(batch.sounds.as_deref(), Some(&clips[..]));
    assert_eq!(items_of(&batch)[0], example);
}

#[test]
fn an_example_is_the_normalised_log_magnitude_of_its_clip() {
    let dataset = open(0..40);
    let stft = Stft::new(&config().stft).unwrap();
    let Normalization { mean, std } = dataset.normalization();
    let (mut short, mut long) = (0, 0);
    for index in 0..40 {
        let example = dataset.example(index, 3).unwrap();
        let sound = tone(index as u64);
        let clip = dataset.clip(index, 3).unwrap();
        assert_eq!(clip.samples.len(), 1500);
        assert_eq!(clip.valid_samples, sound.len().min(1500));
        assert_eq!(example.valid_frames, 1 + clip.valid_samples / 20);
        let magnitude = stft.magnitude(&clip.samples);
        assert_eq!(
            (magnitude.bins, magnitude.frames),
            (dataset.bins(), dataset.frames())
        );
        assert_eq!((dataset.bins(), dataset.frames()), (33, 76));
        for (at, (&value, &magnitude)) in example
            .spectrogram
            .iter()
            .zip(&magnitude.values)
            .enumerate()
        {
            let valid = at % 76 < example.valid_frames;
            let expected = if valid {
                (log1p(magnitude) - mean) / std
            } else {
                0.0
            };
            assert!((value - expected).abs() < 1e-5);
            assert!(valid || !example.hidden[at], "a padded frame is hidden");
        }
        if sound.len() <= 1500 {
            assert_eq!(clip.samples[..sound.len()], sound);
            assert!(clip.samples[sound.len()..].iter().all(|&x| x == 0.0));
            short += 1;
        } else {
            assert!(sound.windows(1500).any(|piece| piece == clip.samples));
            long += 1;
        }
        assert_eq!(example.truth.unwrap().cont, [index as f32]);
        assert_eq!(
            (example.index, example.id),
            (index, dataset.source().fingerprint(index).id())
        );
    }
    assert!(short > 10 && long > 10);
}

#[test]
fn the_statistics_are_those_of_the_valid_frames_of_the_training_split_alone() {
    let dataset = open(0..40);
    let Normalization { mean, std } = dataset.normalization();
    let (frames, size) = (dataset.frames(), dataset.bins() * dataset.frames());
    let (mut sum, mut squares, mut count) = (0.0_f64, 0.0_f64, 0);
    let (mut sums, mut counts) = (vec![0.0_f64; size], vec![0_usize; size]);
    for &index in dataset.indices(Split::Train) {
        let example = dataset.example(index, EVALUATION_EPOCH).unwrap();
        for at in (0..size).filter(|at| at % frames < example.valid_frames) {
            let value = f64::from(example.spectrogram[at]);
            sum += value;
            squares += value * value;
            count += 1;
            sums[at] += value;
            counts[at] += 1;
        }
    }
    assert!(mean > 0.0 && std > 0.0);
    assert!((sum / f64::from(count)).abs() < 1e-5);
    assert!((squares / f64::from(count) - 1.0).abs() < 1e-4);
    let mean_spectrogram = dataset.mean_spectrogram();
    assert_eq!(
        (mean_spectrogram.bins, mean_spectrogram.frames),
        (dataset.bins(), frames)
    );
    for at in 0..size {
        assert!(
            (f64::from(mean_spectrogram.values[at]) - sums[at] / counts[at] as f64).abs() < 1e-5
        );
    }
    // Held-out sounds have no influence: with other ones the numbers are the same.
    let train: Vec<u64> = dataset
        .indices(Split::Train)
        .iter()
        .map(|&index| index as u64)
        .collect();
    let many = open(0..400);
    let others =
        (100..400).filter(|&number| !many.indices(Split::Train).contains(&(number as usize)));
    let swapped = open(train.iter().copied().chain(others.take(30)));
    assert_eq!(swapped.normalization(), dataset.normalization());
    assert_eq!(swapped.mean_spectrogram(), dataset.mean_spectrogram());
}

#[test]
fn frames_that_no_training_example_reaches_hold_the_mean_of_their_bin() {
    // Only one-shots: 0.05 s to 0.1 s in a clip of 0.375 s.
    let dataset = open((0..400).filter(|&number| tone(number).len() < 400));
    let mean = dataset.mean_spectrogram();
    let reached = dataset
        .indices(Split::Train)
        .iter()
        .map(|&index| dataset.example(index, 0).unwrap().valid_frames);
    let reached = reached.max().unwrap();
    assert!(reached < 22, "{reached}");
    for row in mean.values.chunks_exact(mean.frames) {
        assert!(
            row[reached..]
                .iter()
                .all(|&value| value == row[mean.frames - 1])
        );
        let (low, high) = row[..reached]
            .iter()
            .fold((f32::MAX, f32::MIN), |(low, high), &x| {
                (low.min(x), high.max(x))
            });
        assert!((low..=high).contains(&row[reached]));
    }
}

#[test]
fn the_statistics_do_not_depend_on_the_number_of_threads() {
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| open(0..150))
    };
    let (one, many) = (on(1), on(5));
    assert_eq!(one.normalization(), many.normalization());
    assert_eq!(one.mean_spectrogram(), many.mean_spectrogram());
}

#[test]
fn another_normalisation_is_used_everywhere() {
    let own = open(0..30);
    let Normalization { mean, std } = own.normalization();
    let other = open(0..30).with_normalization(Normalization {
        mean: mean + std,
        std: 2.0 * std,
    });
    let (a, b) = (own.example(4, 0).unwrap(), other.example(4, 0).unwrap());
    for (at, (a, b)) in a.spectrogram.iter().zip(&b.spectrogram).enumerate() {
        let expected = if at % own.frames() < 11 {
            (a - 1.0) / 2.0
        } else {
            *b
        };
        assert!((expected - b).abs() < 1e-4);
    }
    for (a, b) in own
        .mean_spectrogram()
        .values
        .iter()
        .zip(&other.mean_spectrogram().values)
    {
        assert!(((a - 1.0) / 2.0 - b).abs() < 1e-4);
    }
}

#[test]
fn an_example_does_not_depend_on_the_other_sounds_nor_on_its_index() {
    let all = open(0..40);
    let normalization = all.normalization();
    let some = open((0..25).rev()).with_normalization(normalization);
    for number in 0..25 {
        let a = all.example(number, 5).unwrap();
        let b = some.example(24 - number, 5).unwrap();
        assert_eq!(
            (a.spectrogram, a.hidden, a.id),
            (b.spectrogram, b.hidden, b.id),
            "tone {number}"
        );
    }
}

#[test]
fn masks_and_crops_are_new_each_epoch_and_depend_on_the_seed() {
    let dataset = open(0..40);
    let other_seed = Dataset::open(Arc::new(Tones::new(0..40)), &config(), 12).unwrap();
    let long = (0..40)
        .find(|&index| tone(index as u64).len() > 2000)
        .unwrap();
    let (first, again) = (
        dataset.example(long, 0).unwrap(),
        dataset.example(long, 0).unwrap(),
    );
    assert_eq!(first, again);
    for later in [
        dataset.example(long, 1).unwrap(),
        other_seed.example(long, 0).unwrap(),
    ] {
        assert_ne!(first.hidden, later.hidden);
        assert_ne!(first.spectrogram, later.spectrogram);
    }
    let per_epoch: Vec<_> = (0..20)
        .map(|epoch| dataset.example(long, epoch).unwrap().hidden)
        .collect();
    assert!((1..20).all(|epoch| !per_epoch[..epoch].contains(&per_epoch[epoch])));
}

#[test]
fn evaluating_beginnings_changes_evaluation_and_not_training() {
    let drawn = open(0..40);
    let dataset = drawn.evaluating_beginnings();
    let length = dataset.config().clip.samples();
    let (mut long, mut other) = (0, 0);
    for index in 0..40 {
        let sound = dataset.source().load(index).unwrap().samples;
        let evaluated = dataset.clip(index, EVALUATION_EPOCH).unwrap();
        let valid = sound.len().min(length);
        assert_eq!(evaluated.valid_samples, valid);
        assert_eq!(evaluated.samples[..valid], sound[..valid]);
        assert_eq!(
            dataset.clip(index, 3).unwrap(),
            drawn.clip(index, 3).unwrap()
        );
        long += usize::from(sound.len() > length);
        other += usize::from(drawn.clip(index, EVALUATION_EPOCH).unwrap() != evaluated);
    }
    assert!(long > 3 && other > 3, "{long} long, {other} different");
}

#[test]
fn every_epoch_of_the_stream_is_a_new_permutation_of_the_training_split() {
    let dataset = Arc::new(open(0..40));
    let train = dataset.indices(Split::Train).to_vec();
    let items = training_items(&dataset, 7, 0, 0, 5 * train.len());
    let epochs: Vec<Vec<usize>> = items
        .chunks(train.len())
        .map(|epoch| epoch.iter().map(|item| item.index).collect())
        .collect();
    for (number, epoch) in epochs.iter().enumerate() {
        let mut sorted = epoch.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, train);
        assert!(!epochs[..number].contains(epoch));
        // Each item has the mask and the crop of its own epoch, also in a batch that spans two epochs.
        for (place, &index) in epoch.iter().enumerate() {
            assert_eq!(
                items[number * train.len() + place],
                dataset.example(index, number as u64).unwrap()
            );
        }
    }
    assert_eq!(
        epochs[0][..10],
        [31, 18, 34, 22, 3, 35, 20, 25, 38, 36],
        "the order is pinned"
    );
}

#[test]
fn any_number_of_workers_and_any_batch_size_gives_the_same_examples() {
    let dataset = Arc::new(open(0..23));
    let expected = training_items(&dataset, 1, 0, 0, 60);
    for workers in [0, 1, 2, 4] {
        for batch_size in [1, 3, 8, 50] {
            assert_eq!(
                training_items(&dataset, batch_size, workers, 0, 60),
                expected,
                "{workers} workers, {batch_size}"
            );
        }
        // From batches of the first worker and of others.
        for first in 1..=4 {
            assert_eq!(
                training_items(&dataset, 5, workers, first, 40)[..],
                expected[5 * first as usize..][..40],
                "{workers} workers from batch {first}"
            );
        }
    }
}

#[test]
fn evaluation_uses_the_split_once_in_order_and_is_the_same_each_time() {
    let dataset = Arc::new(open(0..60));
    for split in [Split::Train, Split::Valid, Split::Test] {
        for workers in [0, 1, 2, 4] {
            let batches: Vec<_> =
                Loader::new(dataset.clone(), Order::Evaluation(split), 4, workers, 0)
                    .map(Result::unwrap)
                    .collect();
            let indices: Vec<usize> = batches
                .iter()
                .flat_map(|batch| batch.indices.clone())
                .collect();
            assert_eq!(indices, dataset.indices(split));
            assert!(
                batches[..batches.len() - 1]
                    .iter()
                    .all(|batch| batch.batch == 4)
            );
            for item in batches.iter().flat_map(items_of) {
                assert_eq!(item, dataset.example(item.index, EVALUATION_EPOCH).unwrap());
            }
        }
    }
}

#[test]
fn an_empty_split_gives_no_batches() {
    for (valid, test, empty) in [(0.2, 0.0, Split::Test), (0.0, 0.2, Split::Valid)] {
        let config = DataConfig {
            split: SplitConfig { valid, test },
            ..config()
        };
        let dataset = Arc::new(Dataset::open(Arc::new(Tones::new(0..9)), &config, 1).unwrap());
        assert!(dataset.indices(empty).is_empty());
        for workers in [0, 2] {
            let order = Order::Evaluation(empty);
            let mut loader = Loader::new(dataset.clone(), order, 4, workers, 0);
            assert!(loader.next().is_none(), "{empty}");
            assert_eq!(loader.position(), 0);
        }
    }
}

#[test]
fn truth_is_there_only_if_it_is_known_for_all() {
    let labelled = open(0..9);
    let batch = labelled.batch(&[(2, 0), (5, 1)]).unwrap();
    let truth: Vec<_> = batch
        .truth
        .unwrap()
        .into_iter()
        .map(|truth| truth.cont[0])
        .collect();
    assert_eq!(truth, [2.0, 5.0]);
    let source = Tones {
        labelled: false,
        ..Tones::new(0..9)
    };
    let unlabelled = Dataset::open(Arc::new(source), &config(), 1).unwrap();
    assert_eq!(unlabelled.batch(&[(2, 0), (5, 1)]).unwrap().truth, None);
    assert!(unlabelled.source().spec().is_none());
}

#[test]
fn the_cache_changes_how_often_sounds_are_loaded_and_nothing_else() {
    let sources = [Arc::new(Tones::new(0..20)), Arc::new(Tones::new(0..20))];
    let [with, without] = [(0, 1024), (1, 0)].map(|(source, cache_mib)| {
        Arc::new(
            Dataset::open(
                sources[source].clone(),
                &DataConfig {
                    cache_mib,
                    ..config()
                },
                7,
            )
            .unwrap(),
        )
    });
    assert_eq!(
        training_items(&with, 4, 2, 0, 80),
        training_items(&without, 4, 2, 0, 80)
    );
    assert_eq!(
        sources[0].loads.load(Ordering::Relaxed),
        with.indices(Split::Train).len()
    );
    assert!(sources[1].loads.load(Ordering::Relaxed) >= 80);
}

#[test]
fn an_error_or_a_panic_in_a_worker_is_returned_and_ends_the_loader() {
    let number = open(0..20).indices(Split::Train)[3] as u64;
    for workers in [1, 2, 4] {
        let config = DataConfig {
            cache_mib: 0,
            ..config()
        };
        let fails = Tones {
            fails_at: Some(number),
            ..Tones::new(0..20)
        };
        let panics = Tones {
            panics_at: Some(number),
            ..Tones::new(0..20)
        };
        for (source, expected) in [
            (
                fails,
                format!("tone {number}: the source returned 0 samples"),
            ),
            (panics, format!("tone {number} failed")),
        ] {
            let dataset = Arc::new(Dataset::open(Arc::new(source), &config, 1).unwrap());
            let mut loader = Loader::new(dataset, Order::Training, 2, workers, 0);
            let error = loader.find_map(Result::err).unwrap().to_string();
            assert!(error.contains(&expected), "{error}");
            assert!(loader.next().is_none());
        }
    }
}

#[test]
fn dropping_a_loader_stops_its_workers() {
    let dataset = Arc::new(open(0..20));
    for taken in [0, 1, 5] {
        let mut loader = Loader::new(dataset.clone(), Order::Training, 64, 3, 0);
        assert_eq!(loader.by_ref().take(taken).count(), taken);
        assert_eq!(loader.position(), taken as u64);
        let start = Instant::now();
        drop(loader);
        assert!(start.elapsed() < Duration::from_secs(2));
        // No worker holds the dataset any more.
        assert_eq!(Arc::strong_count(&dataset), 1);
    }
}

#[test]
fn a_silent_training_split_is_an_error() {
    struct Silence;
    impl Source for Silence {
        fn len(&self) -> usize {
            6
        }
        fn name(&self, index: usize) -> String {
            index.to_string()
        }
        fn fingerprint(&self, index: usize) -> Fingerprint {
            Fingerprint([index as u8; 32])
        }
        fn load(&self, _: usize) -> Result<Audio, DataError> {
            Ok(Audio {
                samples: vec![0.0; 500],
                sample_rate_hz: RATE_HZ,
            })
        }
    }
    let error = Dataset::open(Arc::new(Silence), &config(), 0)
        .err()
        .unwrap();
    assert!(
        matches!(error, DataError::NoVariation { examples: 1.. }),
        "{error}"
    );
}

#[test]
fn an_error_names_the_sound_with_impossible_samples() {
    struct Damaged(f32);
    impl Source for Damaged {
        fn len(&self) -> usize {
            6
        }
        fn name(&self, index: usize) -> String {
            format!("damaged {index}")
        }
        fn fingerprint(&self, index: usize) -> Fingerprint {
            Fingerprint([index as u8; 32])
        }
        fn load(&self, _: usize) -> Result<Audio, DataError> {
            let mut samples = tone(1);
            samples[5] = self.0;
            Ok(Audio {
                samples,
                sample_rate_hz: RATE_HZ,
            })
        }
    }
    let open = |value| Dataset::open(Arc::new(Damaged(value)), &config(), 0);
    for bad in [f32::NAN, f32::NEG_INFINITY, f32::MAX, -1e11] {
        match open(bad).err().unwrap() {
            DataError::ImpossibleSample {
                name, at_sample, ..
            } => assert!(name.starts_with("damaged ") && at_sample == 5),
            other => panic!("{bad:e}: {other}"),
        }
    }
    // At the limit itself, all values stay finite.
    for largest in [MAX_SAMPLE, -MAX_SAMPLE] {
        let dataset = open(largest).unwrap();
        let example = dataset.example(0, 0).unwrap();
        assert!(example.spectrogram.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn a_configuration_is_read_back_as_it_was_written_and_misspelt_keys_are_refused() {
    let clustered = MaskStrategy::Clustered {
        min_side: 3,
        max_side: 5,
    };
    let written = DataConfig {
        mask: MaskConfig {
            strategy: clustered,
            ..MaskConfig::default()
        },
        ..config()
    };
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<DataConfig>(&text).unwrap(), written);
    assert_eq!(
        serde_json::from_str::<DataConfig>("{}").unwrap(),
        DataConfig::default()
    );
    let mask = r#"{"mask": {"strategy": "time", "ratio": 0.3}}"#;
    assert_eq!(
        serde_json::from_str::<DataConfig>(mask)
            .unwrap()
            .mask
            .strategy,
        MaskStrategy::Time
    );
    for misspelt in [
        r#"{"cash_mib": 5}"#,
        r#"{"clip": {"second": 1.0}}"#,
        r#"{"stft": {"n_ftt": 512}}"#,
        r#"{"mask": {"strategy": {"clustered": {"min_side": 3, "max_side": 5, "sides": 1}}}}"#,
        r#"{"split": {"validation": 0.1}}"#,
        r#"{"decode": {"max_second": 1.0}}"#,
    ] {
        assert!(
            serde_json::from_str::<DataConfig>(misspelt).is_err(),
            "{misspelt}"
        );
    }
}

#[test]
fn the_default_configuration_has_the_documented_sizes() {
    let config = DataConfig::default();
    config.validate().unwrap();
    assert_eq!((config.bins(), config.frames()), (257, 129));
}

#[test]
fn another_mask_changes_what_is_hidden_and_nothing_else() {
    let plain = open(0..30);
    let config = MaskConfig {
        patch_bins: 7,
        patch_frames: 3,
        ratio: 0.3,
        strategy: MaskStrategy::Random,
    };
    let other = plain.with_mask(config).unwrap();
    let index = plain.indices(Split::Train)[2];
    let [before, after] = [&plain, &other].map(|data| data.example(index, 1).unwrap());
    assert_ne!(before.hidden, after.hidden);
    assert_eq!(before.spectrogram, after.spectrogram);
    assert_eq!(plain.indices(Split::Valid), other.indices(Split::Valid));
    assert_eq!(plain.normalization(), other.normalization());
    let impossible = MaskConfig {
        patch_bins: 0,
        ..config
    };
    assert!(plain.with_mask(impossible).is_err());
}

#[test]
fn training_on_a_part_changes_the_training_order_and_nothing_else() {
    let plain = open(0..30);
    let train = plain.indices(Split::Train);
    let some = plain.with_training(&[train[5], train[2]]);
    assert_eq!(some.indices(Split::Train), [train[2], train[5]]);
    for split in [Split::Valid, Split::Test] {
        assert_eq!(some.indices(split), plain.indices(split));
    }
    assert_eq!(some.statistics(), plain.statistics());
    let batch = Loader::new(some.into(), Order::Training, 9, 0, 0)
        .next()
        .unwrap()
        .unwrap();
    let seen = BTreeSet::from_iter(batch.indices);
    assert_eq!(seen, BTreeSet::from([train[2], train[5]]));
}

#[test]
#[should_panic(expected = "expected examples of the training split")]
fn held_out_examples_are_not_trained_on() {
    let plain = open(0..30);
    plain.with_training(plain.indices(Split::Valid));
}
