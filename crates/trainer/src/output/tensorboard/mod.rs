//! TensorBoard event files: scalars, images and audio.
//!
//! Written from the formats' definitions (`tensorflow/core/util/event.proto`,
//! `core/framework/summary.proto` and the record framing of `core/lib/io/record_writer`):
//! no maintained crate covers audio and images without a `protoc` at build time.

mod event;
mod record;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use crate::error::TrainerError;
use crate::output::wav::wav_file;
use event::{Audio, Event, Image, SessionLog, Summary, Value, What};

/// `SessionLog.START` of `event.proto`.
const START: i32 = 1;

/// Appends events to one new file in a directory that TensorBoard watches.
///
/// Every event is flushed, so that a curve can be watched while it grows and a killed
/// process loses nothing.
pub struct TensorBoard {
    file: BufWriter<File>,
    path: PathBuf,
}

impl TensorBoard {
    /// Creates `directory` and a new event file in it, where earlier calls have done `steps_done` steps. What their files have
    /// of later steps, which are done again, TensorBoard forgets.
    ///
    /// # Errors
    /// The directory or file can't be made.
    pub fn create(directory: &Path, steps_done: u64) -> Result<Self, TrainerError> {
        std::fs::create_dir_all(directory).map_err(TrainerError::write(directory))?;
        let started = now();
        // TensorBoard finds event files by the `tfevents` in their names and reads them in
        // the order of their names, so the second of the start comes first.
        let path = directory.join(format!(
            "events.out.tfevents.{:010}.inversynth.{}",
            started as u64,
            std::process::id()
        ));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(TrainerError::write(&path))?;
        let mut writer = Self {
            file: BufWriter::new(file),
            path,
        };
        writer.append(Event {
            wall_time: started,
            step: 0,
            what: Some(What::FileVersion("brain.Event:2".into())),
        })?;
        // At every start but the first, TensorBoard drops what it has read of the start's step and later ones.
        writer.append(Event {
            wall_time: started,
            step: steps_done as i64 + 1,
            what: Some(What::SessionLog(SessionLog { status: START })),
        })?;
        Ok(writer)
    }

    /// Writes the number `value` under `tag`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f32) -> Result<(), TrainerError> {
        self.summary(step, Value::scalar(tag, value))
    }

    /// Writes a PNG of `width x height` RGB pixels under `tag`.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn image(
        &mut self,
        tag: &str,
        step: u64,
        (width, height): (u32, u32),
        png: Vec<u8>,
    ) -> Result<(), TrainerError> {
        let image = Image {
            height: height as i32,
            width: width as i32,
            colorspace: 3,
            encoded_image_string: png,
        };
        self.summary(step, Value::image(tag, image))
    }

    /// Writes mono `samples` in -1..1 under `tag`, as 16-bit WAV.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn audio(
        &mut self,
        tag: &str,
        step: u64,
        samples: &[f32],
        sample_rate_hz: u32,
    ) -> Result<(), TrainerError> {
        let audio = Audio {
            sample_rate: sample_rate_hz as f32,
            num_channels: 1,
            length_frames: samples.len() as i64,
            encoded_audio_string: wav_file(&synth::pcm16(samples), sample_rate_hz),
            content_type: "audio/wav".into(),
        };
        self.summary(step, Value::audio(tag, audio))
    }

    fn summary(&mut self, step: u64, value: Value) -> Result<(), TrainerError> {
        self.append(Event {
            wall_time: now(),
            step: step as i64,
            what: Some(What::Summary(Summary { value: vec![value] })),
        })
    }

    fn append(&mut self, event: Event) -> Result<(), TrainerError> {
        record::write(&mut self.file, &event.encode_to_vec())
            .and_then(|()| self.file.flush())
            .map_err(TrainerError::write(&self.path))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(directory: &Path) -> Vec<Event> {
        let mut events = Vec::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            for payload in record::read_all(&bytes).unwrap() {
                events.push(Event::decode(payload.as_slice()).unwrap());
            }
        }
        events
    }

    #[test]
    fn what_is_written_is_read_back_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut board = TensorBoard::create(directory.path(), 0).unwrap();
        board.scalar("train/loss", 7, 0.25).unwrap();
        board
            .image("valid/input", 8, (3, 2), vec![1, 2, 3])
            .unwrap();
        board
            .audio("valid/audio", 9, &[0.0, 0.5, -2.0], 8000)
            .unwrap();

        let events = read_back(directory.path());
        assert_eq!(events.len(), 5);
        assert_eq!(
            events[0].what,
            Some(What::FileVersion("brain.Event:2".into()))
        );
        let steps: Vec<i64> = events.iter().map(|event| event.step).collect();
        assert_eq!(steps, [0, 1, 7, 8, 9]);
        let values: Vec<&Value> = events[2..]
            .iter()
            .map(|event| match event.what.as_ref().unwrap() {
                What::Summary(summary) => &summary.value[0],
                other => panic!("expected a summary, got {other:?}"),
            })
            .collect();
        assert_eq!(*values[0], Value::scalar("train/loss", 0.25));
        let event::Kind::Image(image) = values[1].kind.as_ref().unwrap() else {
            panic!("expected an image");
        };
        assert_eq!((image.width, image.height), (3, 2));
        let event::Kind::Audio(audio) = values[2].kind.as_ref().unwrap() else {
            panic!("expected audio");
        };
        let wav = hound::WavReader::new(audio.encoded_audio_string.as_slice()).unwrap();
        assert_eq!(wav.spec().sample_rate, 8000);
        let samples: Vec<i16> = wav.into_samples().map(Result::unwrap).collect();
        assert_eq!(samples, [0, 16384, -32768]);
    }

    #[test]
    fn every_file_begins_with_a_start_at_the_step_that_it_writes_next() {
        for (done, next) in [(0, 1), (7, 8)] {
            let directory = tempfile::tempdir().unwrap();
            TensorBoard::create(directory.path(), done).unwrap();
            let events = read_back(directory.path());
            assert_eq!(events.len(), 2);
            assert_eq!(events[1].step, next);
            let start = SessionLog { status: START };
            assert_eq!(events[1].what, Some(What::SessionLog(start)));
            // Field 7 of the event holds field 1 of the log, by the numbers of `event.proto`.
            let bytes = events[1].encode_to_vec();
            assert!(bytes.ends_with(&[7 << 3 | 2, 2, 1 << 3, 1]), "{bytes:?}");
        }
    }
}
