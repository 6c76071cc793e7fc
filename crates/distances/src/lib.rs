//! How far one sound is from another, by the measures of the synthesizer-matching literature.
//!
//! A synthesizer's settings are found when it makes the target's sound, so an estimate is judged by
//! its sound, not by its parameters: many settings sound alike. No single number hears everything,
//! so there is a panel of them.
//!
//! | name | hears | blind to | unit |
//! |---|---|---|---|
//! | `mss` | spectrum over time, fine and coarse | gain | dB |
//! | `wmfcc` | timbre and level, in order | timing | dB of cepstrum |
//! | `sot` | how far partials must move | gain, in each frame | share of half the sample rate |
//! | `rms_cosine` | when it is loud | gain, spectrum | similarity, 1 is best |
//! | `logmel_l1` | spectrum over time and level | | dB |
//!
//! The first four are the panel of Hayes, Saitis and Fazekas, "Audio synthesizer inversion in
//! symmetric parameter spaces with approximately equivariant flow matching", ISMIR 2025. Each has its
//! equation, its sources and what differs from them at the method of [`Panel`].
//!
//! All sums are in f64, on spectra of `stft_data::Stft` in f32. Scoring two sounds of 2 s at 44.1 kHz takes
//! 50 ms on one core of a Xeon server (optimised; `wmfcc` 22 ms, `mss` 16 ms, `sot` 9 ms), two of 60 s
//! 3.4 s and 160 MB: warping takes time with the square of the length, but not memory.
//!
//! # A tour
//!
//! ```
//! use distances::{Panel, score};
//! use stft_data::Audio;
//!
//! /// Half a second of a decaying tone.
//! fn tone(hz: f32, gain: f32) -> Audio {
//!     let wave = (0..8_000).map(|n| {
//!         let s = n as f32 / 16_000.0;
//!         gain * (-4.0 * s).exp() * (std::f32::consts::TAU * hz * s).sin()
//!     });
//!     Audio { samples: wave.collect(), sample_rate_hz: 16_000 }
//! }
//!
//! // Nothing is nearer than the sound itself.
//! let target = tone(400.0, 0.5);
//! let same = score(&target, &target)?;
//! assert_eq!([same.mss, same.wmfcc, same.sot, same.logmel_l1], [0.0; 4]);
//! assert!((same.rms_cosine - 1.0).abs() < 1e-9);
//!
//! // To compare many, plan once. The further a partial is off, the more must be moved.
//! let panel = Panel::new(16_000)?;
//! let near = panel.sot(&target, &tone(480.0, 0.5))?;
//! let far = panel.sot(&target, &tone(1_200.0, 0.5))?;
//! // 80 Hz and 800 Hz, of 8,000.
//! assert!((near - 0.01).abs() < 0.002 && (far - 0.1).abs() < 0.01, "{near} {far}");
//!
//! // What is only quieter has the same relative spectrum and the same envelope, at another level.
//! let quieter = panel.score(&target, &tone(400.0, 0.05))?;
//! assert!(quieter.mss < 1e-2 && quieter.rms_cosine > 0.999);
//! assert!(quieter.logmel_l1 > 10.0);
//!
//! // Sounds of different rates are not compared.
//! let other_rate = Audio { sample_rate_hz: 44_100, ..target.clone() };
//! let refused = panel.score(&target, &other_rate).unwrap_err();
//! assert!(refused.to_string().contains("resample"));
//! # Ok::<(), distances::DistanceError>(())
//! ```
#![warn(missing_docs)]

mod decibel;
mod dtw;
mod envelope;
mod error;
mod mel;
mod mel_spectrogram;
mod mfcc;
mod score;
mod transform;
mod transport;

pub use dtw::dtw;
pub use error::DistanceError;
pub use mel::MelFilterbank;
pub use score::{Panel, Score, rms_cosine, score, sot};
