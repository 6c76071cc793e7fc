//! Differentiable magnitudes of the short-time Fourier transform, on every backend.

use crate::error::{LossError, in_range};
use crate::framing::{frames, samples_needed};
use crate::reduction::at_least_f32;
use crate::root::root;
use crate::selection::before_end;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kernels::{StftPlan, has_stft_magnitude, stft_magnitude};
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;
use std::sync::OnceLock;

/// Sizes of a short-time Fourier transform, in samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resolution {
    /// Length of the transform: any, not only powers of two.
    pub n_fft: usize,
    /// Step from one frame to the next.
    pub hop_length: usize,
    /// Length of the window, at most `n_fft`.
    pub win_length: usize,
}

impl Resolution {
    /// Bins of a spectrum: `n_fft / 2 + 1`.
    pub fn bins(&self) -> usize {
        self.n_fft / 2 + 1
    }

    /// Frames of a sound: `1 + samples / hop_length`, as in `torch.stft(center=True)`.
    ///
    /// With an odd `n_fft`, the padding of `n_fft / 2` on each side is one sample less than the transform,
    /// and the count is `1 + (samples - 1) / hop_length`.
    pub fn frames(&self, samples: usize) -> usize {
        1 + samples.saturating_sub(self.n_fft % 2) / self.hop_length
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] if a size is 0, or the window longer than the transform.
    pub fn validate(&self) -> Result<(), LossError> {
        let Self {
            n_fft,
            hop_length,
            win_length,
        } = *self;
        in_range("n_fft", n_fft as f64, n_fft > 0, "at least 1")?;
        in_range(
            "hop_length",
            hop_length as f64,
            hop_length > 0,
            "at least 1",
        )?;
        let fits = (1..=n_fft).contains(&win_length);
        in_range("win_length", win_length as f64, fits, "from 1 to n_fft")
    }

    /// Plans the transform for tensors on `device`.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn init(&self, device: &Device) -> Result<Stft, LossError> {
        self.validate()?;
        let window: Vec<f32> = self.window().map(|w| w as f32).collect();
        Ok(Stft {
            resolution: *self,
            plan: StftPlan::new(self.n_fft, self.hop_length, &window),
            device: device.clone().inner(),
            bases: OnceLock::new(),
        })
    }

    /// The periodic Hann window.
    pub(crate) fn window(&self) -> impl Iterator<Item = f64> {
        let length = self.win_length;
        (0..length).map(move |n| 0.5 - 0.5 * (TAU * n as f64 / length as f64).cos())
    }

    /// `w[n] wave(2 pi k n / n_fft)`, `[win_length, bins]`.
    ///
    /// The window is centred in the transform, so the phase of its first sample differs; magnitudes don't
    /// depend on it.
    fn basis(&self, wave: fn(f64) -> f64, dtype: DType, device: &Device) -> Tensor<2> {
        let circle: Vec<f64> = (0..self.n_fft)
            .map(|i| wave(TAU * i as f64 / self.n_fft as f64))
            .collect();
        let mut values = Vec::with_capacity(self.win_length * self.bins());
        for (n, window) in self.window().enumerate() {
            values.extend((0..self.bins()).map(|k| window * circle[k * n % self.n_fft]));
        }
        let shape = [self.win_length, self.bins()];
        Tensor::from_data(TensorData::new(values, shape), (device, dtype))
    }
}

/// Real and imaginary part of a basis, the latter up to its sign.
const WAVES: [fn(f64) -> f64; 2] = [f64::cos, f64::sin];

/// A short-time Fourier transform on a device.
///
/// ```text
/// X[k, t] = sum_n w[n] x[t hop + n - win/2] exp(-2 pi i k n / n_fft)
///
/// w  periodic Hann window of win samples,  k  bin,  t  frame
/// ```
///
/// Equals the magnitudes of `torch.stft(center=True, pad_mode="reflect")` of each item alone.
///
/// In f32 on the CPU backend it uses [`kernels::stft_magnitude`]. In all other cases it is a product of the
/// frames with the windowed basis, which works on every backend and for every `n_fft` (Burn's own `rfft`
/// supports powers of two only). Only the samples under the window are used, so frames are `win_length`
/// long even if `n_fft` is longer.
#[derive(Clone, Debug)]
pub struct Stft {
    resolution: Resolution,
    plan: StftPlan,
    device: Device,
    /// Computed in f64 and rounded to f32, which every device has, at the first use.
    bases: OnceLock<[Tensor<2>; 2]>,
}

impl Stft {
    /// The sizes.
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// Magnitudes of a batch of sounds.
    ///
    /// Each item is reflected at its own ends, so its `resolution.frames(valid_samples[b])` frames don't
    /// depend on the padding of the batch. The frames after them are finite and unspecified. An item
    /// shorter than half a transform is reflected repeatedly.
    ///
    /// The samples after an item's valid ones may be anything, including NaN and infinity. The gradient is
    /// finite everywhere, and 0 where a magnitude is 0. Half precision is computed and returned in f32.
    /// Sounds in f64 use a basis in f64, which is computed in each call.
    ///
    /// # Shapes
    /// - waveform: `[batch, samples]`
    /// - valid_samples: how many samples each item fills, from the left; `batch` entries
    /// - output: `[batch, bins, frames]`
    ///
    /// # Panics
    /// If there are no samples, `valid_samples` doesn't have one entry for each item, or one exceeds the
    /// number of samples.
    pub fn magnitude(&self, waveform: Tensor<2>, valid_samples: &[usize]) -> Tensor<3> {
        let waveform = silenced(at_least_f32(waveform), valid_samples);
        let [_, samples] = waveform.dims();
        let count = self.resolution.frames(samples);
        let reflected = self.reflect(waveform, valid_samples, count);
        if has_stft_magnitude(&reflected) {
            return stft_magnitude(reflected, &self.plan);
        }
        let [real, imaginary] = self.parts(reflected, count);
        root(real.square() + imaginary.square())
    }

    /// Real and imaginary parts, the latter up to its sign, of reflected sounds: `[batch, bins, frames]` each.
    pub(crate) fn parts(&self, reflected: Tensor<2>, count: usize) -> [Tensor<3>; 2] {
        let Resolution {
            hop_length,
            win_length,
            ..
        } = self.resolution;
        let [batch, _] = reflected.dims();
        let framed = frames(reflected, win_length, hop_length, count);
        let framed = framed.reshape([batch * count, win_length]);
        let bases = self.bases_of(&framed.device().inner(), framed.dtype());
        bases.map(|basis| {
            let part = framed.clone().matmul(basis);
            part.reshape([batch, count, self.resolution.bins()])
                .swap_dims(1, 2)
        })
    }

    /// Samples that a frame begins before its hop.
    pub(crate) fn samples_before(&self) -> usize {
        let Resolution {
            n_fft, win_length, ..
        } = self.resolution;
        n_fft / 2 - (n_fft - win_length) / 2
    }

    /// The basis in a precision, `[win_length, bins]` each.
    pub(crate) fn bases_of(&self, device: &Device, dtype: DType) -> [Tensor<2>; 2] {
        match dtype {
            DType::F32 => {
                let basis = |wave| self.resolution.basis(wave, DType::F32, &self.device);
                self.bases.get_or_init(|| WAVES.map(basis)).clone()
            }
            wide => WAVES.map(|wave| self.resolution.basis(wave, wide, device)),
        }
    }

    /// The samples under the frames' windows, reflected at both ends of each item.
    pub(crate) fn reflect(
        &self,
        waveform: Tensor<2>,
        valid_samples: &[usize],
        count: usize,
    ) -> Tensor<2> {
        let [batch, _] = waveform.dims();
        let Resolution {
            hop_length,
            win_length,
            ..
        } = self.resolution;
        let before = self.samples_before() as i64;
        let length = samples_needed(win_length, hop_length, count);
        let mut places = Vec::with_capacity(batch * length);
        for &valid in valid_samples {
            places.extend((0..length as i64).map(|i| reflected(i - before, valid)));
        }
        let places = TensorData::new(places, [batch, length]);
        let places = Tensor::<2, Int>::from_data(places, &waveform.device().inner());
        waveform.gather(1, places)
    }
}

/// Index of the sample at `place` if `0..valid` is mirrored at its first and last sample.
fn reflected(place: i64, valid: usize) -> i64 {
    let last = valid as i64 - 1;
    if last < 1 {
        return 0;
    }
    let place = place.rem_euclid(2 * last);
    place.min(2 * last - place)
}

/// Sets the samples after the valid ones to 0.
///
/// A product with 0 would keep a NaN there, in the value and in the gradient.
///
/// # Shapes
/// - sounds, output: `[batch, samples]`
pub(crate) fn silenced(sounds: Tensor<2>, valid_samples: &[usize]) -> Tensor<2> {
    let shape = sounds.dims();
    assert_valid_samples(valid_samples, shape);
    let inside = before_end(shape, valid_samples, &sounds.device().inner());
    sounds.mask_fill(inside.bool_not(), 0.0)
}

fn assert_valid_samples(valid_samples: &[usize], [batch, samples]: [usize; 2]) {
    assert!(
        samples > 0,
        "sounds need at least one sample, got [{batch}, 0]"
    );
    assert_eq!(
        valid_samples.len(),
        batch,
        "valid_samples needs one entry for each of the {batch} items of the batch, got {}",
        valid_samples.len()
    );
    if let Some(longest) = valid_samples.iter().max() {
        assert!(
            *longest <= samples,
            "an item can have at most the {samples} samples of its batch, got {longest} valid samples"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reflection_repeats_no_end_and_never_leaves_the_sound() {
        let places: Vec<i64> = (-5..9).map(|place| reflected(place, 4)).collect();
        assert_eq!(places, [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        for valid in 0..3 {
            assert!((-9..9).all(|place| reflected(place, valid) < valid.max(1) as i64));
        }
    }

    #[test]
    fn a_window_longer_than_the_transform_is_refused() {
        let resolution = Resolution {
            n_fft: 8,
            hop_length: 2,
            win_length: 9,
        };
        let error = resolution.init(&Device::flex()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`win_length` has to be from 1 to n_fft, got 9: change it in the configuration of the loss"
        );
    }

    #[test]
    fn magnitudes_equal_a_direct_transform() {
        let resolution = Resolution {
            n_fft: 30,
            hop_length: 7,
            win_length: 15,
        };
        let signal: Vec<f64> = (0..41).map(|i| (i as f64 * 0.61).sin() + 0.3).collect();
        let data = TensorData::new(signal.clone(), [1, 41]).convert::<f32>();
        let stft = resolution.init(&Device::flex()).unwrap();
        let got = stft.magnitude(Tensor::from_data(data, &Device::flex()), &[41]);
        assert_eq!(got.dims(), [1, 16, 6]);
        let got = got.into_data().try_to_vec::<f32>().unwrap();
        for (i, got) in got.iter().enumerate() {
            let (bin, frame) = (i / 6, i % 6);
            // The window's 15 samples follow 7 of the transform's 30, which begins 15 before the hop.
            let terms = (0..15).map(|n| {
                let sample = signal[reflected(frame as i64 * 7 + n - 8, 41) as usize];
                let window = 0.5 - 0.5 * (TAU * n as f64 / 15.0).cos();
                let phase = TAU * bin as f64 * (n + 7) as f64 / 30.0;
                (sample * window * phase.cos(), sample * window * phase.sin())
            });
            let (real, imaginary) = terms.fold((0.0, 0.0), |sum, x| (sum.0 + x.0, sum.1 + x.1));
            let expected = f64::hypot(real, imaginary);
            assert!((*got as f64 - expected).abs() < 1e-5, "{got} {expected}");
        }
    }

    #[test]
    #[should_panic(expected = "sounds need at least one sample, got [2, 0]")]
    fn sounds_without_samples_are_refused() {
        let resolution = Resolution {
            n_fft: 8,
            hop_length: 3,
            win_length: 6,
        };
        let stft = resolution.init(&Device::flex()).unwrap();
        stft.magnitude(Tensor::zeros([2, 0], &Device::flex()), &[0, 0]);
    }

    #[test]
    #[should_panic(expected = "at most the 40 samples of its batch, got 41")]
    fn more_valid_samples_than_samples_are_refused() {
        let resolution = Resolution {
            n_fft: 8,
            hop_length: 3,
            win_length: 6,
        };
        let stft = resolution.init(&Device::flex()).unwrap();
        stft.magnitude(Tensor::zeros([2, 40], &Device::flex()), &[1, 41]);
    }
}
