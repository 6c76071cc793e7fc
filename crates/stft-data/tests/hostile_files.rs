//! Hostile sound files do no harm: none makes the program crash, hang or fill the memory.
//!
//! Each file is decoded, resampled and transformed, as for training. It may be refused with a reason.
//! The files are a table of [hand-made cases](hostile::cases), and [random changes](hostile::mutation) of
//! the fixtures. The random changes are the same in every run, unless the environment sets
//! `PROPTEST_RNG_SEED` or `PROPTEST_CASES`.

mod hostile;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{env, fs, mem, panic, thread};

use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use stft_data::{DataError, DecodeLimits, MAX_SAMPLE, Stft, StftConfig, decode_file, resample};

use hostile::bytes::fit;
use hostile::cases::{Expected, cases};
use hostile::mutation::damage;

/// Counts the bytes in use, and the most at once. A block that grows counts twice while it is copied.
#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Most memory of the process while it works on a file.
const MAX_BYTES: usize = 256 << 20;

/// Longest time for one file. It is generous, because other work may slow the machine down.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Rates of clips: the default, and that of the paper.
const CLIP_RATES_HZ: [u32; 2] = [16_384, 44_100];

/// Number of random files, unless the environment sets one.
const RANDOM_FILES: u32 = 4_000;

/// Name of the thread that decodes.
const DECODING: &str = "decoding";

/// Panics of the decoding thread, whether or not they were caught.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Makes tests take turns, because memory is the memory of the process, and keeps the panics of the
/// decoding thread from the terminal.
fn take_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if thread::current().name() == Some(DECODING) {
                lock(&PANICS).push(panic.to_string());
            } else {
                usual(panic);
            }
        }));
    });
    lock(&TURN)
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` if the file is usable, else the name of a variant of [`stft_data::Unusable`].
type Refusal = Option<String>;

/// Uses a file on a thread of its own.
///
/// # Errors
/// The harm that it does.
fn examine(path: &Path) -> Result<Refusal, String> {
    lock(&PANICS).clear();
    MEMORY.reset_peak_usage();
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    let decoding = thread::Builder::new()
        .name(DECODING.to_owned())
        .spawn(move || sender.send(decode_and_transform(&path)))
        .unwrap();
    let received = receiver.recv_timeout(MAX_TIME);
    if matches!(received, Err(mpsc::RecvTimeoutError::Timeout)) {
        return Err(format!("it takes more than {MAX_TIME:?}"));
    }
    // A panic is among those that the hook recorded.
    let _ = decoding.join();
    let peak_mib = MEMORY.peak_usage() >> 20;
    let panics = mem::take(&mut *lock(&PANICS));
    let refusal = received.map_err(|_| format!("a panic escapes: {panics:?}"))?;
    // A panic inside the decoder library is caught. One of our own code is a bug, even if it is caught.
    match panics.iter().find(|panic| !panic.contains("symphonia-")) {
        Some(panic) => Err(format!("a panic outside the decoders: {panic}")),
        None if peak_mib >= MAX_BYTES >> 20 => Err(format!("it takes {peak_mib} MiB")),
        None => Ok(refusal),
    }
}

fn decode_and_transform(path: &Path) -> Refusal {
    let limits = DecodeLimits::default();
    let audio = match decode_file(path, &limits) {
        Ok(audio) => audio,
        Err(DataError::Unusable { reason, .. }) => {
            let debug = format!("{reason:?}");
            let name = debug.split(|c: char| !c.is_alphanumeric()).next();
            return name.map(str::to_owned);
        }
        Err(error) => panic!("not a reason why a file is unusable: {error}"),
    };
    let length = audio.samples.len();
    assert!(length > 0 && length <= limits.max_samples, "{length}");
    assert!(audio.seconds() <= limits.max_seconds);
    // Written so that NaN fails.
    let possible = |sample: &f32| sample.abs() <= MAX_SAMPLE;
    assert!(audio.samples.iter().all(possible), "an impossible sample");
    let stft = Stft::new(&StftConfig::default()).unwrap();
    for rate_hz in CLIP_RATES_HZ {
        let resampled = resample(&audio, rate_hz).unwrap().samples;
        assert!(resampled.iter().all(|sample| sample.is_finite()));
        let second = resampled.len().min(rate_hz as usize);
        let spectrogram = stft.magnitude(&resampled[..second]);
        assert!(spectrogram.values.iter().all(|value| value.is_finite()));
    }
    None
}

/// Name and content of every fixture, in the order of names.
fn fixtures() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut fixtures: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect();
    fixtures.sort();
    fixtures
}

#[test]
fn hand_made_files_do_no_harm_and_end_as_expected() {
    let _turn = take_turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut faults = Vec::new();
    for (name, expected, bytes) in cases() {
        fs::write(&path, bytes).unwrap();
        let start = Instant::now();
        let ended = examine(&path);
        println!(
            "{:.2} s, {} MiB, {ended:?}: {name}",
            start.elapsed().as_secs_f32(),
            MEMORY.peak_usage() >> 20
        );
        let fits = match (&ended, expected) {
            (Err(_), _) => false,
            (Ok(refusal), Expected::Refused(reason)) => refusal.as_deref() == Some(reason),
            (Ok(refusal), Expected::Usable) => refusal.is_none(),
            (Ok(_), Expected::Either) => true,
        };
        if !fits {
            faults.push(format!("{name}: {ended:?}, expected {expected:?}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn fixtures_changed_at_random_do_no_harm_and_enough_of_them_still_decode() {
    let _turn = take_turn();
    let fixtures = fixtures();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let mut config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = RANDOM_FILES;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(1);
    }
    // Of each format, the files that were usable and all of them.
    let counts = RefCell::new(BTreeMap::<&str, (u32, u32)>::new());
    let files = (0..fixtures.len(), damage(&fixtures));
    let result = TestRunner::new(config).run(&files, |(fixture, damage)| {
        let (name, original) = &fixtures[fixture];
        let mut bytes = original.clone();
        damage.apply(&mut bytes);
        fs::write(&path, &bytes)?;
        let fail = |harm| TestCaseError::fail(format!("{name}: {harm}"));
        let refusal = examine(&path).map_err(fail)?;
        let format = name.rsplit('.').next().unwrap();
        let mut counts = counts.borrow_mut();
        let (usable, all) = counts.entry(format).or_default();
        *usable += u32::from(refusal.is_none());
        *all += 1;
        Ok(())
    });
    println!("{:?}", counts.borrow());
    result.unwrap_or_else(|fault| panic!("{fault}"));
    // Changes that nothing survives, or that everything does, test little.
    for (format, (usable, all)) in counts.into_inner() {
        let share = f64::from(usable) / f64::from(all);
        assert!((0.1..0.98).contains(&share), "{format}: {share:.2}");
    }
}

#[test]
fn sizes_and_checksums_of_the_fixtures_already_fit() {
    for (name, bytes) in fixtures() {
        let mut fitted = bytes.clone();
        fit(&mut fitted);
        assert!(fitted == bytes, "{name}");
    }
}
