use crate::audio::{MAX_RATE_HZ, MAX_SAMPLE, MIN_RATE_HZ};
use crate::decode::level::ChannelLevel;
use crate::decode::limits::DecodeLimits;
use crate::decode::unusable::Unusable;

/// The mean of the channels, appended packet by packet.
#[derive(Default)]
pub(crate) struct Mono {
    pub(crate) samples: Vec<f32>,
    pub(crate) rate_hz: u32,
    pub(crate) levels: Vec<ChannelLevel>,
    pub(crate) damaged_packets: usize,
    pub(crate) packets_at_another_rate: usize,
    /// Frames of all packets that could be decoded.
    pub(crate) frames_read: u64,
}

impl Mono {
    /// Appends a packet, or counts it if its rate differs: a sound has one rate.
    pub(crate) fn push(
        &mut self,
        planes: &[Vec<f32>],
        rate_hz: u32,
        limits: &DecodeLimits,
    ) -> Result<(), Unusable> {
        let frames = planes.first().map_or(0, Vec::len);
        if frames == 0 {
            return Ok(());
        }
        self.frames_read += frames as u64;
        if self.samples.is_empty() {
            if !(MIN_RATE_HZ..=MAX_RATE_HZ).contains(&rate_hz) {
                return Err(Unusable::SampleRate {
                    got: rate_hz,
                    min: MIN_RATE_HZ,
                    max: MAX_RATE_HZ,
                });
            }
            self.rate_hz = rate_hz;
        } else if rate_hz != self.rate_hz {
            self.packets_at_another_rate += 1;
            return Ok(());
        }
        let (max_samples, refusal) = limits.at(self.rate_hz);
        if self.samples.len() + frames > max_samples {
            return Err(refusal);
        }
        self.make_room(frames, max_samples);
        // Streams of a chain may differ in their channels.
        if self.levels.len() < planes.len() {
            self.levels.resize_with(planes.len(), ChannelLevel::default);
        }
        // Before the sum, in which two damaged channels could cancel.
        check_samples(planes, self.samples.len())?;
        let start = self.samples.len();
        self.samples.resize(start + frames, 0.0);
        for (plane, level) in planes.iter().zip(&mut self.levels) {
            level.extend(plane);
            for (sum, sample) in self.samples[start..].iter_mut().zip(plane) {
                *sum += sample;
            }
        }
        let count = planes.len() as f32;
        for sum in &mut self.samples[start..] {
            *sum /= count;
        }
        Ok(())
    }

    /// Doubles the capacity, as vectors do, but never beyond the limit.
    fn make_room(&mut self, frames: usize, max_samples: usize) {
        let length = self.samples.len();
        if length + frames > self.samples.capacity() {
            let room = (2 * length).clamp(length + frames, max_samples);
            self.samples.reserve_exact(room - length);
        }
    }
}

/// Checks the planes of a packet, whose first frame is frame `start` of the sound.
fn check_samples(planes: &[Vec<f32>], start: usize) -> Result<(), Unusable> {
    // Counting rare samples is faster than searching for them.
    let beyond = |plane: &Vec<f32>| {
        let is_valid = |sample: &f32| sample.abs() <= MAX_SAMPLE;
        plane
            .iter()
            .fold(0_u32, |count, sample| count + u32::from(!is_valid(sample)))
    };
    if planes.iter().map(beyond).sum::<u32>() == 0 {
        return Ok(());
    }
    let frames = planes.first().map_or(0, Vec::len);
    for frame in 0..frames {
        for plane in planes {
            check_sample(plane[frame], start + frame)?;
        }
    }
    Ok(())
}

fn check_sample(value: f32, at_sample: usize) -> Result<(), Unusable> {
    if value.abs() <= MAX_SAMPLE {
        Ok(())
    } else if value.is_finite() {
        Err(Unusable::TooLarge {
            at_sample,
            value,
            max: MAX_SAMPLE,
        })
    } else {
        Err(Unusable::NotFinite { at_sample })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_averaged_and_packets_at_another_rate_skipped() {
        let mut mono = Mono::default();
        let limits = DecodeLimits {
            max_seconds: 0.005,
            ..DecodeLimits::default()
        };
        let three = [vec![1.0, 0.5], vec![0.0, -0.5], vec![0.5, 3.0]];
        mono.push(&three, 1_000, &limits).unwrap();
        mono.push(&[vec![9.0]], 1_100, &limits).unwrap();
        assert_eq!((mono.packets_at_another_rate, mono.damaged_packets), (1, 0));
        mono.push(&[vec![0.25]], 1_000, &limits).unwrap();
        assert_eq!(mono.samples, [0.5, 1.0, 0.25]);
        let too_long = mono.push(&[vec![0.0; 3]], 1_000, &limits).unwrap_err();
        assert!(matches!(too_long, Unusable::TooLong { .. }));
    }

    #[test]
    fn the_limit_in_seconds_holds_at_every_rate_and_that_in_samples_bounds_memory_at_high_ones() {
        let limits = DecodeLimits {
            max_seconds: 0.5,
            max_samples: 30_000,
            max_channels: 1,
        };
        for (rate_hz, most) in [(8_000, 4_000), (48_000, 24_000), (96_000, 30_000)] {
            let mut mono = Mono::default();
            let refused = loop {
                if let Err(refused) = mono.push(&[vec![0.0; 700]], rate_hz, &limits) {
                    break refused;
                }
            };
            assert_eq!(mono.samples.len(), most / 700 * 700);
            assert!(mono.samples.capacity() <= most);
            let text = refused.to_string();
            match rate_hz {
                96_000 => assert!(
                    matches!(
                        refused,
                        Unusable::TooManySamples {
                            max_samples: 30_000
                        }
                    ) && text.contains("`max_samples`"),
                    "{text}"
                ),
                _ => assert!(
                    matches!(refused, Unusable::TooLong { max_seconds: 0.5 })
                        && text.contains("`max_seconds`"),
                    "{text}"
                ),
            }
        }
    }

    #[test]
    fn implausible_rates_are_refused() {
        for rate_hz in [0, 1, MIN_RATE_HZ - 1, MAX_RATE_HZ + 1, u32::MAX] {
            let refused = Mono::default()
                .push(&[vec![0.1]], rate_hz, &DecodeLimits::default())
                .unwrap_err();
            assert!(matches!(refused, Unusable::SampleRate { got, .. } if got == rate_hz));
        }
    }
}
