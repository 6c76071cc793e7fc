//! An example with its reconstruction, as pictures and sounds.

use std::path::Path;

use serde::{Deserialize, Serialize};
use stft_data::{DataConfig, Dataset, EVALUATION_EPOCH, Spectrogram, SpectrogramBatch, expm1};

use crate::error::TrainerError;
use crate::output::picture::{Axes, Canvas, Panel, draw_panels};
use crate::output::wav::wav_file;
use crate::run::stage_dir::StageDir;

/// Names of the pictures that an example may have, in the order of [`Illustration::panels`]; files are called so, with
/// `.png`.
pub const PICTURES: [&str; 4] = ["input", "mask", "reconstruction", "error"];

/// Names of the sounds that an example may have; files are called so, with `.wav`.
pub const SOUNDS: [&str; 2] = ["input", "reconstruction"];

/// File with an [`ExampleNote`], in the folder of the pictures and sounds.
pub const EXAMPLE_NOTE: &str = "example.json";

/// Description of an example that a stage has left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExampleNote {
    /// The example's name in its source.
    pub name: String,
    /// Length without padding.
    pub seconds: f64,
    /// Sampling rate of both sounds.
    pub sample_rate_hz: u32,
    /// Share of its bins that the model didn't see, padding left out.
    pub hidden_share: f64,
    /// Names of its pictures, some of [`PICTURES`].
    #[serde(default = "all_pictures")]
    pub pictures: Vec<String>,
    /// Names of its sounds, some of [`SOUNDS`].
    #[serde(default = "all_sounds")]
    pub sounds: Vec<String>,
    /// What made it and what was estimated, where the stage estimates parameters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ComparedParameter>,
}

fn all_pictures() -> Vec<String> {
    PICTURES.map(str::to_owned).to_vec()
}

fn all_sounds() -> Vec<String> {
    SOUNDS.map(str::to_owned).to_vec()
}

/// A parameter of an example: what made the sound, and what was estimated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedParameter {
    /// Its name.
    pub name: String,
    /// The unit of its values; empty for a choice, and for numbers that have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// What made the sound.
    pub truth: Setting,
    /// What was estimated.
    pub estimate: Setting,
}

/// A parameter's value in musical units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Setting {
    /// Of a continuous parameter.
    Number(f32),
    /// The class of a categorical one.
    Class(String),
}

/// A model's version of an example.
#[derive(Clone, Debug)]
pub struct Made {
    /// What to call it on pictures.
    pub title: &'static str,
    /// Normalised, `[bins, frames]`.
    pub spectrogram: Spectrogram,
    /// The sound.
    pub sound: Vec<f32>,
}

/// What the axes of spectrograms of `bins` by `frames` mean.
pub(crate) fn spectrogram_axes(config: &DataConfig, bins: usize, frames: usize) -> Axes {
    let rate = config.clip.sample_rate_hz as f32;
    Axes {
        max_hz: rate * (bins - 1) as f32 / config.stft.n_fft as f32,
        max_s: ((frames - 1) * config.stft.hop_length) as f32 / rate,
    }
}

/// An example with its reconstruction, or with what was rendered in its place.
#[derive(Clone, Debug)]
pub struct Illustration {
    /// The example's name in its source.
    pub name: String,
    /// Normalised input, `[bins, frames]`.
    pub input: Spectrogram,
    /// True where the model didn't see the input; none where nothing is ever hidden.
    pub hidden: Option<Vec<bool>>,
    /// What came of it; none where that has no picture and sound.
    pub made: Option<Made>,
    /// Frames that are no padding.
    pub valid_frames: usize,
    /// What the axes mean.
    pub axes: Axes,
    /// The sound itself, mono.
    pub sound: Vec<f32>,
    /// Sampling rate of both sounds.
    pub sample_rate_hz: u32,
    /// What made it and what was estimated, where the stage estimates parameters.
    pub parameters: Vec<ComparedParameter>,
}

impl Illustration {
    /// Puts together the one example in `batch` and its `reconstruction`, which is played with the phase of the input.
    ///
    /// # Errors
    /// The example's sound can't be read again.
    pub(crate) fn new(
        dataset: &Dataset,
        batch: SpectrogramBatch,
        reconstruction: Spectrogram,
    ) -> Result<Self, TrainerError> {
        let index = batch.indices[0];
        let clip = dataset.clip(index, EVALUATION_EPOCH)?;
        let stft = dataset.stft();
        let normalization = dataset.normalization();
        let magnitudes = Spectrogram {
            values: reconstruction
                .values
                .iter()
                .map(|value| expm1(normalization.invert(*value)).max(0.0))
                .collect(),
            ..reconstruction
        };
        let phases = stft.forward(&clip.samples);
        let mut reconstructed_sound = stft.inverse(
            &stft.with_magnitude(&phases, &magnitudes),
            clip.samples.len(),
        );
        reconstructed_sound.truncate(clip.valid_samples);
        let mut sound = clip.samples;
        sound.truncate(clip.valid_samples);
        let (bins, frames) = (reconstruction.bins, reconstruction.frames);
        Ok(Self {
            name: dataset.source().name(index),
            input: Spectrogram {
                values: batch.values,
                bins,
                frames,
            },
            hidden: Some(batch.hidden),
            made: Some(Made {
                title: "reconstruction",
                spectrogram: reconstruction,
                sound: reconstructed_sound,
            }),
            valid_frames: batch.valid_frames[0],
            axes: spectrogram_axes(dataset.config(), bins, frames),
            sound,
            sample_rate_hz: dataset.config().clip.sample_rate_hz,
            parameters: Vec::new(),
        })
    }

    /// Input, what of it is visible, reconstruction and error, side by side, as far as there are such.
    pub fn panels(&self) -> Vec<Panel> {
        let named = self.named_panels().into_iter();
        named.map(|(_, panel)| panel).collect()
    }

    fn named_panels(&self) -> Vec<(&'static str, Panel)> {
        let valid = |at: usize| at % self.input.frames < self.valid_frames;
        let shown = self.input.values.iter().enumerate();
        let range = shown.filter(|(at, _)| valid(*at)).fold(
            (f32::INFINITY, f32::NEG_INFINITY),
            |(low, high), (_, value)| (low.min(*value), high.max(*value)),
        );
        let panel = |title: &str, range, value: &dyn Fn(usize) -> Option<f32>| Panel {
            title: title.into(),
            values: (0..self.input.values.len())
                .map(|at| valid(at).then(|| value(at)).flatten())
                .collect(),
            bins: self.input.bins,
            frames: self.input.frames,
            range,
        };
        let input = &self.input.values;
        let [of_input, of_mask, of_reconstruction, of_error] = PICTURES;
        let title = format!("input: {}", self.name);
        let mut panels = vec![(of_input, panel(&title, range, &|at| Some(input[at])))];
        if let Some(hidden) = &self.hidden {
            let seen = |at: usize| (!hidden[at]).then_some(input[at]);
            panels.push((of_mask, panel("mask (hidden is grey)", range, &seen)));
        }
        if let Some(made) = &self.made {
            let output = &made.spectrogram.values;
            let shown = panel(made.title, range, &|at| Some(output[at]));
            panels.push((of_reconstruction, shown));
            let error = |at: usize| Some((output[at] - input[at]).abs());
            let range = (0.0, range.1 - range.0);
            panels.push((of_error, panel("absolute error", range, &error)));
        }
        panels
    }

    /// The panels, each on a canvas of its own, with its name.
    pub fn pictures(&self) -> impl Iterator<Item = (&'static str, Canvas)> {
        let draw = |panel| draw_panels(&[vec![panel]], self.axes);
        let named = self.named_panels().into_iter();
        named.map(move |(name, panel)| (name, draw(panel)))
    }

    /// The sounds, each with its name.
    pub fn sounds(&self) -> impl Iterator<Item = (&'static str, &[f32])> {
        let [input, reconstruction] = SOUNDS;
        let made = self.made.iter();
        std::iter::once((input, &self.sound[..]))
            .chain(made.map(move |made| (reconstruction, &made.sound[..])))
    }

    /// Writes pictures, sounds and [`ExampleNote`] into `directory`, which is made.
    ///
    /// # Errors
    /// They can't be written.
    pub fn write(&self, directory: &Path) -> Result<(), TrainerError> {
        std::fs::create_dir_all(directory).map_err(TrainerError::write(directory))?;
        let write = |file: String, bytes: &[u8]| {
            let path = directory.join(file);
            std::fs::write(&path, bytes).map_err(TrainerError::write(&path))
        };
        for (name, canvas) in self.pictures() {
            write(format!("{name}.png"), &canvas.to_png())?;
        }
        for (name, sound) in self.sounds() {
            write(
                format!("{name}.wav"),
                &wav_file(&synth::pcm16(sound), self.sample_rate_hz),
            )?;
        }
        let note = serde_json::to_string_pretty(&self.note()).expect("plain fields serialise");
        write(EXAMPLE_NOTE.into(), (note + "\n").as_bytes())
    }

    fn note(&self) -> ExampleNote {
        let frame = |at: usize| at % self.input.frames;
        let is_hidden = self.hidden.as_deref().unwrap_or_default();
        let valid = (0..is_hidden.len()).filter(|at| frame(*at) < self.valid_frames);
        let (hidden, bins): (usize, usize) = valid.fold((0, 0), |(hidden, bins), at| {
            (hidden + usize::from(is_hidden[at]), bins + 1)
        });
        let panels = self.named_panels().into_iter();
        ExampleNote {
            name: self.name.clone(),
            seconds: self.sound.len() as f64 / f64::from(self.sample_rate_hz),
            sample_rate_hz: self.sample_rate_hz,
            hidden_share: hidden as f64 / bins.max(1) as f64,
            pictures: panels.map(|(name, _)| name.to_owned()).collect(),
            sounds: self.sounds().map(|(name, _)| name.to_owned()).collect(),
            parameters: self.parameters.clone(),
        }
    }

    /// Leaves `illustrations` in a stage's directory: all of them on one picture, and each with its sounds in
    /// `examples/<place>`.
    ///
    /// # Errors
    /// They can't be written.
    pub fn keep(illustrations: &[Self], directory: &StageDir) -> Result<(), TrainerError> {
        if let Some(canvas) = Self::draw(illustrations) {
            let path = directory.picture();
            std::fs::write(&path, canvas.to_png()).map_err(TrainerError::write(&path))?;
        }
        for (place, illustration) in illustrations.iter().enumerate() {
            illustration.write(&directory.example(place))?;
        }
        Ok(())
    }

    /// One row of [`panels`](Self::panels) for each of `illustrations`, on one canvas.
    pub fn draw(illustrations: &[Self]) -> Option<Canvas> {
        let rows: Vec<_> = illustrations.iter().map(Self::panels).collect();
        illustrations
            .first()
            .map(|first| draw_panels(&rows, first.axes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_and_sounds_of_an_example_are_kept_with_what_was_hidden() {
        let (bins, frames) = (3, 5);
        let spectrogram = |value: f32| Spectrogram {
            values: (0..bins * frames).map(|at| at as f32 * value).collect(),
            bins,
            frames,
        };
        let illustration = Illustration {
            name: "a/<b>.wav".into(),
            input: spectrogram(1.0),
            // Of 12 valid bins the first frame's three; a hidden bin of padding doesn't count.
            hidden: Some(
                (0..bins * frames)
                    .map(|at| [0, 4].contains(&(at % frames)))
                    .collect(),
            ),
            made: Some(Made {
                title: "reconstruction",
                spectrogram: spectrogram(0.5),
                sound: vec![0.0, 0.25, 2.0],
            }),
            valid_frames: 4,
            axes: Axes {
                max_hz: 8.0,
                max_s: 0.5,
            },
            sound: vec![0.0, 0.5, -0.5],
            sample_rate_hz: 6,
            parameters: Vec::new(),
        };
        let desk = tempfile::tempdir().unwrap();
        illustration.write(&desk.path().join("examples/0")).unwrap();

        let file = |name: &str| std::fs::read(desk.path().join("examples/0").join(name)).unwrap();
        let note: ExampleNote = serde_json::from_slice(&file(EXAMPLE_NOTE)).unwrap();
        assert_eq!(
            note,
            ExampleNote {
                name: "a/<b>.wav".into(),
                seconds: 0.5,
                sample_rate_hz: 6,
                hidden_share: 0.25,
                pictures: all_pictures(),
                sounds: all_sounds(),
                parameters: Vec::new(),
            }
        );
        for name in PICTURES {
            assert_eq!(&file(&format!("{name}.png"))[1..4], b"PNG");
        }
        for (name, loudest) in SOUNDS.into_iter().zip([16384, i16::MAX]) {
            let bytes = file(&format!("{name}.wav"));
            let mut reader = hound::WavReader::new(&bytes[..]).unwrap();
            assert_eq!(reader.spec().sample_rate, 6);
            let samples = reader.samples::<i16>().map(Result::unwrap);
            let samples: Vec<i16> = samples.collect();
            assert_eq!(samples.len(), 3);
            assert_eq!(samples.iter().max(), Some(&loudest));
        }
    }
}
