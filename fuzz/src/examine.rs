use std::path::Path;
use std::time::Duration;

use cpu_time::ProcessTime;
use stft_data::{
    DataError, DecodeLimits, FolderSource, MAX_SAMPLE, SoundReader, Source, Stft, StftConfig,
    Unusable, resample,
};

/// Rate that sounds are brought to: that of the clips by default.
const CLIP_RATE_HZ: u32 = 16_384;

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
    /// Processor time of the longer of the two steps: inspecting the file when its folder is opened, and
    /// loading it for an example.
    pub longest_step: Duration,
}

/// Sends the one file of a folder the way that every file of a folder takes: it is inspected; then it is
/// loaded, resampled, and a second of it transformed.
pub fn examine(folder: &Path) -> Examined {
    let start = ProcessTime::now();
    let inspected = inspect(folder);
    let inspection = start.elapsed();
    let start = ProcessTime::now();
    let verdict = match inspected {
        Ok(source) => load(&source),
        Err(verdict) => verdict,
    };
    Examined {
        verdict,
        longest_step: inspection.max(start.elapsed()),
    }
}

fn inspect(folder: &Path) -> Result<FolderSource, Verdict> {
    match FolderSource::open(folder, &SoundReader::new(DecodeLimits::default())) {
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

fn load(source: &FolderSource) -> Verdict {
    let file = &source.files()[0];
    let audio = match source.load(0) {
        Ok(audio) => audio,
        Err(error) => return broken(format!("inspected, but not loaded: {error}")),
    };
    if (audio.samples.len(), audio.sample_rate_hz) != (file.samples, file.sample_rate_hz) {
        return broken("inspected and loaded, it has two lengths or rates");
    }
    if audio.samples.is_empty() || audio.seconds() > DecodeLimits::default().max_seconds {
        return broken("a sound that is empty, or beyond the limit");
    }
    // Written so that NaN fails.
    if !audio
        .samples
        .iter()
        .all(|sample| sample.abs() <= MAX_SAMPLE)
    {
        return broken("a sample is beyond the limit, or no number");
    }
    let resampled = match resample(&audio, CLIP_RATE_HZ) {
        Ok(resampled) => resampled.samples,
        Err(error) => return broken(error),
    };
    if !resampled.iter().all(|sample| sample.is_finite()) {
        return broken("a resampled sample is not finite");
    }
    let clip = &resampled[..resampled.len().min(CLIP_RATE_HZ as usize)];
    let spectrogram = match Stft::new(&StftConfig::default()) {
        Ok(stft) => stft.magnitude(clip),
        Err(error) => return broken(error),
    };
    if !spectrogram.values.iter().all(|value| value.is_finite()) {
        return broken("a magnitude is not finite");
    }
    Verdict::Usable
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
