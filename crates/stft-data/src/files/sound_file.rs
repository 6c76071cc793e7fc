use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::audio::Audio;
use crate::decode::file::Decoded;
use crate::decode::level::ChannelLevel;
use crate::source::Fingerprint;
use crate::transform::resample::resampled_length;

/// Facts of a sound file that can be used. Models are given the mean of its channels.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundFile {
    /// Path relative to the folder, or as in the list.
    pub path: PathBuf,
    /// Length in seconds.
    pub seconds: f32,
    /// Length in samples of one channel, at the recorded rate.
    pub samples: usize,
    /// Samples per second, as recorded.
    pub sample_rate_hz: u32,
    /// Number of channels, as recorded.
    pub channels: usize,
    /// Every sample of the mean of the channels is zero. Such a file is still used. If `peak` is above
    /// zero, the channels cancel each other.
    pub silent: bool,
    /// Largest magnitude in any channel. Full scale is 1; float files may go beyond.
    pub peak: f32,
    /// Root mean square of the mean of the channels. A sine at full scale has 0.71.
    pub rms: f32,
    /// Number of clipped samples over all channels: those in runs of three or more of one sign that
    /// reach full scale, 32767/32768. Clipping is not found in a sound that was turned down afterwards
    /// or stored by a lossy codec.
    pub clipped_samples: usize,
    /// Number of packets that could not be decoded and were skipped.
    pub damaged_packets: usize,
    /// Number of packets that were skipped because their sample rate differs from that of the first. A
    /// chain of streams may change its rate, and damaged bytes may look like an MP3 frame.
    pub packets_at_another_rate: usize,
    /// The file ends before the length in its header. What is there is used. Truncation is not detected
    /// in OGG files, nor without a length in the header (MP3 without a table of contents, WAV or FLAC
    /// from a pipe).
    pub truncated: bool,
    /// SHA-256 of the sample rate and the decoded mono samples. A renamed, re-tagged or losslessly
    /// re-encoded copy has the same fingerprint.
    pub fingerprint: Fingerprint,
}

impl SoundFile {
    pub(crate) fn new(path: PathBuf, decoded: &Decoded) -> SoundFile {
        let Decoded {
            audio,
            levels,
            damaged_packets,
            packets_at_another_rate,
            truncated,
        } = decoded;
        SoundFile {
            path,
            seconds: audio.seconds(),
            samples: audio.samples.len(),
            sample_rate_hz: audio.sample_rate_hz,
            channels: levels.len(),
            silent: audio.samples.iter().all(|&sample| sample == 0.0),
            peak: levels.iter().map(ChannelLevel::peak).fold(0.0, f32::max),
            rms: root_mean_square(&audio.samples),
            clipped_samples: levels.iter().map(ChannelLevel::clipped_samples).sum(),
            damaged_packets: *damaged_packets,
            packets_at_another_rate: *packets_at_another_rate,
            truncated: *truncated,
            fingerprint: fingerprint(audio),
        }
    }

    /// Length in samples after [`resample`](crate::resample) to `rate_hz`.
    pub fn samples_at(&self, rate_hz: u32) -> usize {
        resampled_length(self.samples, self.sample_rate_hz, rate_hz)
    }
}

fn root_mean_square(samples: &[f32]) -> f32 {
    let squares: f64 = samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    (squares / samples.len() as f64).sqrt() as f32
}

fn fingerprint(audio: &Audio) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(audio.sample_rate_hz.to_le_bytes());
    let mut bytes = [0_u8; 4 * 1024];
    for block in audio.samples.chunks(1024) {
        for (four, sample) in bytes.chunks_exact_mut(4).zip(block) {
            four.copy_from_slice(&sample.to_le_bytes());
        }
        hash.update(&bytes[..4 * block.len()]);
    }
    Fingerprint(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::resample::resample;

    #[test]
    fn a_square_wave_has_the_level_of_its_peak_and_a_sine_three_db_less() {
        let square = [0.5, -0.5, 0.5, -0.5];
        assert_eq!(root_mean_square(&square), 0.5);
        let sine: Vec<f32> = (0..1000)
            .map(|n| (std::f32::consts::TAU * n as f32 / 100.0).sin())
            .collect();
        assert!((root_mean_square(&sine) - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6);
    }

    #[test]
    fn the_length_at_another_rate_is_that_of_the_resampler() {
        let mut checked = 0;
        for samples in [1, 2, 999, 4_410, 44_100] {
            for (from_hz, to_hz) in [(44_100, 16_384), (8_000, 44_100), (16_000, 8_000), (7, 7)] {
                let audio = Audio {
                    samples: vec![0.25; samples],
                    sample_rate_hz: from_hz,
                };
                let resampled = resample(&audio, to_hz).unwrap();
                let file = SoundFile::new(
                    PathBuf::new(),
                    &Decoded {
                        audio,
                        levels: vec![ChannelLevel::default()],
                        damaged_packets: 0,
                        packets_at_another_rate: 0,
                        truncated: false,
                    },
                );
                assert_eq!(file.samples_at(to_hz), resampled.samples.len());
                checked += 1;
            }
        }
        assert_eq!(checked, 20);
    }
}
