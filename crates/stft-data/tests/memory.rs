//! The loader's memory. A test binary of its own, so that no other test's memory is counted.
#![cfg(target_os = "linux")]

use std::fs;
use std::sync::Arc;

use stft_data::{
    Audio, ClipConfig, DataConfig, DataError, Dataset, DecodeLimits, Fingerprint, FolderSource,
    Loader, Order, Source, Split,
};

const SOUNDS: usize = 60;

/// Sounds that are generated at every load, as files are decoded.
struct Tones;

impl Source for Tones {
    fn len(&self) -> usize {
        SOUNDS
    }

    fn name(&self, index: usize) -> String {
        format!("tone {index}")
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        Fingerprint([index as u8; 32])
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        let step = 0.01 * (1 + index) as f32;
        Ok(Audio {
            samples: (0..22_050).map(|n| (step * n as f32).sin()).collect(),
            sample_rate_hz: 22_050,
        })
    }
}

/// Peak memory of the process, in KiB.
fn peak_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Runs ten epochs on two workers; the peak after the tenth must be that of the second.
fn assert_flat(source: Arc<dyn Source>, cache_mib: usize) {
    let config = DataConfig {
        clip: ClipConfig {
            seconds: 0.5,
            ..ClipConfig::default()
        },
        cache_mib,
        ..DataConfig::default()
    };
    let dataset = Arc::new(Dataset::open(source, &config, 3).unwrap());
    let batch = 4;
    let batches_per_epoch = dataset.indices(Split::Train).len() / batch;
    let mut loader = Loader::new(dataset, Order::Training, batch, 2, 0);
    let mut peaks = Vec::new();
    for _ in 0..10 {
        for _ in 0..batches_per_epoch {
            loader.next().unwrap().unwrap();
        }
        peaks.push(peak_kib());
    }
    // An epoch's batches take 18 MiB, one batch 1.3 MiB.
    // The kernel counts pages per thread and adds them up late, so a peak may decrease a little.
    let growth_kib = peaks[9].saturating_sub(peaks[1]);
    assert!(
        growth_kib < 2_048,
        "{growth_kib} KiB more; peaks were {peaks:?}"
    );
}

/// A single test, because a process has a single peak.
#[test]
fn peak_memory_is_that_of_the_second_epoch_after_the_tenth() {
    // Without a cache, every epoch resamples every sound again.
    assert_flat(Arc::new(Tones), 0);

    let folder = tempfile::tempdir().unwrap();
    for index in 0..Tones.len() {
        let sound = Tones.load(index).unwrap();
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: sound.sample_rate_hz,
            bits_per_sample: 32,
            sample_format: hound::SampleFormat::Float,
        };
        let path = folder.path().join(format!("{index}.wav"));
        let mut wav = hound::WavWriter::create(path, spec).unwrap();
        sound
            .samples
            .iter()
            .for_each(|&sample| wav.write_sample(sample).unwrap());
        wav.finalize().unwrap();
    }
    for cache_mib in [0, 64] {
        let source = FolderSource::open(folder.path(), &DecodeLimits::default()).unwrap();
        assert_flat(Arc::new(source), cache_mib);
    }
}
