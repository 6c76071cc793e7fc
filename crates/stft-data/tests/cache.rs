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
    sounds_from(0.0)
}

fn sounds_from(seed: f32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..SOUNDS {
        write_sound(&folder.path().join(format!("{n}.wav")), seed + n as f32);
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
    limited_reader(cache, rate_hz, 64 << 20)
}

fn limited_reader(cache: &Path, rate_hz: u32, limit_bytes: u64) -> SoundReader {
    let mut config = DataConfig::default();
    config.clip.sample_rate_hz = rate_hz;
    SoundReader::new(&config).with_cache(SoundCache::open(cache, limit_bytes).unwrap())
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

fn size(path: PathBuf) -> u64 {
    fs::metadata(path).unwrap().len()
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

/// Names what the process that is to train reads: the folder of sounds, that of the cache, the cache's limit in
/// bytes, and the file that what it sees is written to.
const CHILD: &str = "STFT_DATA_CACHE_TEST_CHILD";

#[test]
fn processes_that_share_a_cache_see_the_same_bits_and_keep_its_limit() {
    if let Ok(task) = std::env::var(CHILD) {
        let [folder, cache, limit_bytes, out] = task.split('\n').collect::<Vec<_>>()[..] else {
            panic!("expected four lines, got {task:?}");
        };
        let reader = limited_reader(Path::new(cache), RATE_HZ, limit_bytes.parse().unwrap());
        fs::write(out, seen(Path::new(folder), &reader).join("\n")).unwrap();
        return;
    }
    // Three folders of different sounds; two processes work on the last one.
    let folders = [0.0, 0.3, 0.6].map(sounds_from);
    let plain = folders
        .each_ref()
        .map(|folder| seen(folder.path(), &SoundReader::default()).join("\n"));
    let (all_bytes, largest_bytes) = {
        let cache = tempfile::tempdir().unwrap();
        for folder in &folders {
            seen(folder.path(), &reader(cache.path(), RATE_HZ));
        }
        let sizes = || entries(cache.path()).into_iter().map(size);
        (sizes().sum::<u64>(), sizes().max().unwrap())
    };
    // Room for all, and for a third, so that each process removes what another one has put there.
    for limit_bytes in [2 * all_bytes, all_bytes / 3] {
        let (cache, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let children = [0, 1, 2, 2].map(|n| {
            let file = tempfile::NamedTempFile::new_in(out.path()).unwrap();
            let paths = [folders[n].path(), cache.path(), file.path()];
            let [folder, cache, seen] = paths.map(|path| path.to_str().unwrap());
            let child = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "processes_that_share_a_cache_see_the_same_bits_and_keep_its_limit",
                ])
                .env(CHILD, format!("{folder}\n{cache}\n{limit_bytes}\n{seen}"))
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            (child, file, n)
        });
        for (mut child, file, n) in children {
            assert!(child.wait().unwrap().success());
            assert_eq!(fs::read_to_string(file).unwrap(), plain[n]);
        }
        let kept_bytes: u64 = entries(cache.path()).into_iter().map(size).sum();
        if limit_bytes > all_bytes {
            assert_eq!(kept_bytes, all_bytes);
        } else {
            // Each of four may overshoot by an entry, which is more than a sixteenth here.
            let most_bytes = limit_bytes + 4 * largest_bytes;
            assert!(most_bytes < all_bytes * 2 / 3 && largest_bytes > limit_bytes / 16);
            assert!(kept_bytes <= most_bytes, "{kept_bytes} of {most_bytes}");
        }
    }
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
