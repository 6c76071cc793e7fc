//! Opens the sounds that an experiment names.

use std::sync::Arc;

use params::{ParamSpec, ParamVector};
use stft_data::{Audio, ClipConfig, DataError, FileSource, Fingerprint, Source};
use synth::Voice;

use crate::error::TrainerError;
use crate::settings::experiment::{Experiment, SoundSource};

/// The sounds of an experiment. Files are kept by their own type as well, which has the list of
/// rejected files.
pub(crate) struct OpenedSource {
    /// The sounds.
    pub source: Arc<dyn Source>,
    /// The same, where they are files.
    pub files: Option<Arc<FileSource>>,
}

impl OpenedSource {
    /// Opens the source of `experiment`.
    ///
    /// # Errors
    /// The directory can't be read, or nothing in it can be used.
    pub fn open(experiment: &Experiment) -> Result<Self, TrainerError> {
        match &experiment.source.path {
            SoundSource::Synth(voice) => Ok(Self {
                source: Arc::new(SynthSource {
                    voice: *voice,
                    seed: experiment.seed,
                    examples: experiment.source.synth_examples,
                    clip: experiment.data.clip,
                }),
                files: None,
            }),
            SoundSource::Files(path) => {
                let files = Arc::new(FileSource::open(path, &experiment.data.decode)?);
                Ok(Self {
                    source: files.clone(),
                    files: Some(files),
                })
            }
        }
    }
}

/// Patches of an embedded voice: sound `i` is patch `i` of the seed, as long as a clip.
struct SynthSource {
    voice: Voice,
    seed: u64,
    examples: usize,
    clip: ClipConfig,
}

impl Source for SynthSource {
    fn len(&self) -> usize {
        self.examples
    }

    fn name(&self, index: usize) -> String {
        format!("synth {index}")
    }

    fn fingerprint(&self, index: usize) -> Fingerprint {
        Fingerprint::of_patch(&self.vector(index))
    }

    fn load(&self, index: usize) -> Result<Audio, DataError> {
        let mut samples = vec![0.0; self.clip.samples()];
        let patch = self.voice.draw(self.seed, index as u64);
        self.voice
            .render(&patch, self.clip.sample_rate_hz, &mut samples)
            .expect("a drawn patch has every parameter in its range");
        Ok(Audio {
            samples,
            sample_rate_hz: self.clip.sample_rate_hz,
        })
    }

    fn spec(&self) -> Option<&ParamSpec> {
        Some(self.voice.spec())
    }

    fn truth(&self, index: usize) -> Option<ParamVector> {
        Some(self.vector(index))
    }
}

impl SynthSource {
    fn vector(&self, index: usize) -> ParamVector {
        self.voice
            .spec()
            .encode(&self.voice.draw(self.seed, index as u64))
            .expect("a drawn patch has every parameter in its range")
    }
}
