use std::path::Path;
use std::time::Duration;

use cpu_time::ProcessTime;
use stft_data::{
    Audio, DataConfig, DataError, FolderSource, MAX_SAMPLE, SoundCache, SoundFile, SoundReader,
    Source, Stft, StftConfig, Unusable, resample,
};

/// Rates that sounds are brought to: that of the clips by default, and that of the paper's preset.
const CLIP_RATES_HZ: [u32; 2] = [16_384, 44_100];

/// Room for the longest sound that is allowed, at either rate.
const CACHE_BYTES: u64 = 256 << 20;

/// How a file fared.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It gave a sound.
    Usable,
    /// It was refused, for this variant of [`Unusable`].
    Refused(String),
    /// Something that is promised did not hold.
    Broken(String),
}

/// What an examination found.
#[derive(Clone, Debug, PartialEq)]
pub struct Examined {
    /// How the file fared.
    pub verdict: Verdict,
    /// Processor time of each step: inspecting the file when its folder is opened, and loading it for an
    /// example, without a cache and with one.
    pub steps: Vec<Duration>,
}

/// Sends the one file of a folder the ways that every file of a folder takes: it is inspected; then it is
/// loaded, resampled, and a second of it transformed. Then the same at each rate with a cache that is
/// empty, and with the same cache once more.
pub fn examine(folder: &Path) -> Examined {
    let mut laps = Laps {
        start: ProcessTime::now(),
        steps: Vec::new(),
    };
    let verdict = examine_without_cache(folder, &mut laps);
    let broken = CLIP_RATES_HZ
        .into_iter()
        .find_map(|rate_hz| examine_with_cache(folder, rate_hz, &verdict, &mut laps).err());
    Examined {
        verdict: broken.map_or(verdict, Verdict::Broken),
        steps: laps.steps,
    }
}

/// Measures one step after the other, so that nothing between them goes unmeasured.
struct Laps {
    start: ProcessTime,
    steps: Vec<Duration>,
}

impl Laps {
    fn next(&mut self) {
        self.steps.push(self.start.elapsed());
        self.start = ProcessTime::now();
    }
}

fn examine_without_cache(folder: &Path, laps: &mut Laps) -> Verdict {
    let inspected = inspect(folder, &SoundReader::default());
    laps.next();
    let verdict = inspected.and_then(|source| {
        for rate_hz in CLIP_RATES_HZ {
            load(&source, rate_hz, false)?;
            laps.next();
        }
        Ok(())
    });
    match verdict {
        Ok(()) => Verdict::Usable,
        Err(verdict) => verdict,
    }
}

/// # Errors
/// What is broken: with a cache, cold or warm, the file must fare as it did without.
fn examine_with_cache(
    folder: &Path,
    rate_hz: u32,
    expected: &Verdict,
    laps: &mut Laps,
) -> Result<(), String> {
    let kept = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut config = DataConfig::default();
    config.clip.sample_rate_hz = rate_hz;
    let mut files: Vec<Vec<SoundFile>> = Vec::new();
    for _ in 0..2 {
        let cache =
            SoundCache::open(kept.path(), CACHE_BYTES).map_err(|error| error.to_string())?;
        let inspected = inspect(folder, &SoundReader::new(&config).with_cache(cache));
        laps.next();
        let verdict = inspected.and_then(|source| {
            files.push(source.files().to_vec());
            load(&source, rate_hz, true)
        });
        laps.next();
        let verdict = verdict.map_or_else(|verdict| verdict, |()| Verdict::Usable);
        if verdict != *expected {
            return Err(format!(
                "{expected:?}, but {verdict:?} with a cache at {rate_hz} Hz"
            ));
        }
    }
    if files.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(format!("another file with a warm cache at {rate_hz} Hz"));
    }
    Ok(())
}

fn inspect(folder: &Path, reader: &SoundReader) -> Result<FolderSource, Verdict> {
    match FolderSource::open(folder, reader) {
        Ok(source) if source.files().len() == 1 => Ok(source),
        Ok(source) => Err(broken(format!(
            "{} files in a folder of one",
            source.files().len()
        ))),
        Err(DataError::AllRejected { rejected, .. }) if rejected.len() == 1 => {
            Err(Verdict::Refused(reason(&rejected[0].reason)))
        }
        Err(error) => Err(broken(format!("the folder: {error}"))),
    }
}

fn load(source: &FolderSource, rate_hz: u32, cached: bool) -> Result<(), Verdict> {
    let file = &source.files()[0];
    let audio = source
        .load(0)
        .map_err(|error| broken(format!("inspected, but not loaded: {error}")))?;
    let shape = (audio.samples.len(), audio.sample_rate_hz);
    let recorded = (file.samples, file.sample_rate_hz);
    let kept = (file.samples_at(rate_hz), rate_hz);
    if shape != recorded && !(cached && shape == kept) {
        return Err(broken("inspected and loaded, it has two lengths or rates"));
    }
    let limits = DataConfig::default().decode;
    if file.samples == 0 || file.seconds > limits.max_seconds || file.samples > limits.max_samples {
        return Err(broken("a sound that is empty, or beyond a limit"));
    }
    // Written so that NaN fails.
    if !audio
        .samples
        .iter()
        .all(|sample| sample.abs() <= MAX_SAMPLE)
    {
        return Err(broken("a sample is beyond the limit, or no number"));
    }
    let resampled = match audio.sample_rate_hz == rate_hz {
        true => audio,
        false => resample(&audio, rate_hz).map_err(broken)?,
    };
    transform(&resampled)
}

fn transform(audio: &Audio) -> Result<(), Verdict> {
    if !audio.samples.iter().all(|sample| sample.is_finite()) {
        return Err(broken("a resampled sample is not finite"));
    }
    let second = audio.samples.len().min(audio.sample_rate_hz as usize);
    let stft = Stft::new(&StftConfig::default()).map_err(broken)?;
    let spectrogram = stft.magnitude(&audio.samples[..second]);
    match spectrogram.values.iter().all(|value| value.is_finite()) {
        true => Ok(()),
        false => Err(broken("a magnitude is not finite")),
    }
}

fn broken(what: impl ToString) -> Verdict {
    Verdict::Broken(what.to_string())
}

/// The name of the variant, as the code has it.
fn reason(reason: &Unusable) -> String {
    let debug = format!("{reason:?}");
    let end = debug
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(debug.len());
    debug[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeds::seeds;

    fn verdict(bytes: &[u8]) -> Verdict {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("sound.wav"), bytes).unwrap();
        examine(folder.path()).verdict
    }

    #[test]
    fn every_seed_is_usable() {
        for seed in seeds() {
            assert_eq!(verdict(&seed.bytes), Verdict::Usable, "{}", seed.name);
        }
    }

    #[test]
    fn a_refusal_is_named_after_its_variant() {
        assert_eq!(verdict(b"x"), Verdict::Refused("NotAudio".to_owned()));
        assert_eq!(
            verdict(&seeds()[0].bytes[..80]),
            Verdict::Refused("NoFrames".to_owned())
        );
    }
}
