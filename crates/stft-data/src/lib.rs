//! From sound files to masked, normalised STFT batches, deterministically and in parallel.
//!
//! ```text
//! file --decode--> Audio --resample, cut--> Clip --stft--> magnitude --log1p, normalise, mask--> Example --stack--> SpectrogramBatch
//! ```
//!
//! An example is a function of (configuration, seed, epoch, content of the sound): the same for any
//! batch size, any number of workers, any order of asking, whatever other sounds are there (they
//! only shape the normalisation). Axes are `[batch, bins, frames]`, row-major. In masks, true means
//! hidden. There are no tensors here; a batch is plain vectors.
//!
//! # A tour
//!
//! Sounds come from a [`Source`]: files ([`FileSource`] opens a folder, or a list with or without the
//! parameters that made each sound), or your own.
//!
//! ```
//! use std::sync::Arc;
//! use stft_data::{Audio, DataConfig, DataError, Dataset, Fingerprint, Loader, Order, Source, Split};
//!
//! /// Twenty tones, a semitone apart.
//! struct Tones;
//!
//! impl Source for Tones {
//!     fn len(&self) -> usize {
//!         20
//!     }
//!     fn name(&self, index: usize) -> String {
//!         format!("tone {index}")
//!     }
//!     fn fingerprint(&self, index: usize) -> Fingerprint {
//!         Fingerprint([index as u8; 32])
//!     }
//!     fn load(&self, index: usize) -> Result<Audio, DataError> {
//!         let hz = 220.0 * 2_f32.powf(index as f32 / 12.0);
//!         let wave = (0..8_000).map(|n| (std::f32::consts::TAU * hz * n as f32 / 16_000.0).sin());
//!         Ok(Audio { samples: wave.collect(), sample_rate_hz: 16_000 })
//!     }
//! }
//!
//! // The split is decided, and the training split's mean and deviation are measured.
//! let seed = 1;
//! let dataset = Arc::new(Dataset::open(Arc::new(Tones), &DataConfig::default(), seed)?);
//! assert!(!dataset.indices(Split::Valid).is_empty());
//!
//! // Training batches without end, made by two workers in the background.
//! let mut loader = Loader::new(dataset.clone(), Order::Training, 4, 2, 0);
//! let batch = loader.next().expect("training has no end")?;
//! assert_eq!([batch.batch, batch.bins, batch.frames], [4, 257, 129]);
//!
//! // Half a second of sound in a clip of a second: half the frames are valid, and 45 % of the
//! // cells over them are hidden.
//! assert_eq!(batch.valid_frames, [65; 4]);
//! let hidden = batch.hidden.iter().filter(|&&hidden| hidden).count();
//! assert!((hidden as f32 / (4.0 * 257.0 * 65.0) - 0.45).abs() < 0.02);
//! # Ok::<(), DataError>(())
//! ```
//!
//! From a file to its spectrogram:
//!
//! ```
//! use stft_data::{DecodeLimits, Stft, StftConfig, decode_file, log1p, resample};
//!
//! # let path = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/stereo.ogg"));
//! let sound = decode_file(path, &DecodeLimits::default())?; // the mean of its channels
//! let sound = resample(&sound, 16_384)?;
//! let stft = Stft::new(&StftConfig { n_fft: 512, hop_length: 128, win_length: None })?;
//! let mut spectrogram = stft.magnitude(&sound.samples); // [bins, frames]
//! for value in &mut spectrogram.values {
//!     *value = log1p(*value);
//! }
//! assert_eq!((spectrogram.bins, spectrogram.frames), (257, 1 + sound.samples.len() / 128));
//! # Ok::<(), stft_data::DataError>(())
//! ```
//!
//! [`Stft`] stands alone as well: `forward`, `magnitude`, and `inverse` to listen to what a model
//! made.
//!
//! ```
//! use stft_data::{Stft, StftConfig};
//!
//! let stft = Stft::new(&StftConfig { n_fft: 600, hop_length: 150, win_length: Some(400) })?;
//! let sound: Vec<f32> = (0..5_000).map(|n| (n as f32 * 0.05).sin()).collect();
//! let again = stft.inverse(&stft.forward(&sound), sound.len());
//! assert!(sound.iter().zip(&again).all(|(x, y)| (x - y).abs() < 1e-4));
//! # Ok::<(), stft_data::DataError>(())
//! ```

mod audio;
mod config;
mod dataset;
mod decode;
mod error;
mod files;
mod printable;
mod source;
mod transform;

pub use audio::{Audio, MAX_SAMPLE};
pub use config::DataConfig;
pub use dataset::batch::{Example, SpectrogramBatch};
pub use dataset::dataset::Dataset;
pub use dataset::epoch::EVALUATION_EPOCH;
pub use dataset::loader::Loader;
pub use dataset::order::Order;
pub use dataset::split::{Split, SplitConfig};
pub use decode::file::decode_file;
pub use decode::limits::DecodeLimits;
pub use decode::unusable::{Rejected, Unusable};
pub use error::DataError;
pub use files::file_source::FileSource;
pub use files::folder::FolderSource;
pub use files::list::ListSource;
pub use files::manifest::ManifestSource;
pub use files::row_fault::RowFault;
pub use files::sound_file::SoundFile;
pub use printable::printable;
pub use source::{FINGERPRINT_VERSION, Fingerprint, Source};
pub use transform::clip::{Clip, ClipConfig};
pub use transform::mask::{MaskConfig, MaskStrategy};
pub use transform::normalize::Normalization;
pub use transform::resample::resample;
pub use transform::scale::{expm1, log1p};
pub use transform::spectrogram::{ComplexSpectrogram, Spectrogram, StftConfig};
pub use transform::statistics::TrainStatistics;
pub use transform::stft::Stft;
