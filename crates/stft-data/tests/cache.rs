//! The cache of decoded sounds, through the public face.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use stft_data::{
    DataConfig, Dataset, FolderSource, Loader, Order, SoundCache, SoundReader, Source, Split,
};
use tempfile::TempDir;
use walkdir::WalkDir;

const RATE_HZ: u32 = 16_384;
const SOUNDS: usize = 12;

/// A folder of stereo files of different lengths at another rate than that of the clips.
fn sounds() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..SOUNDS {
        write_sound(&folder.path().join(format!("{n}.wav")), n as f32);
    }
    folder
}

fn write_sound(path: &Path, seed: f32) {
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 22_050,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for n in 0..4_000 + 500 * seed as usize {
        let wave = (n as f32 * (0.05 + 0.01 * seed)).sin();
        for gain in [20_000.0, 9_000.0] {
            writer.write_sample((gain * wave) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
}

fn reader(cache: &Path, rate_hz: u32) -> SoundReader {
    let mut config = DataConfig::default();
    config.clip.sample_rate_hz = rate_hz;
    SoundReader::new(&config).with_cache(SoundCache::open(cache, 64 << 20).unwrap())
}

fn entries(cache: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = WalkDir::new(cache)
        .into_iter()
        .map(|found| found.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|end| end == "sound"))
        .collect();
    entries.sort();
    entries
}

/// Everything that training sees: facts, statistics and two epochs of batches.
fn seen(folder: &Path, reader: &SoundReader) -> Vec<String> {
    let source = Arc::new(FolderSource::open(folder, reader).unwrap());
    let mut seen: Vec<String> = source.files().iter().map(|f| format!("{f:?}")).collect();
    let dataset = Arc::new(Dataset::open(source, &DataConfig::default(), 5).unwrap());
    seen.push(format!("{:?}", dataset.normalization()));
    let epoch = dataset.indices(Split::Train).len() / 4;
    let loader = Loader::new(dataset, Order::Training, 4, 2, 0);
    for batch in loader.take(2 * epoch) {
        let mut hash = Sha256::new();
        for value in &batch.unwrap().values {
            hash.update(value.to_le_bytes());
        }
        seen.push(format!("{:?}", hash.finalize()));
    }
    seen
}

#[test]
fn training_sees_the_same_bits_without_a_cache_from_a_cold_one_and_from_a_warm_one() {
    let (folder, cache) = (sounds(), tempfile::tempdir().unwrap());
    let plain = seen(folder.path(), &SoundReader::default());
    assert!(plain.len() >= SOUNDS + 3);
    assert_eq!(seen(folder.path(), &reader(cache.path(), RATE_HZ)), plain);
    assert_eq!(entries(cache.path()).len(), SOUNDS);
    assert_eq!(seen(folder.path(), &reader(cache.path(), RATE_HZ)), plain);
    assert_eq!(entries(cache.path()).len(), SOUNDS);
}

#[test]
fn a_changed_file_another_rate_and_a_copy() {
    let (folder, cache) = (sounds(), tempfile::tempdir().unwrap());
    let open = |rate_hz| FolderSource::open(folder.path(), &reader(cache.path(), rate_hz)).unwrap();
    let before = open(RATE_HZ);
    fs::copy(
        folder.path().join("3.wav"),
        folder.path().join("3 copy.wav"),
    )
    .unwrap();
    assert_eq!(open(RATE_HZ).len(), SOUNDS + 1);
    assert_eq!(entries(cache.path()).len(), SOUNDS, "a copy needs no entry");

    write_sound(&folder.path().join("0.wav"), 40.0);
    let after = open(RATE_HZ);
    assert_eq!(entries(cache.path()).len(), SOUNDS + 1);
    assert_ne!(after.files()[0].samples, before.files()[0].samples);
    assert_eq!(
        after.load(0).unwrap().samples.len(),
        after.files()[0].samples_at(RATE_HZ)
    );

    assert_eq!(open(8_000).load(0).unwrap().sample_rate_hz, 8_000);
    assert_eq!(entries(cache.path()).len(), 2 * SOUNDS + 1);
}

#[test]
fn a_damaged_or_missing_entry_is_made_again_and_never_used() {
    let (folder, cache) = (sounds(), tempfile::tempdir().unwrap());
    let plain = seen(folder.path(), &SoundReader::default());
    let open = || FolderSource::open(folder.path(), &reader(cache.path(), RATE_HZ)).unwrap();
    open();
    let whole: Vec<Vec<u8>> = entries(cache.path())
        .iter()
        .map(|p| fs::read(p).unwrap())
        .collect();
    // Of each entry another part is damaged, from its first byte to its last; some lose their end.
    for (i, path) in entries(cache.path()).iter().enumerate() {
        let mut bytes = whole[i].clone();
        let at = i * (bytes.len() - 1) / (SOUNDS - 1);
        match i % 3 {
            0 => bytes[at] ^= 0x10,
            1 => bytes.truncate(at),
            _ => bytes[at..].fill(0),
        }
        fs::write(path, bytes).unwrap();
    }
    assert_eq!(seen(folder.path(), &reader(cache.path(), RATE_HZ)), plain);
    // Training leaves out what is held out; asked for, that is healed as well.
    let source = open();
    for index in 0..SOUNDS {
        source.load(index).unwrap();
    }
    let healed: Vec<Vec<u8>> = entries(cache.path())
        .iter()
        .map(|p| fs::read(p).unwrap())
        .collect();
    assert!(healed == whole, "every entry is as it was");

    // Damage and loss while a run is under way.
    let source = open();
    fs::remove_dir_all(cache.path()).unwrap();
    let sound = source.load(2).unwrap();
    assert_eq!(sound.samples.len(), source.files()[2].samples_at(RATE_HZ));
    assert_eq!(entries(cache.path()).len(), 1);
}
