//! An example with its reconstruction, to be looked at and listened to.

use std::path::Path;

use serde::{Deserialize, Serialize};
use stft_data::{Dataset, EVALUATION_EPOCH, Spectrogram, SpectrogramBatch, expm1};

use crate::error::TrainerError;
use crate::picture::{Axes, Canvas, Panel, draw_panels};
use crate::run_dir::StageDir;
use crate::wav::wav_bytes;

/// Names of an example's pictures, in the order of [`Illustration::panels`]; files are called so, with `.png`.
pub const PICTURES: [&str; 4] = ["input", "mask", "reconstruction", "error"];

/// Names of an example's sounds; files are called so, with `.wav`.
pub const SOUNDS: [&str; 2] = ["input", "reconstruction"];

/// File with an [`ExampleNote`], beside pictures and sounds.
pub const EXAMPLE_NOTE: &str = "example.json";

/// What there is to say about an example that a stage has left.
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
}

/// An example with its reconstruction.
#[derive(Clone, Debug)]
pub struct Illustration {
    /// The example's name in its source.
    pub name: String,
    /// Normalised input, `[bins, frames]`.
    pub input: Spectrogram,
    /// True where the model didn't see the input.
    pub hidden: Vec<bool>,
    /// Normalised output of the model.
    pub reconstruction: Spectrogram,
    /// Frames that are no padding.
    pub valid_frames: usize,
    /// What the axes mean.
    pub axes: Axes,
    /// The sound itself, mono.
    pub sound: Vec<f32>,
    /// The reconstruction with the phase of the input.
    pub reconstructed_sound: Vec<f32>,
    /// Sampling rate of both sounds.
    pub sample_rate_hz: u32,
}

impl Illustration {
    /// Puts together the one example in `batch` and its `reconstruction`.
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
        let config = dataset.config();
        let rate = config.clip.sample_rate_hz;
        Ok(Self {
            name: dataset.source().name(index),
            input: Spectrogram {
                values: batch.values,
                bins,
                frames,
            },
            hidden: batch.hidden,
            reconstruction,
            valid_frames: batch.valid_frames[0],
            axes: Axes {
                max_hz: rate as f32 * (bins - 1) as f32 / config.stft.n_fft as f32,
                max_s: ((frames - 1) * config.stft.hop_length) as f32 / rate as f32,
            },
            sound,
            reconstructed_sound,
            sample_rate_hz: rate,
        })
    }

    /// Input, what of it is visible, reconstruction and error, side by side.
    pub fn panels(&self) -> Vec<Panel> {
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
        let output = &self.reconstruction.values;
        vec![
            panel(&format!("input: {}", self.name), range, &|at| {
                Some(input[at])
            }),
            panel("mask (hidden is grey)", range, &|at| {
                (!self.hidden[at]).then_some(input[at])
            }),
            panel("reconstruction", range, &|at| Some(output[at])),
            panel("absolute error", (0.0, range.1 - range.0), &|at| {
                Some((output[at] - input[at]).abs())
            }),
        ]
    }

    /// The panels, each on a canvas of its own, with its name.
    pub fn pictures(&self) -> impl Iterator<Item = (&'static str, Canvas)> {
        let draw = |panel| draw_panels(&[vec![panel]], self.axes);
        std::iter::zip(PICTURES, self.panels().into_iter().map(draw))
    }

    /// The sounds, each with its name.
    pub fn sounds(&self) -> [(&'static str, &[f32]); 2] {
        let [input, reconstruction] = SOUNDS;
        [
            (input, &self.sound),
            (reconstruction, &self.reconstructed_sound),
        ]
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
                &wav_bytes(sound, self.sample_rate_hz),
            )?;
        }
        let note = serde_json::to_string_pretty(&self.note()).expect("plain fields serialise");
        write(EXAMPLE_NOTE.into(), (note + "\n").as_bytes())
    }

    fn note(&self) -> ExampleNote {
        let frame = |at: usize| at % self.input.frames;
        let valid = (0..self.hidden.len()).filter(|at| frame(*at) < self.valid_frames);
        let (hidden, bins): (usize, usize) = valid.fold((0, 0), |(hidden, bins), at| {
            (hidden + usize::from(self.hidden[at]), bins + 1)
        });
        ExampleNote {
            name: self.name.clone(),
            seconds: self.sound.len() as f64 / f64::from(self.sample_rate_hz),
            sample_rate_hz: self.sample_rate_hz,
            hidden_share: hidden as f64 / bins.max(1) as f64,
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
            hidden: (0..bins * frames)
                .map(|at| [0, 4].contains(&(at % frames)))
                .collect(),
            reconstruction: spectrogram(0.5),
            valid_frames: 4,
            axes: Axes {
                max_hz: 8.0,
                max_s: 0.5,
            },
            sound: vec![0.0, 0.5, -0.5],
            reconstructed_sound: vec![0.0, 0.25, 2.0],
            sample_rate_hz: 6,
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
